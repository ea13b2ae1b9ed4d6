//! The end: what is under way is finished, nothing new is begun, and it does not take for ever.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::content;
use crate::support::daemon::Daemon;
use crate::support::decode::{Fault, Form};
use crate::support::eventually;
use crate::support::settings::Settings;
use crate::support::site::Site;
use crate::support::slow::{expect_whole, slow, slow_in_all_forms};

const LARGE: u64 = 100 << 20;

/// A daemon with a 100 MiB file and this much patience.
fn started(drain: &str) -> (Site, Daemon) {
    let site = Site::new();
    content::write(&site.root().join("large"), 1, LARGE);
    let settings = Settings::new(&site).listen_all().set("timeouts.drain", &format!("{drain:?}"));
    let daemon = Daemon::start(&site, &settings);
    (site, daemon)
}

#[track_caller]
fn eventually_refused(daemon: &Daemon) {
    let address = daemon.address(0);
    eventually("new connections are refused", || match TcpStream::connect(address) {
        Err(_) => Ok(()),
        Ok(_) => Err("connected".to_owned()),
    });
}

#[test]
fn drain_finishes_answers_and_closes_idle_connections() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_site, mut daemon) = started("5m");
        let mut clients = slow_in_all_forms(&daemon, "large", LARGE);
        let mut never_asked = daemon.client();
        let mut asked = daemon.client();
        asked.expect_alive();
        let mut asking = daemon.client();
        asking.send("get_metadata lar");
        daemon.wait_connections("reading", 1);
        daemon.wait_connections("idle", 2);

        daemon.signal(signal);
        for client in [&mut never_asked, &mut asked, &mut asking] {
            client.expect_close();
        }
        eventually_refused(&daemon);
        assert!(daemon.is_running(), "ended with answers under way");
        expect_whole(&mut clients, 1, LARGE);
        clients.iter_mut().for_each(|(client, _)| client.expect_close());
        assert_eq!(daemon.wait_exit().code(), Some(0));
    }
}

#[test]
fn drain_is_reported_to_manager_and_status() {
    let (_site, mut daemon) = started("5m");
    let mut client = slow(&daemon, 0, Form::Raw, "large", LARGE);
    daemon.wait_connections("sending", 1);
    daemon.drain();
    daemon.wait_status("the state is draining", |status| status["state"] == "draining");
    client.answer(Form::Raw, LARGE, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"));
    client.expect_close();
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn drain_drops_requests_not_yet_started() {
    let (_site, mut daemon) = started("5m");
    let mut client = slow(&daemon, 0, Form::Fragments, "large", LARGE);
    client.send("get_metadata large\r\nget_file_listing\r\nget_slice large 0 1\r\n");
    daemon.wait_connections("sending", 1);
    daemon.drain();
    eventually_refused(&daemon);
    client.answer(Form::Fragments, LARGE, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"));
    client.expect_close();
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn drain_without_connections_ends_at_once() {
    let (_site, mut daemon) = started("5m");
    daemon.client().expect_alive();
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn drain_timeout_cuts_remaining_answers() {
    let (_site, mut daemon) = started("1s");
    let mut clients = slow_in_all_forms(&daemon, "large", LARGE);
    let start = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    let took = start.elapsed();
    assert!(took > Duration::from_millis(900), "cut after {took:?}, before the deadline");
    for (client, form) in &mut clients {
        let outcome = client.answer(*form, LARGE, &mut |_| {});
        assert!(matches!(outcome, Err(Fault::Ended { .. })), "{form:?}: {outcome:?}");
    }
}

#[test]
fn second_signal_ends_the_drain() {
    let (_site, mut daemon) = started("5m");
    let mut client = slow(&daemon, 0, Form::Plain, "large", LARGE);
    daemon.wait_connections("sending", 1);
    daemon.drain();
    assert!(daemon.is_running(), "one signal ended it with an answer under way");
    daemon.signal(Signal::TERM);
    daemon.wait_exit();
    let outcome = client.answer(Form::Plain, LARGE, &mut |_| {});
    assert!(matches!(outcome, Err(Fault::Ended { .. })), "{outcome:?}");
}

#[test]
fn reload_does_not_stop_a_drain() {
    let (_site, mut daemon) = started("5m");
    let mut client = slow(&daemon, 0, Form::Raw, "large", LARGE);
    daemon.wait_connections("sending", 1);
    daemon.drain();
    daemon.signal(Signal::HUP);
    eventually_refused(&daemon);
    client.answer(Form::Raw, LARGE, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"));
    client.expect_close();
    assert_eq!(daemon.wait_exit().code(), Some(0));
}
