//! Faults that really happen to the real daemon: disks that hang, descriptors that run out, clients that misbehave, logs
//! that nobody reads, signals at the wrong moment. Each test waits for what the daemon promises in spite of them.

mod accepting;
mod clients;
mod clocks;
mod crowds;
mod descriptors;
mod disks;
mod files;
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
use std::time::Duration;

use support::client::Client;
use support::daemon::Daemon;
use support::settings::Settings;
use support::site::Site;
use support::{allow_open_files, skipped};

/// A daemon for ten thousand clients, and a place that there is for one such test alone: two need more open files than
/// there may be. None, and the test is skipped, where not even one may have them.
fn for_ten_thousand() -> Option<(MutexGuard<'static, ()>, Site, Daemon)> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !allow_open_files(11_000) {
        skipped("not enough open files are allowed");
        return None;
    }
    let site = Site::of_the_examples();
    let settings = Settings::new(&site).set("limits.connections", "10100").set("log.access", "false");
    let daemon = Daemon::start(&site, &settings);
    Some((alone, site, daemon))
}

/// Closes the connection with a reset.
fn reset(client: Client) {
    let socket = socket2::SockRef::from(client.stream());
    socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

/// A client that needs no disk is served.
#[track_caller]
fn expect_served(daemon: &Daemon) -> Client {
    let mut client = daemon.client();
    client.ask("help\r\n", "0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n");
    client
}
