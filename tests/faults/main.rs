//! Faults injected into the real daemon: disks that hang, a lack of descriptors and threads, hostile clients, logs that
//! are not read, signals during the start. Each test waits for the behaviour that the daemon promises in spite of them.

mod accepting;
mod clients;
mod clocks;
mod crowds;
mod descriptors;
mod disks;
mod floods;
mod listeners;
mod logs;
mod messages;
mod process;
mod reloads;
mod shim;
mod starts;
mod threads;
mod workers;

#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use support::{Client, Daemon, HELP_ANSWER, Settings, TestDir, allow_open_files, skipped};

/// A daemon for ten thousand clients, and a lock: two such tests at once could exceed the limit of open files. None if
/// the limit is too low for one, and the test is skipped.
fn for_ten_thousand() -> Option<(MutexGuard<'static, ()>, TestDir, Daemon)> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !allow_open_files(11_000) {
        skipped("the limit of open files is too low");
        return None;
    }
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).set("limits.connections", "10100").set("log.access", "false");
    let daemon = Daemon::start(&dir, &settings);
    Some((alone, dir, daemon))
}

/// A new client that needs no disk is served.
#[track_caller]
fn expect_served(daemon: &Daemon) -> Client {
    let mut client = daemon.client();
    client.ask("help\r\n", HELP_ANSWER);
    client
}
