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
mod process;
mod reloads;
mod shim;
mod starts;
mod threads;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Mutex;
use std::time::Duration;

use support::client::Client;
use support::daemon::Daemon;

/// Held by who needs so many open files that there is no room for two.
static TEN_THOUSAND: Mutex<()> = Mutex::new(());

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
