//! Servers that are broken or hostile.

use std::time::{Duration, Instant};

use hftpd::client::{Client, Error, Listing, Options};
use hftpd::wire::Encoding;

use crate::support::stand_in::StandIn;
use crate::{SHORT, client, client_in, options, read, server_with};

/// A client with a timeout that is waited for.
fn hasty(server: &StandIn) -> Client {
    Client::new(&server_with(server.address(), Options { timeout: SHORT, encoding: Some(Encoding::Raw), ..options() }))
}

#[test]
fn wrong_answers_are_errors_that_cannot_pass() {
    let table: [(Encoding, &str); 14] = [
        (Encoding::Raw, "0 OK\r\nContent-Length: 5\r\n\r\n01234"),
        (Encoding::Raw, "0 OK\r\nContent-Length: 3\r\n\r\n012"),
        (Encoding::Raw, "0 OK\r\nContent-Length: -4\r\n\r\n0123"),
        (Encoding::Raw, "0 OK\r\nContent-Length: 99999999999999999999\r\n\r\n0123"),
        (Encoding::Raw, "0 OK\r\nContent-Length: 4\r\n\r\n0123 and more"),
        (Encoding::Fragments, "0 OK\r\n5 01234\r\n0 \r\n"),
        (Encoding::Fragments, "0 OK\r\n-1 0\r\n0 \r\n"),
        (Encoding::Fragments, "0 OK\r\n18446744073709551617 0\r\n0 \r\n"),
        (Encoding::Fragments, "0 OK\r\n2 01\r\n0 \r\n"),
        (Encoding::Plain, "0 OK\r\n01234\r\n"),
        (Encoding::Base64, "0 OK\r\nMDEyMzQ=\r\n"),
        (Encoding::Base64, "0 OK\r\nMDEy*w==\r\n"),
        (Encoding::Raw, "HTTP/1.1 200 OK\r\n\r\n"),
        (Encoding::Raw, "7 OK\r\n"),
    ];
    for (encoding, answer) in table {
        let server = StandIn::answering(move |_| answer.as_bytes().to_vec());
        let error = read(&mut client_in(server.address(), encoding), "a", 0, 4).expect_err(answer);
        assert!(matches!(error, Error::Malformed { .. } | Error::Excess { .. }), "{answer:?}: {error:?}");
        assert!(!error.can_pass(), "{answer:?}: {error}");
    }
}

#[test]
fn sizes_that_are_none_are_errors() {
    for size in ["-1", "", "1e9", "99999999999999999999", "0x10", " 7", "7 "] {
        let server = StandIn::answering(move |_| format!("0 OK\r\n{size}\r\n").into_bytes());
        let error = client(server.address()).size("a").expect_err(size);
        assert!(matches!(error, Error::Malformed { .. }), "{size:?}: {error}");
    }
}

#[test]
fn cut_answers_are_errors_that_can_pass() {
    for answer in ["", "0", "0 OK\r\n", "0 OK\r\nContent-Length: 4\r\n\r\n", "0 OK\r\nContent-Length: 4\r\n\r\n012"] {
        let server = StandIn::start(move |_, mut requests| {
            if requests.next().is_some() {
                requests.send(answer.as_bytes());
            }
        });
        let error = read(&mut client_in(server.address(), Encoding::Raw), "a", 0, 4).expect_err(answer);
        assert!(matches!(error, Error::Closed { .. }) && error.can_pass(), "{answer:?}: {error:?}");
    }
}

#[test]
fn endless_lines_end() {
    let server = StandIn::start(|_, mut requests| {
        requests.next();
        while requests.send(&[b'0'; 1000]) {}
    });
    for encoding in [Encoding::Raw, Encoding::Fragments, Encoding::Plain, Encoding::Base64] {
        let error = read(&mut client_in(server.address(), encoding), "a", 0, 4).expect_err("no answer");
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    let error = client(server.address()).list().expect_err("no listing");
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    let error = read(&mut client(server.address()), "a", 0, 4).expect_err("no answer");
    assert!(error.to_string().contains("expected a code") || error.to_string().contains("line too long"), "{error}");
}

#[test]
fn endless_listing_ends_within_its_memory() {
    let server = StandIn::start(|_, mut requests| {
        requests.next();
        let mut names = vec![b'n'; 512];
        names.extend_from_slice(b"\r\n");
        let names = names.repeat(1000);
        requests.send(b"0 OK\r\n");
        while requests.send(&names) {}
    });
    let error = client(server.address()).list().expect_err("no listing");
    assert!(matches!(error, Error::LongListing { .. }), "{error}");
}

#[test]
fn a_million_names_are_listed() {
    let server = StandIn::answering(|_| {
        let names: String = (0..1_000_000).map(|index| format!("{index}\r\n")).collect();
        format!("0 OK\r\n{names}\r\n").into_bytes()
    });
    let listing: Listing = client(server.address()).list().expect("a listing");
    assert_eq!((listing.len(), listing.iter().last()), (1_000_000, Some(&b"999999"[..])));
}

#[test]
fn silence_ends_at_the_timeout() {
    for answer in ["", "0 OK\r\nContent-Length: 4\r\n\r\n01"] {
        let server = StandIn::start(move |_, mut requests| {
            requests.next();
            requests.send(answer.as_bytes());
            // Until the client closes.
            requests.next();
        });
        let begun = Instant::now();
        let error = read(&mut hasty(&server), "a", 0, 4).expect_err("nothing more");
        assert!(matches!(error, Error::Silent { .. }) && error.can_pass(), "{error}");
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_byte_now_and_then_is_silence() {
    for head in ["", "0 OK\r\n", "0 OK\r\nContent-Length: 100000\r\n\r\n"] {
        let server = StandIn::start(move |_, mut requests| {
            requests.next();
            requests.send(head.as_bytes());
            while requests.send(b"0") {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let begun = Instant::now();
        let error = read(&mut hasty(&server), "a", 0, 100_000).expect_err("too slow");
        assert!(matches!(error, Error::Silent { .. } | Error::Malformed { .. }), "{error}");
        assert!(begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
    }
}

#[test]
fn text_of_the_server_is_shown_without_its_escapes() {
    let server = StandIn::answering(|_| b"202 \x1b[2J\x07GONE\xff\r\n".to_vec());
    let error = client(server.address()).size("a").expect_err("no such file");
    assert!(error.to_string().ends_with("answered 202 \\x1b[2J\\x07GONE\\xff"), "{error}");
}

#[test]
fn refused_connections_and_unknown_hosts_are_errors() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr()).expect("a port");
    let error = client(gone).list().expect_err("nobody listens");
    assert!(matches!(error, Error::Connect { .. }) && error.can_pass(), "{error}");
    let address = "no-such-host.invalid".parse().expect("an address");
    let error = Client::new(&hftpd::client::Server::new(address, options())).list().expect_err("no such host");
    assert!(matches!(error, Error::Resolve { .. }) && !error.can_pass(), "{error}");
}
