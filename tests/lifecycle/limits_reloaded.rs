//! Every limit and every timeout is changed by a reload, in both directions, and those who are connected stay.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::limits::{admitted, expect_unwelcome};
use crate::support::client::{Client, PROBE, PROBE_ANSWER};
use crate::support::content;
use crate::support::daemon::Daemon;
use crate::support::decode::{Fault, Form};
use crate::support::settings::Settings;
use crate::support::site::Site;

const LARGE: u64 = 48 << 20;

/// A daemon that serves a large file with these settings.
fn started(key: &str, value: &str) -> (Site, Settings, Daemon) {
    let site = Site::of_the_examples();
    content::write(&site.root().join("large"), 1, LARGE);
    let settings = Settings::new(&site).set(key, value);
    let daemon = Daemon::start(&site, &settings);
    (site, settings, daemon)
}

#[test]
fn reload_changes_connections_limit() {
    let (_site, settings, mut daemon) = started("limits.connections", "2");
    let mut inside = vec![admitted(&daemon), admitted(&daemon)];
    expect_unwelcome(&mut daemon.client());
    daemon.reload(&settings.clone().set("limits.connections", "3")).expect_code(0);
    inside.push(admitted(&daemon));
    expect_unwelcome(&mut daemon.client());
    daemon.reload(&settings.set("limits.connections", "1")).expect_code(0);
    expect_unwelcome(&mut daemon.client());
    inside.iter_mut().for_each(Client::expect_alive);
}

#[test]
fn reload_changes_connections_per_address() {
    let (_site, settings, mut daemon) = started("limits.connections-per-address", "0");
    let other = Ipv4Addr::new(127, 0, 0, 9);
    let mut inside = vec![admitted(&daemon), admitted(&daemon)];
    daemon.reload(&settings.clone().set("limits.connections-per-address", "1")).expect_code(0);
    // Those who came while there was no limit count too.
    expect_unwelcome(&mut daemon.client());
    let mut one = Client::connect_from(other, daemon.address(0));
    one.expect_alive();
    expect_unwelcome(&mut Client::connect_from(other, daemon.address(0)));
    daemon.reload(&settings.clone().set("limits.connections-per-address", "3")).expect_code(0);
    inside.push(admitted(&daemon));
    expect_unwelcome(&mut daemon.client());
    daemon.reload(&settings).expect_code(0);
    inside.push(admitted(&daemon));
    inside.push(one);
    inside.iter_mut().for_each(Client::expect_alive);
}

#[test]
fn reload_changes_allow_and_deny_for_new_clients() {
    let (_site, settings, mut daemon) = started("limits.allow", "[]");
    let [one, two] = [1, 2].map(|last| Ipv4Addr::new(127, 0, 1, last));
    let mut before = Client::connect_from(one, daemon.address(0));
    before.expect_alive();
    daemon.reload(&settings.clone().set("limits.deny", "[\"127.0.1.1\"]")).expect_code(0);
    expect_unwelcome(&mut Client::connect_from(one, daemon.address(0)));
    Client::connect_from(two, daemon.address(0)).expect_alive();
    daemon.reload(&settings.clone().set("limits.allow", "[\"127.0.1.1\"]")).expect_code(0);
    Client::connect_from(one, daemon.address(0)).expect_alive();
    expect_unwelcome(&mut Client::connect_from(two, daemon.address(0)));
    daemon.reload(&settings).expect_code(0);
    Client::connect_from(two, daemon.address(0)).expect_alive();
    before.expect_alive();
}

#[test]
fn reload_changes_request_line_limit() {
    let (_site, settings, mut daemon) = started("limits.request-line", "600");
    let long = format!("get_metadata {}\r\n", "n".repeat(700));
    let mut before = daemon.client();
    before.expect_alive();
    daemon.reload(&settings.clone().set("limits.request-line", "800")).expect_code(0);
    before.ask(&long, "202 FILE NOT FOUND\r\n");
    daemon.reload(&settings).expect_code(0);
    for client in [&mut before, &mut daemon.client()] {
        client.send_if_possible(long.as_bytes());
        client.expect("101 BAD REQUEST\r\n");
        client.expect_close();
    }
}

