//! Alternating good and bad reloads, by the command and by SIGHUP.

use std::time::{Duration, Instant};

use crate::counters::Kind;
use crate::rng::Rng;
use crate::support::{Daemon, Settings, put};
use crate::world::{PER_ADDRESS, World};

/// The minimum time between moves of the listener, so that its clients can follow.
const STAY: Duration = Duration::from_secs(2);

pub(crate) fn operate(world: &World, daemon: &mut Daemon, rng: &mut Rng) {
    let mut place = 0;
    let mut moved = Instant::now();
    while !world.is_over() {
        if moved.elapsed() > STAY {
            (place, moved) = (1 - place, Instant::now());
        }
        good(world, daemon, rng, place);
        world.rest(rng, 100, 600);
        bad(world, daemon, rng);
        world.rest(rng, 100, 600);
    }
}

/// Restores the initial configuration.
pub(crate) fn restore(world: &World, daemon: &mut Daemon) {
    daemon.reload(&world.settings()).expect_code(0);
    world.counters.add(Kind::Reloaded, 1);
}

/// A configuration whose differences no client notices.
fn variation(world: &World, rng: &mut Rng, place: usize) -> Settings {
    let per_address = rng.pick(&PER_ADDRESS).to_string();
    let mut any = |values: &[&'static str]| *rng.pick(values);
    world
        .settings_at(place)
        .root(&world.dir.at(any(&["root", "alias"])))
        .set("limits.connections-per-address", &per_address)
        .set("limits.connections", any(&["10000", "1000"]))
        .set("limits.rate-per-connection", any(&["0", "0", "\"40 MiB\""]))
        .set("timeouts.request", any(&["\"60s\"", "\"30s\""]))
        .set("files.hidden", any(&["true", "false"]))
        .set("files.names", any(&["\"portable\"", "\"printable\""]))
        .set("log.level", any(&["\"info\"", "\"warn\""]))
}

fn good(world: &World, daemon: &mut Daemon, rng: &mut Rng, place: usize) {
    let settings = variation(world, rng, place);
    if rng.chance(50) {
        daemon.reload(&settings).expect_code(0);
        world.counters.add(Kind::Reloaded, 1);
    } else {
        settings.write(&world.dir.config());
        daemon.hang_up();
        world.counters.add(Kind::HungUp, 1);
    }
    let status = daemon.status();
    assert_eq!(status["last_reload"]["ok"], true, "{status}");
    let places: Vec<String> = world.listeners.iter().chain([&world.moving[place]]).map(ToString::to_string).collect();
    let listeners = status["listeners"].as_array().expect("listeners");
    assert!(listeners.iter().map(|listener| &listener["address"]).eq(&places), "{status}");
}

/// A reload that fails and changes nothing. The good file is restored afterwards.
fn bad(world: &World, daemon: &mut Daemon, rng: &mut Rng) {
    let config = world.dir.config();
    let good = std::fs::read(&config).expect("the configuration");
    let fresh = world.settings().set("limits.connections", "1").set("limits.deny", "[\"127.0.0.0/8\"]");
    let taken = world.taken.local_addr().expect("its address");
    let code = match rng.below(4) {
        0 => {
            fresh.set("colour", "\"red\"").write(&config);
            78
        }
        1 => {
            put(&config, b"root = \n[[[");
            78
        }
        2 => {
            fresh.root(&world.dir.at("absent")).write(&config);
            66
        }
        _ => {
            fresh.listen_on(taken, "plain").write(&config);
            71
        }
    };
    if rng.chance(50) {
        daemon.reload_command().expect_code(code);
        world.counters.add(Kind::ReloadRefused, 1);
        put(&config, &good);
    } else {
        daemon.hang_up();
        world.counters.add(Kind::HangUpRefused, 1);
        put(&config, &good);
        let status = daemon.status();
        assert_eq!(status["last_reload"]["ok"], false, "{status}");
    }
}
