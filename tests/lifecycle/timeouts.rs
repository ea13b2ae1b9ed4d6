//! Timeouts of slow and idle clients.

use std::time::{Duration, Instant};

use crate::support::{
    ALL_ENCODINGS, Client, Daemon, LARGE, LONG, Settings, TestDir, expect_incomplete, in_parallel, publish_large,
    slice_request, slow_clients,
};

#[test]
fn idle_connection_is_closed_silently() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("timeouts.idle", "\"2s\""));
    let mut silent = daemon.client();
    let mut active = daemon.client();
    for _ in 0..12 {
        // Every request restarts the timeout, so the connection outlives it.
        active.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
        std::thread::sleep(Duration::from_millis(200));
    }
    let start = Instant::now();
    active.expect_close();
    assert!(start.elapsed() > Duration::from_millis(1500), "closed after {:?}, too early", start.elapsed());
    silent.expect_close();
}

#[test]
fn slow_request_is_101_even_if_bytes_keep_coming() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("timeouts.request", "\"1s\""));
    in_parallel(3, &["g", "get_metadata a10\r\nhel", "get_metadata a"], |start| {
        let mut client = daemon.client();
        client.send(start);
        if start.contains('\n') {
            client.expect("0 OK\r\n10\r\n");
        }
        let begin = Instant::now();
        client.stream().set_read_timeout(Some(Duration::from_millis(100))).expect("SO_RCVTIMEO");
        while client.stream().peek(&mut [0]).is_err() {
            client.send_if_possible(b"x");
            assert!(begin.elapsed() < LONG, "no answer within {:?}", begin.elapsed());
        }
        assert!(begin.elapsed() > Duration::from_millis(800), "answered after {:?}, too early", begin.elapsed());
        client.expect("101 BAD REQUEST\r\n");
        client.expect_close();
    });
}

#[test]
fn stalled_client_is_closed() {
    let dir = TestDir::new();
    publish_large(&dir);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all().set("timeouts.stall", "\"1s\""));
    let mut clients = slow_clients(&daemon);
    daemon.wait_connections("total", 0);
    expect_incomplete(&mut clients);
}

#[test]
fn slow_reader_is_not_closed() {
    let dir = TestDir::new();
    publish_large(&dir);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all().set("timeouts.stall", "\"2s\""));
    in_parallel(5, &ALL_ENCODINGS, |&(listener, encoding)| {
        let mut client = Client::connect_narrow(daemon.address(listener));
        client.send(slice_request(encoding, "large", 0, LARGE));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            client.exactly(32 << 10);
            std::thread::sleep(Duration::from_millis(100));
        }
        // More than the kernel would still hold of a closed connection.
        client.exactly(40 << 20);
    });
}
