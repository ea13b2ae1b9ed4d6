//! All kinds of load at once: well-behaved and hostile clients, reloads, files that are replaced, a disk that hangs. No
//! byte is wrong, no connection is lost, and at the end the daemon uses the same resources as at the beginning.
//!
//! It takes a minute, or `HFTPD_SOAK_SECONDS=N`. `HFTPD_SOAK_SEED=N` repeats the choices of the run that printed the
//! seed; their order in time depends on the kernel.

mod clients;
mod counters;
mod disk;
mod files;
mod hostile;
mod levels;
mod operator;
mod world;

#[expect(dead_code, reason = "each test binary uses its own part of it")]
#[path = "../simulation/sim/rng.rs"]
mod rng;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, Instant, UNIX_EPOCH};

use counters::Kind;
use levels::Levels;
use rng::Rng;
use support::content::Checker;
use support::{ALL_ENCODINGS, Client, Daemon, Encoding, hftpd_with, slice_request};
use world::World;

/// Connections that stay open during the whole test, and idle ones at the begin of the drain.
const KEPT: usize = 20;

/// One turn of a participant.
type Turn = fn(&World, &mut Rng);

/// The participants: the number of threads for each.
const PARTICIPANTS: &[(usize, Turn)] = &[
    (3, clients::transfers),
    (2, clients::pipelines),
    (1, clients::moving_listener),
    (2, files::reader),
    (1, files::publisher),
    (2, disk::reader),
    (1, disk::breaker),
    (1, hostile::resets),
    (1, hostile::never_reads),
    (1, hostile::flood),
    (1, hostile::endless_lines),
    (1, hostile::denied),
    (1, hostile::crowd),
];

/// The number in an environment variable.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Prints to standard error also if the test passes.
fn report(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints the command that repeats the test if it fails.
struct ReportOnPanic(String);

impl Drop for ReportOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report(&format!("failed: {}", self.0));
        }
    }
}

/// Starts the daemon with an allocator that returns free memory to the system. Otherwise its heaps grow with the largest
/// use at the same time, by several MiB, and hide a leak.
fn start(world: &World) -> Daemon {
    world.settings().write(&world.dir.config());
    let allocator =
        [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")];
    let mut command = hftpd_with(&[], &world.dir.config());
    Daemon::spawn(&world.dir, command.envs(allocator).current_dir(world.dir.path()))
}

/// Runs the participants for so long, with the operator in this thread. They stop after the first panic.
fn run_all(world: &World, daemon: &mut Daemon, rng: &mut Rng, length: Duration) {
    world.run_until(Instant::now() + length);
    std::thread::scope(|scope| {
        for (count, turn) in PARTICIPANTS {
            for _ in 0..*count {
                let mut rng = Rng::seeded(rng.below(usize::MAX) as u64);
                scope.spawn(move || {
                    let _stop = world.stop_on_panic();
                    while !world.is_over() {
                        turn(world, &mut rng);
                    }
                });
            }
        }
        let _stop = world.stop_on_panic();
        operator::operate(world, daemon, rng);
        if world.has_failed() {
            report(&daemon.status().to_string());
        }
    });
    operator::restore(world, daemon);
}

/// SIGTERM while answers in every encoding are under way and their file is replaced: they arrive whole.
fn drain_under_load(world: &World, mut daemon: Daemon) {
    let mut idle: Vec<Client> = (0..KEPT).map(|number| Client::connect(world.listeners[number % 4])).collect();
    idle.iter_mut().for_each(Client::expect_alive);
    let (name, size) = (&world.largest().name, world.largest().bytes.len() as u64);
    let transfers: Vec<(Client, Encoding)> = (ALL_ENCODINGS.iter().cycle().take(3 * ALL_ENCODINGS.len()))
        .map(|&(listener, encoding)| {
            let mut client = Client::connect_narrow(world.listeners[listener]);
            client.send(slice_request(encoding, name, 0, size));
            client.send("get_metadata not-started\r\n");
            (client, encoding)
        })
        .collect();
    daemon.wait_connections("sending", transfers.len() as u64);
    daemon.drain();
    world.publish_over_largest();
    std::thread::scope(|scope| {
        for (mut client, encoding) in transfers {
            scope.spawn(move || {
                let mut checker = Checker::new(world.largest().seed, 0);
                let outcome = client.answer(encoding, size, &mut |bytes| checker.take(bytes));
                outcome
                    .unwrap_or_else(|fault| panic!("{encoding:?}, after {} of {size} bytes: {fault}", checker.offset));
                assert_eq!(checker.wrong_at, None, "{encoding:?}: a wrong byte");
                client.expect_close();
                world.counters.add(Kind::DrainedTransfer, 1);
            });
        }
        idle.iter_mut().for_each(Client::expect_close);
    });
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn all_faults_at_once_break_nothing() {
    let seconds = number("HFTPD_SOAK_SECONDS").unwrap_or(60);
    assert!(seconds >= 20, "HFTPD_SOAK_SECONDS={seconds} is too short for all events; the minimum is 20");
    let seed = number("HFTPD_SOAK_SEED").unwrap_or_else(|| UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64));
    let command = format!("HFTPD_SOAK_SEED={seed} HFTPD_SOAK_SECONDS={seconds} cargo test --test soak");
    report(&command);
    let _report = ReportOnPanic(command);
    let mut rng = Rng::seeded(seed);
    let world = World::new();
    let mut daemon = start(&world);
    let mut kept: Vec<Client> = (0..KEPT).map(|number| Client::connect(world.listeners[number % 4])).collect();

    // After the first quarter of the time the daemon has allocated what it needs.
    run_all(&world, &mut daemon, &mut rng, Duration::from_secs(seconds) / 4);
    let before = Levels::when_idle(&world, &mut daemon, KEPT);
    kept.iter_mut().for_each(Client::expect_alive);
    run_all(&world, &mut daemon, &mut rng, Duration::from_secs(seconds) * 3 / 4);
    Levels::expect_again(&before, &world, &mut daemon, KEPT);
    kept.iter_mut().for_each(Client::expect_alive);

    world.counters.add(Kind::Kept, KEPT as u64);
    world.counters.answered(2 * KEPT as u64, 0);
    drop(kept);
    daemon.wait_connections("total", 0);
    levels::expect_consistent(&world.counters, &daemon.status());
    drain_under_load(&world, daemon);
    report(&format!("{seconds} s: {}", world.counters));
    world.counters.expect_everything(world.disk.is_some());
}
