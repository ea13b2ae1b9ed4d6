//! A reload changes every limit, timeout and file setting in both directions, and closes no connection.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::limits::{admitted, expect_refused};
use crate::support::{
    Client, Daemon, Encoding, LARGE, LONG, PROBE, PROBE_ANSWER, Settings, TestDir, expect_incomplete, expect_whole,
    publish_large, slice_request, slow_client,
};

/// A daemon with this setting.
fn start(key: &str, value: &str) -> (TestDir, Settings, Daemon) {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).set(key, value);
    let daemon = Daemon::start(&dir, &settings);
    (dir, settings, daemon)
}

#[test]
fn reload_changes_connections_limit() {
    let (_site, settings, mut daemon) = start("limits.connections", "2");
    let mut clients = vec![admitted(&daemon), admitted(&daemon)];
    expect_refused(&mut daemon.client());
    daemon.reload(&settings.clone().set("limits.connections", "3")).expect_code(0);
    clients.push(admitted(&daemon));
    expect_refused(&mut daemon.client());
    daemon.reload(&settings.set("limits.connections", "1")).expect_code(0);
    expect_refused(&mut daemon.client());
    clients.iter_mut().for_each(Client::expect_alive);
}

#[test]
fn reload_changes_connections_per_address() {
    let (_site, settings, mut daemon) = start("limits.connections-per-address", "0");
    let other = Ipv4Addr::new(127, 0, 0, 9);
    let mut clients = vec![admitted(&daemon), admitted(&daemon)];
    daemon.reload(&settings.clone().set("limits.connections-per-address", "1")).expect_code(0);
    // Connections from before the limit count too.
    expect_refused(&mut daemon.client());
    let mut one = Client::connect_from(other, daemon.address(0));
    one.expect_alive();
    expect_refused(&mut Client::connect_from(other, daemon.address(0)));
    daemon.reload(&settings.clone().set("limits.connections-per-address", "3")).expect_code(0);
    clients.push(admitted(&daemon));
    expect_refused(&mut daemon.client());
    daemon.reload(&settings).expect_code(0);
    clients.extend([admitted(&daemon), one]);
    clients.iter_mut().for_each(Client::expect_alive);
}

#[test]
fn reload_changes_allow_and_deny_for_new_clients() {
    let (_site, settings, mut daemon) = start("limits.allow", "[]");
    let [one, two] = [1, 2].map(|last| Ipv4Addr::new(127, 0, 1, last));
    let mut before = Client::connect_from(one, daemon.address(0));
    before.expect_alive();
    daemon.reload(&settings.clone().set("limits.deny", "[\"127.0.1.1\"]")).expect_code(0);
    expect_refused(&mut Client::connect_from(one, daemon.address(0)));
    Client::connect_from(two, daemon.address(0)).expect_alive();
    daemon.reload(&settings.clone().set("limits.allow", "[\"127.0.1.1\"]")).expect_code(0);
    Client::connect_from(one, daemon.address(0)).expect_alive();
    expect_refused(&mut Client::connect_from(two, daemon.address(0)));
    daemon.reload(&settings).expect_code(0);
    Client::connect_from(two, daemon.address(0)).expect_alive();
    before.expect_alive();
}

#[test]
fn reload_changes_request_line_limit() {
    let (_site, settings, mut daemon) = start("limits.request-line", "600");
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
    let (dir, settings, mut daemon) = start("limits.rate-per-connection", "0");
    publish_large(&dir);
    let running = slow_client(&daemon, Encoding::Raw);
    let mut limited = daemon.client();
    daemon.wait_connections("sending", 1);
    daemon.reload(&settings.clone().set("limits.rate-per-connection", "\"100 KiB\"")).expect_code(0);
    let start = Instant::now();
    let outcome = limited.slice(Encoding::Raw, "large", 0, 300 << 10);
    assert_eq!(outcome.map(|bytes| bytes.len()), Ok(300 << 10));
    assert!(start.elapsed() > Duration::from_millis(2700), "300 KiB in {:?}", start.elapsed());
    // At the limited rate this takes eight minutes.
    limited.send(slice_request(Encoding::Raw, "large", 0, LARGE));
    daemon.wait_connections("sending", 2);
    daemon.reload(&settings).expect_code(0);
    let start = Instant::now();
    expect_whole(&mut [running, (limited, Encoding::Raw)]);
    assert!(start.elapsed() < LONG, "twice {LARGE} bytes in {:?}", start.elapsed());
}

