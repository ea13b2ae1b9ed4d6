//! Everything at once, for as long as one likes: clients of every kind, good and bad, beside an operator who reloads, a
//! publisher who renames and a disk that hangs. No byte is wrong, no connection is lost, and in the end all is as it was
//! in the beginning.
//!
//! It takes a minute, or `HFTPD_SOAK_SECONDS=N`. `HFTPD_SOAK_SEED=N` makes everybody do again what they did in the run
//! that printed it, though in which order they come is up to the kernel.

mod clients;
mod disk;
mod files;
mod intruders;
mod levels;
mod operator;
mod tally;
mod world;

#[expect(dead_code, reason = "each test binary uses its own part of the dice")]
#[path = "../simulation/sim/dice.rs"]
mod dice;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, Instant, UNIX_EPOCH};

use dice::Dice;
use levels::Levels;
use support::client::Client;
use support::content::Checker;
use support::daemon::Daemon;
use support::decode::Form;
use tally::Kind;
use world::World;

/// Connections that stay from the beginning to the end, and as many that are idle when the drain begins.
const KEPT: usize = 20;

/// What a participant does in one turn.
type Turn = fn(&World, &mut Dice);

/// Who takes part, and how many of each.
const PARTICIPANTS: &[(usize, Turn)] = &[
    (3, clients::transfers),
    (2, clients::pipelines),
    (1, clients::moving_listener),
    (2, files::reader),
    (1, files::publisher),
    (2, disk::reader),
    (1, disk::breaker),
    (1, intruders::resets),
    (1, intruders::never_reads),
    (1, intruders::flood),
    (1, intruders::endless_lines),
    (1, intruders::unwelcome),
    (1, intruders::crowd),
];

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Says something although the test passes: it is long, and what it did is the point of it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says, when the test fails, how to have it again.
struct Said(String);

impl Drop for Said {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("failed: {}", self.0));
        }
    }
}

/// Everybody takes turns for so long, with the operator in this thread. After the first panic nobody begins another.
fn storm(world: &World, daemon: &mut Daemon, dice: &mut Dice, length: Duration) {
    world.open(Instant::now() + length);
    std::thread::scope(|scope| {
        for (count, turn) in PARTICIPANTS {
            for _ in 0..*count {
                let mut dice = Dice::seeded(dice.below(usize::MAX) as u64);
                scope.spawn(move || {
                    let _closing = world.closes_on_panic();
                    while !world.is_over() {
                        turn(world, &mut dice);
                    }
                });
            }
        }
        let _closing = world.closes_on_panic();
        operator::operate(world, daemon, dice);
    });
    operator::restore(world, daemon);
}

/// SIGTERM with transfers in every form under way, while files are renamed: they are finished whole.
fn drain_under_load(world: &World, mut daemon: Daemon) {
    let mut idle: Vec<Client> = (0..KEPT).map(|number| Client::connect(world.listeners[number % 4])).collect();
    idle.iter_mut().for_each(Client::expect_alive);
    let (name, size) = (&world.largest().name, world.largest().bytes.len() as u64);
    let transfers: Vec<(Client, Form)> = (Form::ALL.iter().cycle().take(3 * Form::ALL.len()))
        .map(|&(listener, form)| {
            let mut client = Client::connect_narrow(world.listeners[listener]);
            client.send(form.request(name, 0, size));
            client.send("get_metadata never-begun\r\n");
            (client, form)
        })
        .collect();
    daemon.wait_connections("sending", transfers.len() as u64);
    daemon.drain();
    world.publish_over_largest();
    std::thread::scope(|scope| {
        for (mut client, form) in transfers {
            scope.spawn(move || {
                let mut checker = Checker::new(world.largest().seed, 0);
                let outcome = client.answer(form, size, &mut |bytes| checker.take(bytes));
                outcome.unwrap_or_else(|fault| panic!("{form:?}, after {} of {size} bytes: {fault}", checker.offset));
                assert_eq!(checker.wrong_at, None, "{form:?}: a wrong byte");
                client.expect_close();
                world.tally.add(Kind::DrainedTransfer, 1);
            });
        }
        idle.iter_mut().for_each(Client::expect_close);
    });
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn all_faults_at_once_break_nothing() {
    let seconds = number("HFTPD_SOAK_SECONDS").unwrap_or(60);
    assert!(seconds >= 20, "HFTPD_SOAK_SECONDS={seconds} is too short for everything to happen; the least is 20");
    let seed = number("HFTPD_SOAK_SEED").unwrap_or_else(|| UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64));
    let command = format!("HFTPD_SOAK_SEED={seed} HFTPD_SOAK_SECONDS={seconds} cargo test --test soak");
    say(&command);
    let said = Said(command);
    let mut dice = Dice::seeded(seed);
    let world = World::new();
    let mut daemon = Daemon::start(&world.site, &world.settings());
    let mut kept: Vec<Client> = (0..KEPT).map(|number| Client::connect(world.listeners[number % 4])).collect();

    // One round of everything, after which the daemon has grown to what it needs, and a quarter of the time for it.
    storm(&world, &mut daemon, &mut dice, Duration::from_secs(seconds) / 4);
    let before = Levels::when_quiet(&world, &mut daemon, KEPT);
    kept.iter_mut().for_each(Client::expect_alive);
    storm(&world, &mut daemon, &mut dice, Duration::from_secs(seconds) * 3 / 4);
    Levels::expect_again(&before, &world, &mut daemon, KEPT);
    kept.iter_mut().for_each(Client::expect_alive);

    world.tally.add(Kind::Kept, KEPT as u64);
    world.tally.answered(2 * KEPT as u64, 0);
    drop(kept);
    daemon.wait_connections("total", 0);
    levels::expect_consistent(&world.tally, &daemon.status());
    drain_under_load(&world, daemon);
    say(&format!("{seconds} s: {}", world.tally));
    world.tally.expect_everything(world.disk.is_some());
    drop(said);
}
