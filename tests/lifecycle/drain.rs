//! The drain after SIGTERM or SIGINT: answers under way are finished, no request is started, and the time is limited.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    Client, Daemon, Encoding, Settings, TestDir, eventually_refused, expect_incomplete, expect_whole, publish_large,
    slow_client, slow_clients,
};

/// A daemon with a large file and this drain timeout.
fn start(drain: &str) -> (TestDir, Daemon) {
    let dir = TestDir::new();
    publish_large(&dir);
    let settings = Settings::new(&dir).listen_all().set("timeouts.drain", &format!("{drain:?}"));
    let daemon = Daemon::start(&dir, &settings);
    (dir, daemon)
}

/// A daemon that drains, and the client that it waits for, which has sent these requests as well.
fn start_draining(requests: &str) -> (TestDir, Daemon, (Client, Encoding)) {
    let (dir, daemon) = start("5m");
    let mut client = slow_client(&daemon, Encoding::Raw);
    client.0.send(requests);
    daemon.wait_connections("sending", 1);
    daemon.drain();
    (dir, daemon, client)
}

/// The client receives its answer and nothing else, and the daemon exits with 0.
#[track_caller]
fn expect_finished(mut daemon: Daemon, clients: &mut [(Client, Encoding)]) {
    expect_whole(clients);
    clients.iter_mut().for_each(|(client, _)| client.expect_close());
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn drain_finishes_answers_and_closes_idle_connections() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_site, mut daemon) = start("5m");
        let mut clients = slow_clients(&daemon);
        let [mut silent, mut answered, mut reading] = [daemon.client(), daemon.client(), daemon.client()];
        answered.expect_alive();
        reading.send("get_metadata lar");
        daemon.wait_connections("reading", 1);
        daemon.wait_connections("idle", 2);

        daemon.signal(signal);
        for client in [&mut silent, &mut answered, &mut reading] {
            client.expect_close();
        }
        eventually_refused(daemon.address(0));
        assert!(daemon.is_running(), "the daemon ended before its answers");
        expect_finished(daemon, &mut clients);
    }
}

#[test]
fn drain_is_reported_to_manager_and_status() {
    // `start_draining` has waited for STOPPING=1.
    let (_site, daemon, client) = start_draining("");
    daemon.wait_status("the state is draining", |status| status["state"] == "draining");
    expect_finished(daemon, &mut [client]);
}

#[test]
fn drain_drops_requests_not_yet_started() {
    let (_site, daemon, client) = start_draining("get_metadata large\r\nget_file_listing\r\nget_slice large 0 1\r\n");
    eventually_refused(daemon.address(0));
    expect_finished(daemon, &mut [client]);
}

#[test]
fn drain_without_connections_ends_at_once() {
    let (_site, mut daemon) = start("5m");
    daemon.client().expect_alive();
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn drain_timeout_cuts_remaining_answers() {
    let (_site, mut daemon) = start("1s");
    let mut clients = slow_clients(&daemon);
    let start = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(start.elapsed() > Duration::from_millis(900), "cut after {:?}, too early", start.elapsed());
    expect_incomplete(&mut clients);
}

#[test]
fn second_signal_ends_the_drain() {
    let (_site, mut daemon, client) = start_draining("");
    assert!(daemon.is_running(), "the first signal ended the daemon before its answer");
    daemon.signal(Signal::TERM);
    daemon.wait_exit();
    expect_incomplete(&mut [client]);
}

#[test]
fn reload_does_not_stop_a_drain() {
    let (_site, daemon, client) = start_draining("");
    daemon.signal(Signal::HUP);
    eventually_refused(daemon.address(0));
    expect_finished(daemon, &mut [client]);
}