#[test]
fn reload_changes_idle_timeout() {
    let (_site, settings, mut daemon) = start("timeouts.idle", "\"1s\"");
    daemon.client().expect_close();
    daemon.reload(&settings.clone().set("timeouts.idle", "\"5m\"")).expect_code(0);
    let mut before = admitted(&daemon);
    daemon.reload(&settings).expect_code(0);
    // When this one is closed, a second has passed. The other started to wait with a timeout of five minutes.
    daemon.client().expect_close();
    before.ask(PROBE, PROBE_ANSWER);
    before.expect_close();
}

#[test]
fn reload_changes_request_timeout() {
    let (_site, settings, mut daemon) = start("timeouts.request", "\"5m\"");
    let mut before = daemon.client();
    before.send("get_metadata a");
    daemon.wait_connections("reading", 1);
    daemon.reload(&settings.clone().set("timeouts.request", "\"1s\"")).expect_code(0);
    let mut client = daemon.client();
    client.ask("get_metadata a", "101 BAD REQUEST\r\n");
    client.expect_close();
    daemon.reload(&settings).expect_code(0);
    before.ask("10\r\n", "0 OK\r\n10\r\n");
}

#[test]
fn reload_lowers_stall_timeout() {
    let (dir, settings, mut daemon) = start("timeouts.stall", "\"5m\"");
    publish_large(&dir);
    daemon.reload(&settings.set("timeouts.stall", "\"1s\"")).expect_code(0);
    let client = slow_client(&daemon, Encoding::Fragments);
    daemon.wait_connections("sending", 1);
    daemon.wait_connections("total", 0);
    expect_incomplete(&mut [client]);
}

#[test]
fn reload_changes_drain_timeout() {
    let (dir, settings, mut daemon) = start("timeouts.drain", "\"5m\"");
    publish_large(&dir);
    let client = slow_client(&daemon, Encoding::Raw);
    daemon.wait_connections("sending", 1);
    daemon.reload(&settings.set("timeouts.drain", "\"1s\"")).expect_code(0);
    let start = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(start.elapsed() > Duration::from_millis(900), "cut after {:?}", start.elapsed());
    expect_incomplete(&mut [client]);
}

#[test]
fn reload_changes_file_settings_of_open_connections() {
    let (dir, settings, mut daemon) = start("files.hidden", "false");
    dir.file(".hidden", b"h");
    dir.link("link", "a10");
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["a10", "empty", "link", "noread"]);
    client.ask("get_metadata at@b\r\n", "201 INVALID ARGUMENTS FOR COMMAND\r\n");
    let changed = settings.clone().set("files.hidden", "true").set("files.symlinks", "\"never\"");
    daemon.reload(&changed.set("files.names", "\"printable\"")).expect_code(0);
    assert_eq!(client.listing(), [".hidden", "a10", "at@b", "empty", "noread"]);
    client.ask("get_metadata link\r\n", "202 FILE NOT FOUND\r\n");
    client.ask("get_metadata .hidden\r\n", "0 OK\r\n1\r\n");
    daemon.reload(&settings).expect_code(0);
    assert_eq!(client.listing(), ["a10", "empty", "link", "noread"]);
}

#[test]
fn reload_changes_access_log() {
    let (_site, settings, mut daemon) = start("log.access", "true");
    let mut client = daemon.client();
    client.ask("get_metadata first\r\n", "202 FILE NOT FOUND\r\n");
    daemon.wait_stderr(0, "get_metadata first");
    daemon.reload(&settings.clone().set("log.access", "false")).expect_code(0);
    client.ask("get_metadata second\r\n", "202 FILE NOT FOUND\r\n");
    daemon.reload(&settings).expect_code(0);
    client.ask("get_metadata third\r\n", "202 FILE NOT FOUND\r\n");
    daemon.wait_stderr(0, "get_metadata third");
    let lines = daemon.stderr_lines();
    assert!(!lines.iter().any(|line| line.contains("second")), "{lines:#?}");
}