#[test]
fn reload_changes_rate_of_running_answers() {
    let (_site, settings, mut daemon) = started("limits.rate-per-connection", "0");
    let mut client = Client::connect_narrow(daemon.address(0));
    let mut slow = daemon.client();
    client.send(Form::Raw.request("large", 0, LARGE));
    daemon.wait_connections("sending", 1);
    daemon.reload(&settings.clone().set("limits.rate-per-connection", "\"100 KiB\"")).expect_code(0);
    let start = Instant::now();
    let outcome = slow.slice(Form::Raw, "large", 0, 300 << 10);
    assert_eq!(outcome.map(|bytes| bytes.len()), Ok(300 << 10));
    assert!(start.elapsed() > Duration::from_millis(2700), "300 KiB in {:?}", start.elapsed());
    // At the old rate it would take eight minutes.
    slow.send(Form::Raw.request("large", 0, LARGE));
    daemon.wait_connections("sending", 2);
    daemon.reload(&settings).expect_code(0);
    let start = Instant::now();
    for client in [&mut client, &mut slow] {
        client.answer(Form::Raw, LARGE, &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"));
    }
    assert!(start.elapsed() < crate::support::LONG, "twice {LARGE} bytes in {:?}", start.elapsed());
}

#[test]
fn reload_changes_idle_timeout() {
    let (_site, settings, mut daemon) = started("timeouts.idle", "\"1s\"");
    daemon.client().expect_close();
    daemon.reload(&settings.clone().set("timeouts.idle", "\"5m\"")).expect_code(0);
    let mut patient = admitted(&daemon);
    daemon.reload(&settings).expect_code(0);
    let mut hasty = daemon.client();
    hasty.expect_close();
    // A second is over, and this one began to wait under five minutes.
    patient.ask(PROBE, PROBE_ANSWER);
    patient.expect_close();
}

#[test]
fn reload_changes_request_timeout() {
    let (_site, settings, mut daemon) = started("timeouts.request", "\"5m\"");
    let mut patient = daemon.client();
    patient.send("get_metadata a");
    daemon.wait_connections("reading", 1);
    daemon.reload(&settings.clone().set("timeouts.request", "\"1s\"")).expect_code(0);
    let mut hasty = daemon.client();
    hasty.send("get_metadata a");
    hasty.expect("101 BAD REQUEST\r\n");
    hasty.expect_close();
    daemon.reload(&settings).expect_code(0);
    patient.ask("10\r\n", "0 OK\r\n10\r\n");
}

#[test]
fn reload_lowers_stall_timeout() {
    let (_site, settings, mut daemon) = started("timeouts.stall", "\"5m\"");
    daemon.reload(&settings.set("timeouts.stall", "\"1s\"")).expect_code(0);
    let mut client = Client::connect_narrow(daemon.address(0));
    client.send(Form::Fragments.request("large", 0, LARGE));
    daemon.wait_connections("sending", 1);
    daemon.wait_connections("total", 0);
    let outcome = client.answer(Form::Fragments, LARGE, &mut |_| {});
    assert!(matches!(outcome, Err(Fault::Ended { .. })), "{outcome:?}");
}

#[test]
fn reload_changes_drain_timeout() {
    let (_site, settings, mut daemon) = started("timeouts.drain", "\"5m\"");
    let mut client = Client::connect_narrow(daemon.address(0));
    client.send(Form::Raw.request("large", 0, LARGE));
    daemon.wait_connections("sending", 1);
    daemon.reload(&settings.set("timeouts.drain", "\"1s\"")).expect_code(0);
    let start = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(start.elapsed() > Duration::from_millis(900), "cut after {:?}", start.elapsed());
    let outcome = client.answer(Form::Raw, LARGE, &mut |_| {});
    assert!(matches!(outcome, Err(Fault::Ended { .. })), "{outcome:?}");
}

#[test]
fn reload_changes_file_settings_of_open_connections() {
    let site = Site::of_the_examples();
    site.file(".hidden", b"h");
    site.link("link", "a10");
    let address = crate::support::own_address();
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings.clone().listen_on(address, "base64"));
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["a10", "empty", "link", "noread"]);
    let other = settings.clone().set("files.hidden", "true").set("files.symlinks", "\"never\"");
    daemon.reload(&other.clone().listen_on(address, "base64")).expect_code(0);
    assert_eq!(client.listing(), [".hidden", "a10", "empty", "noread"]);
    client.ask("get_metadata link\r\n", "202 FILE NOT FOUND\r\n");
    client.ask("get_metadata .hidden\r\n", "0 OK\r\n1\r\n");
    // How slices are answered is the listener's, for those who come.
    client.ask("get_slice a10 0 5\r\n", "0 OK\r\nMDEyMzQ=\r\n");
    let lines = format!("[[listen]]\naddress = \"{address}\"\nencoding = \"base64\"\nbase64-line = 3\n");
    let text = settings.without_listeners().to_toml().replace("[[listen]]\naddress = \"127.0.0.1:0\"\n", &lines);
    crate::support::site::put(&site.config(), text.as_bytes());
    daemon.reload_command().expect_code(0);
    daemon.client().ask("get_slice a10 0 5\r\n", "0 OK\r\nMDEy\r\nMzQ=\r\n");
    assert_eq!(client.listing(), ["a10", "empty", "link", "noread"]);
}

#[test]
fn reload_changes_access_log() {
    let (_site, settings, mut daemon) = started("log.access", "true");
    let mut client = daemon.client();
    let mark = daemon.stderr_mark();
    client.ask("get_metadata first\r\n", "202 FILE NOT FOUND\r\n");
    daemon.wait_stderr(mark, "get_metadata first");
    daemon.reload(&settings.clone().set("log.access", "false")).expect_code(0);
    client.ask("get_metadata second\r\n", "202 FILE NOT FOUND\r\n");
    daemon.reload(&settings).expect_code(0);
    client.ask("get_metadata third\r\n", "202 FILE NOT FOUND\r\n");
    daemon.wait_stderr(mark, "get_metadata third");
    let lines = daemon.stderr_lines();
    assert!(!lines.iter().any(|line| line.contains("second")), "{lines:#?}");
}
