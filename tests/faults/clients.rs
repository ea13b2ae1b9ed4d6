//! Hostile clients, and their cost for the daemon and for other clients.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::proc::anonymous_kib;
use crate::support::{
    ALL_ENCODINGS, Client, Daemon, Encoding, Settings, TestDir, content, in_parallel, proc, slice_request,
};
use crate::{expect_served, for_ten_thousand};

const LARGE: u64 = 48 << 20;

#[test]
fn reset_during_an_answer_closes_only_that_connection() {
    let dir = TestDir::new();
    content::write(&dir.root().join("large"), 1, LARGE);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let mut other = daemon.client();
    for round in 0..4 {
        for (listener, encoding) in ALL_ENCODINGS {
            let mut client = Client::connect_narrow(daemon.address(listener));
            client.send(slice_request(encoding, "large", 0, LARGE));
            if round % 2 == 0 {
                client.expect("0 OK\r\n");
            }
            client.reset();
        }
        let slice = other.slice(Encoding::Fragments, "large", 1000, 100_000);
        assert!(slice.as_deref() == Ok(&content::pattern(1, 1000, 100_000)), "wrong bytes");
    }
    daemon.wait_connections("total", 1);
    other.expect_alive();
}

#[test]
fn last_bytes_of_an_answer_are_sent_without_delay() {
    let dir = TestDir::new();
    content::write(&dir.root().join("f"), 1, 1 << 20);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    for size in [65_536, 65_536 + 100, 2 * 65_536 + 100, 3 * 65_536 + 1, 7 * 65_536 + 100] {
        for encoding in [Encoding::Raw, Encoding::Fragments] {
            let times: Vec<Duration> = (0..30)
                .map(|_| {
                    let mut client = daemon.client();
                    let begin = Instant::now();
                    let bytes = client.slice(encoding, "f", 0, size).expect("a slice");
                    assert_eq!(bytes.len() as u64, size);
                    begin.elapsed()
                })
                .collect();
            // With MSG_MORE set on the last bytes the kernel would delay them by 200 ms. A loaded machine may delay a few.
            let slow = times.iter().filter(|time| time.as_millis() >= 150).count();
            assert!(slow < 4, "{size} bytes, {encoding:?}: {times:?}");
        }
    }
}

#[test]
fn clients_that_never_read_do_not_delay_200_others() {
    const OTHERS: usize = 200;
    const SIZE: u64 = 300_000;
    let dir = TestDir::new();
    content::write(&dir.root().join("large"), 1, LARGE);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all().set("log.access", "false"));
    let stuck: Vec<Client> = ALL_ENCODINGS
        .iter()
        .map(|&(listener, encoding)| {
            let mut client = Client::connect_narrow(daemon.address(listener));
            client.send(slice_request(encoding, "large", 0, LARGE).repeat(100));
            client
        })
        .collect();
    daemon.wait_connections("sending", stuck.len() as u64);
    let slowest = AtomicUsize::new(0);
    in_parallel(8, &[(); OTHERS], |()| {
        let mut client = daemon.client();
        for round in 0..5 {
            let offset = round * 1_000_000;
            let begin = Instant::now();
            let slice = client.slice(Encoding::Raw, "large", offset, SIZE).expect("a slice");
            slowest.fetch_max(usize::try_from(begin.elapsed().as_millis()).expect("few"), Ordering::Relaxed);
            assert!(slice == content::pattern(1, offset, slice.len()), "wrong bytes");
        }
    });
    let slowest = slowest.into_inner();
    assert!(slowest < 2000, "{SIZE} bytes took {slowest} ms");
    daemon.wait_connections("sending", stuck.len() as u64);
}

#[test]
fn unfinished_lines_of_10000_clients_fit_into_64_mib() {
    const CLIENTS: usize = 10_000;
    const THREADS: usize = 4;
    let Some((_alone, _site, daemon)) = for_ten_thousand() else { return };
    let part = vec![b'x'; 16 << 10];
    let parts: Vec<usize> = (0..THREADS).collect();
    let clients = std::sync::Mutex::new(Vec::with_capacity(CLIENTS));
    in_parallel(THREADS, &parts, |_| {
        for number in 0..CLIENTS / THREADS {
            let mut client = daemon.client();
            // The parser handles names, other fields and unknown commands in different states.
            client.send(["get_metadata ", "get_slice a10 0 ", ""][number % 3]);
            client.send(&part);
            clients.lock().expect("no panic").push(client);
        }
    });
    daemon.wait_connections("reading", CLIENTS as u64);
    expect_served(&daemon);
    // The cost of a line does not depend on its length: some continue to limits.request-line.
    let mut clients = clients.into_inner().expect("no panic");
    let whole = vec![b'x'; 8 << 20];
    for clients in clients.chunks_mut(20).take(THREADS) {
        std::thread::scope(|scope| {
            for client in clients {
                scope.spawn(|| {
                    client.send(&whole[part.len() + "get_slice a10 0 ".len()..]);
                    client.send_if_possible(&part);
                    client.expect("101 BAD REQUEST\r\n");
                });
            }
        });
    }
    let peak = proc::peak_kib(daemon.pid());
    println!("{peak} KiB at most for {CLIENTS} clients");
    assert!(peak < 64 << 10, "{CLIENTS} unfinished lines cost {peak} KiB");
    expect_served(&daemon);
    clients.into_iter().for_each(Client::reset);
    daemon.wait_connections("total", 0);
}

#[test]
fn client_that_never_reads_costs_less_than_128_kib() {
    const CLIENTS: usize = 100;
    let dir = TestDir::new();
    content::write(&dir.root().join("large"), 1, LARGE);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    expect_served(&daemon);
    let before = anonymous_kib(daemon.pid());
    let stuck: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            let (listener, encoding) = ALL_ENCODINGS[number % ALL_ENCODINGS.len()];
            let mut client = Client::connect_narrow(daemon.address(listener));
            client.send(slice_request(encoding, "large", 0, LARGE) + &"help\r\n".repeat(1000));
            client
        })
        .collect();
    daemon.wait_connections("sending", CLIENTS as u64);
    expect_served(&daemon);
    let each = anonymous_kib(daemon.pid()).saturating_sub(before) / CLIENTS as u64;
    println!("{each} KiB a client");
    assert!(each < 128, "a client that does not read costs {each} KiB");
    drop(stuck);
}

#[test]
fn slow_readers_share_listings_that_cannot_be_cached() {
    const NAMES: usize = 15_000;
    const CLIENTS: u64 = 30;
    let dir = TestDir::new();
    // The target of a link may change at any time, so each request reads the directory.
    std::os::unix::fs::symlink(format!("{:0255}", 0), dir.root().join("link")).expect("symlink");
    for number in 0..NAMES {
        std::fs::File::create(dir.root().join(format!("{number:0255}"))).expect("a file");
    }
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut slow: Vec<Client> = (0..CLIENTS).map(|_| Client::connect_narrow(daemon.address(0))).collect();
    for client in &mut slow {
        client.send("get_file_listing\r\n");
        client.expect("0 OK\r\n");
    }
    daemon.wait_connections("sending", CLIENTS);
    let mut client = daemon.client();
    client.send("get_file_listing\r\n");
    client.expect("0 OK\r\n");
    assert_eq!(client.exactly(NAMES * 257 + 6).len(), NAMES * 257 + 6);
    client.expect("\r\n");
}
