//! Requests to the daemon.

use std::io::Read;
use std::sync::{Arc, Mutex};

use hftpd::client::{Client, Error, Options, Trace};

use crate::support::{ALL_ENCODINGS, Daemon, Settings, TestDir, content, put};
use crate::{client, client_in, options, read, read_in_pieces, server_with};

#[test]
fn slices_are_the_bytes_of_the_file_in_every_encoding() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let sizes = [0, 1, 2, 3, 1000, 5 << 20];
    for size in sizes {
        content::write(&dir.root().join(format!("f{size}")), size, size);
    }
    for (listener, encoding) in ALL_ENCODINGS {
        let mut client = client_in(daemon.address(listener), encoding);
        for size in sizes {
            let name = format!("f{size}");
            assert_eq!(client.size(&name).expect("its size"), size);
            let whole = content::pattern(size, 0, size as usize);
            assert!(read(&mut client, &name, 0, size).expect(&name) == whole, "{encoding:?}, {name}");
            let (offset, length) = (size / 3, size / 2);
            let part = &whole[offset as usize..][..length as usize];
            assert!(read_in_pieces(&mut client, &name, offset, length) == part, "{encoding:?}, a part of {name}");
        }
    }
}

#[test]
fn raw_is_found_out_and_used() {
    let dir = TestDir::new();
    dir.file("a10", b"0123456789");
    dir.file("empty", b"");
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    for listener in 0..4 {
        let mut client = client(daemon.address(listener));
        assert_eq!(read(&mut client, "empty", 0, 0).expect("no bytes"), b"");
        assert_eq!(read(&mut client, "a10", 3, 4).expect("four bytes"), b"3456");
        assert_eq!(client.server().encoding(), Some(hftpd::wire::Encoding::Raw));
        assert_eq!(read(&mut client, "a10", 10, 0).expect("no bytes"), b"");
    }
}

#[test]
fn answers_other_than_ok_leave_the_connection_usable() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = client(daemon.address(0));
    assert_eq!(client.size("absent").expect_err("no such file").code(), Some(202));
    assert!(client.size("sub").expect_err("a directory").is_not_found());
    assert_eq!(client.slice("a10", 0, 11).expect_err("beyond its end").code(), Some(203));
    assert_eq!(client.slice("at@b", 0, 1).expect_err("a name that is not allowed").code(), Some(201));
    assert_eq!(client.size("a10").expect("its size"), 10);
    let names = client.list().expect("a listing");
    assert_eq!(names.iter().collect::<Vec<_>>(), [&b"a10"[..], b"empty", b"noread"]);
    daemon.wait_connections("total", 1);
}

#[test]
fn names_that_would_be_other_requests_are_not_sent() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = client(daemon.address(0));
    for name in ["", "a b", "a\r\nquit", "../a", "\u{e9}", &"n".repeat(256)] {
        let error = client.size(name).expect_err("no request holds this");
        assert!(matches!(error, Error::Name(_)), "{name:?}: {error}");
    }
    assert!(client.list().expect("the connection is unharmed").is_empty());
}

#[test]
fn fatal_answers_and_dropped_slices_open_a_new_connection() {
    let dir = TestDir::new();
    content::write(&dir.root().join("large"), 1, 48 << 20);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = client(daemon.address(0));
    let mut slice = client.slice("large", 0, 48 << 20).expect("a slice");
    assert!(slice.chunk().expect("its beginning").is_some());
    drop(slice);
    assert_eq!(client.size("large").expect("a new connection"), 48 << 20);
    std::fs::rename(dir.root(), dir.at("gone")).expect("rename");
    let error = client.list().expect_err("no root");
    assert_eq!((error.code(), error.can_pass()), (Some(199), true), "{error}");
    std::fs::rename(dir.at("gone"), dir.root()).expect("rename");
    assert_eq!(client.list().expect("a new connection").len(), 1);
}

#[test]
fn a_thousand_queued_requests_take_few_round_trips() {
    let dir = TestDir::new();
    let files: Vec<(String, Vec<u8>)> =
        (0..1000).map(|index| (format!("f{index:03}"), content::pattern(index, 0, index as usize % 300))).collect();
    files.iter().for_each(|(name, bytes)| drop(put(&dir.root().join(name), bytes)));
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    for (listener, encoding) in ALL_ENCODINGS {
        let mut client = client_in(daemon.address(listener), encoding);
        let (mut queued, mut waits) = (0, 0);
        for (name, bytes) in &files {
            if client.pending() == 0 {
                waits += 1;
            }
            while client.has_room() && queued < files.len() {
                let (name, bytes) = &files[queued];
                client.queue_slice(name, 0, bytes.len() as u64).expect("a request");
                queued += 1;
            }
            let mut slice = client.next_slice().expect("a slice");
            let mut received = Vec::new();
            while let Some(chunk) = slice.chunk().expect("its bytes") {
                received.extend_from_slice(chunk);
            }
            assert!(received == *bytes, "{encoding:?}, {name}");
        }
        assert_eq!((client.pending(), waits), (0, 1), "{encoding:?}");
    }
}

#[test]
fn failed_request_in_a_queue_leaves_the_others() {
    let dir = TestDir::new();
    dir.file("a", b"first");
    dir.file("c", b"third");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = client(daemon.address(0));
    for name in ["a", "b", "c"] {
        client.queue_slice(name, 0, 5).expect("a request");
    }
    let mut received = String::new();
    client.next_slice().expect("a").read_to_string(&mut received).expect("its bytes");
    assert_eq!(client.next_slice().expect_err("absent").code(), Some(202));
    client.next_slice().expect("c").read_to_string(&mut received).expect("its bytes");
    assert_eq!(received, "firstthird");
}

#[test]
fn trace_shows_the_conversation() {
    let dir = TestDir::new();
    dir.file("a10", b"0123456789");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    let trace = move |step: Trace<'_>| {
        log.lock().expect("no panic").push(match step {
            Trace::Note(text) => format!("* {text}"),
            Trace::Sent(text) => format!("> {text}"),
            Trace::Received(text) => format!("< {text}"),
        });
    };
    let options = Options { trace: Some(Arc::new(trace)), ..options() };
    let mut client = Client::new(&server_with(daemon.address(0), options));
    read(&mut client, "a10", 2, 3).expect("three bytes");
    let address = daemon.address(0);
    let wanted = [
        format!("* connected to {address}"),
        "> get_slice a10 2 1 raw".to_owned(),
        "< 0 OK".to_owned(),
        format!("* {address} sends slices as raw"),
        "> get_slice a10 2 3 raw".to_owned(),
        "< 0 OK".to_owned(),
    ];
    assert_eq!(*said.lock().expect("no panic"), wanted);
}
