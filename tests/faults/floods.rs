//! Many connections at once.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::process::expect_no_spinning;
use crate::support::proc::anonymous_kib;
use crate::support::{
    ALL_ENCODINGS, Client, Daemon, Settings, TestDir, expect_whole, meanwhile, publish_large, slow_client_of,
    slow_clients,
};
use crate::{expect_served, for_ten_thousand};

#[test]
fn idle_connection_of_10000_costs_less_than_1_kib() {
    const CLIENTS: usize = 10_000;
    let Some((_alone, _site, daemon)) = for_ten_thousand() else { return };
    expect_served(&daemon);
    let before = anonymous_kib(daemon.pid());
    let clients: Vec<Client> = (0..CLIENTS).map(|_| daemon.client()).collect();
    daemon.wait_connections("idle", CLIENTS as u64);
    let each = (anonymous_kib(daemon.pid()).saturating_sub(before)) * 1024 / CLIENTS as u64;
    println!("{each} bytes a connection of {CLIENTS}");
    assert!(each < 1024, "an idle connection costs {each} bytes");
    expect_no_spinning(&daemon);
    let begin = Instant::now();
    for _ in 0..20 {
        daemon.client().ask("get_metadata a10\r\nquit\r\n", "0 OK\r\n10\r\n0 OK\r\n");
    }
    assert!(begin.elapsed() < Duration::from_secs(1), "twenty other requests took {:?}", begin.elapsed());
    drop(clients);
    daemon.wait_connections("total", 0);
}

#[test]
fn flood_from_one_address_does_not_delay_others() {
    const LIMIT: usize = 16;
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir)
        .set("limits.connections", "1000")
        .set("limits.connections-per-address", &LIMIT.to_string())
        .set("log.access", "false");
    let daemon = Daemon::start(&dir, &settings);
    let flooding = Ipv4Addr::new(127, 0, 0, 9);
    let mut clients: Vec<Client> = (0..LIMIT).map(|_| Client::connect_from(flooding, daemon.address(0))).collect();
    clients.iter_mut().for_each(Client::expect_alive);
    let before = anonymous_kib(daemon.pid());
    let (refusals, slowest) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let flood = || {
        let mut refused: Vec<Client> = (0..100).map(|_| Client::connect_from(flooding, daemon.address(0))).collect();
        for client in &mut refused {
            let line = client.line();
            assert!(line.starts_with("199 "), "{line:?}");
            refusals.fetch_add(1, Ordering::Relaxed);
        }
        // Without TIME-WAIT, which would use up the ports of the address.
        refused.into_iter().for_each(Client::reset);
    };
    meanwhile(2, flood, || {
        for _ in 0..200 {
            let begin = Instant::now();
            daemon.client().ask("get_metadata a10\r\nquit\r\n", "0 OK\r\n10\r\n0 OK\r\n");
            slowest.fetch_max(usize::try_from(begin.elapsed().as_millis()).expect("few"), Ordering::Relaxed);
        }
    });
    println!("{refusals:?} refused; the slowest other request took {slowest:?} ms");
    assert!(refusals.into_inner() > 200, "too few connections for a flood");
    assert!(slowest.into_inner() < 1000, "the flood delays others");
    clients.iter_mut().for_each(Client::expect_alive);
    let growth = anonymous_kib(daemon.pid()).saturating_sub(before);
    assert!(growth < 4096, "the flood made the daemon grow by {growth} KiB");
    let lines = daemon.stderr_lines();
    assert!(lines.len() < 10, "the flood caused {} log lines: {lines:#?}", lines.len());
}

#[test]
fn resets_during_a_drain_do_not_affect_other_transfers() {
    let dir = TestDir::new();
    publish_large(&dir);
    let mut daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all().set("timeouts.drain", "\"5m\""));
    let mut kept = slow_clients(&daemon);
    let reset = ALL_ENCODINGS.map(|(listener, encoding)| slow_client_of(&daemon, listener, encoding));
    daemon.wait_connections("sending", 2 * kept.len() as u64);
    daemon.drain();
    reset.into_iter().for_each(|(client, _)| client.reset());
    daemon.wait_connections("sending", kept.len() as u64);
    expect_whole(&mut kept);
    kept.iter_mut().for_each(|(client, _)| client.expect_close());
    assert_eq!(daemon.wait_exit().code(), Some(0));
}
