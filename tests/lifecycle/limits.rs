//! A full house, and clients that are not welcome.

use std::net::Ipv4Addr;

use crate::support::client::Client;
use crate::support::content;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::settings::Settings;
use crate::support::site::Site;

/// Reads a 199 line and the close.
#[track_caller]
fn expect_unwelcome(client: &mut Client) {
    let line = client.line();
    assert!(line.starts_with("199 ") && line.len() > 4, "{line:?}");
    client.expect_close();
}

/// A client that is in and has been answered.
#[track_caller]
fn admitted(daemon: &Daemon) -> Client {
    let mut client = daemon.client();
    client.expect_alive();
    client
}

/// Connects until there is room.
#[track_caller]
fn eventually_admitted(daemon: &Daemon) -> Client {
    let mut found = None;
    eventually("room for another client", || {
        let mut client = daemon.client();
        client.send_if_possible(crate::support::client::PROBE);
        let line = client.line();
        found = Some(client);
        if line.starts_with("202 ") { Ok(()) } else { Err(line) }
    });
    found.expect("there was room")
}

#[test]
fn the_client_over_the_limit_reads_199_and_is_closed() {
    let site = Site::of_the_examples();
    let daemon = Daemon::start(&site, &Settings::new(&site).set("limits.connections", "3"));
    let mut inside: Vec<_> = (0..3).map(|_| admitted(&daemon)).collect();
    for _ in 0..5 {
        expect_unwelcome(&mut daemon.client());
        let mut eager = daemon.client();
        eager.send_if_possible(b"get_file_listing\r\n");
        expect_unwelcome(&mut eager);
    }
    for client in &mut inside {
        client.expect_alive();
    }
    inside.pop();
    let mut another = eventually_admitted(&daemon);
    another.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    expect_unwelcome(&mut daemon.client());
}

#[test]
fn no_address_takes_more_than_its_share() {
    let site = Site::of_the_examples();
    let daemon = Daemon::start(&site, &Settings::new(&site).set("limits.connections-per-address", "2"));
    let mut inside = [admitted(&daemon), admitted(&daemon)];
    expect_unwelcome(&mut daemon.client());
    let other = Ipv4Addr::new(127, 0, 0, 9);
    let mut others = [(); 2].map(|()| Client::connect_from(other, daemon.address(0)));
    for client in inside.iter_mut().chain(&mut others) {
        client.expect_alive();
    }
    expect_unwelcome(&mut Client::connect_from(other, daemon.address(0)));
    drop(inside);
    eventually_admitted(&daemon);
    expect_unwelcome(&mut Client::connect_from(other, daemon.address(0)));
}

#[test]
fn addresses_are_welcome_or_not() {
    let site = Site::of_the_examples();
    let welcome = Ipv4Addr::new(127, 0, 1, 1);
    let denied = Ipv4Addr::new(127, 0, 1, 2);
    let settings =
        Settings::new(&site).set("limits.allow", "[\"127.0.1.0/24\"]").set("limits.deny", "[\"127.0.1.2/32\"]");
    let daemon = Daemon::start(&site, &settings);
    Client::connect_from(welcome, daemon.address(0)).expect_alive();
    expect_unwelcome(&mut Client::connect_from(denied, daemon.address(0)));
    expect_unwelcome(&mut daemon.client());
    let daemon = Daemon::start(&site, &Settings::new(&site).set("limits.deny", "[\"127.0.1.2/32\"]"));
    Client::connect_from(welcome, daemon.address(0)).expect_alive();
    expect_unwelcome(&mut Client::connect_from(denied, daemon.address(0)));
}

#[test]
fn a_rate_is_kept() {
    const SIZE: usize = 600_000;
    let site = Site::new();
    content::write(&site.root().join("f"), 1, SIZE as u64);
    let daemon = Daemon::start(&site, &Settings::new(&site).set("limits.rate-per-connection", "\"200 KiB\""));
    let mut client = daemon.client();
    let start = std::time::Instant::now();
    client.send(format!("get_slice f 0 {SIZE} raw\r\n"));
    client.expect(format!("0 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
    assert!(client.exactly(SIZE) == content::pattern(1, 0, SIZE), "other bytes than the file's");
    // A burst of a second's worth is nobody's harm.
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds > 1.5, "{SIZE} bytes in {seconds} s");
    client.expect_alive();
}
