//! Files that change between requests, and while they are sent.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use crate::support::content::Checker;
use crate::support::{
    ALL_ENCODINGS, Client, Daemon, Encoding, Fault, LARGE, Settings, TestDir, content, expect_whole, in_parallel,
    publish_large, put, read_slice, set_mode, show, slice_request, slow_clients,
};
use crate::{expect_199, expect_content, expect_not_found};

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(bytes)).expect("append");
}

fn truncate(path: &Path, size: u64) {
    OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(size)).expect("truncate");
}

#[test]
fn file_changes_are_visible_to_the_next_request() {
    let dir = TestDir::new();
    let path = dir.file("f", b"first");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for round in 0..20 {
        expect_content(&mut client, "f", "first");
        put(&dir.at("fresh"), b"renamed over");
        fs::rename(dir.at("fresh"), &path).expect("rename");
        expect_content(&mut client, "f", "renamed over");
        put(&path, format!("rewritten in place {round}").as_bytes());
        expect_content(&mut client, "f", &format!("rewritten in place {round}"));
        append(&path, b", and more");
        expect_content(&mut client, "f", &format!("rewritten in place {round}, and more"));
        truncate(&path, 9);
        expect_content(&mut client, "f", "rewritten");
        fs::remove_file(&path).expect("rm");
        expect_not_found(&mut client, "f");
        put(&path, b"");
        expect_content(&mut client, "f", "");
        put(&path, b"first");
    }
}

#[test]
fn directory_changes_are_visible_to_the_next_listing() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for _ in 0..20 {
        assert!(client.listing().is_empty());
        dir.file("one", b"");
        assert_eq!(client.listing(), ["one"]);
        dir.file("two", b"");
        assert_eq!(client.listing(), ["one", "two"]);
        fs::rename(dir.root().join("one"), dir.root().join("three")).expect("rename");
        assert_eq!(client.listing(), ["three", "two"]);
        fs::remove_file(dir.root().join("three")).expect("rm");
        fs::remove_file(dir.root().join("two")).expect("rm");
    }
}

/// Changes something while answers in every encoding are under way. All of them arrive whole, with the old bytes.
fn change_while_sending(change: impl FnOnce(&TestDir, &Path)) -> (TestDir, Daemon) {
    let dir = TestDir::new();
    let path = publish_large(&dir);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let mut clients = slow_clients(&daemon);
    change(&dir, &path);
    expect_whole(&mut clients);
    (dir, daemon)
}

#[test]
fn replaced_file_is_sent_whole() {
    let (_site, daemon) = change_while_sending(|dir, path| {
        put(&dir.at("fresh"), b"another");
        fs::rename(dir.at("fresh"), path).expect("rename");
    });
    expect_content(&mut daemon.client(), "large", "another");
}

#[test]
fn growing_file_is_sent_with_its_old_size() {
    let (_site, daemon) = change_while_sending(|_, path| append(path, &[0; 1 << 20]));
    assert_eq!(daemon.client().size("large"), Ok(LARGE + (1 << 20)));
}

#[test]
fn deleted_file_is_sent_whole() {
    let (_site, daemon) = change_while_sending(|_, path| fs::remove_file(path).expect("rm"));
    expect_not_found(&mut daemon.client(), "large");
}

#[test]
fn file_without_permission_is_sent_whole() {
    let (_site, daemon) = change_while_sending(|_, path| set_mode(path, 0o000));
    assert_eq!(daemon.client().size("large"), Ok(LARGE));
    expect_199(&daemon, "get_slice large 0 1\r\n");
}

#[test]
fn emptied_or_forbidden_root_does_not_affect_running_answers() {
    let (dir, daemon) = change_while_sending(|dir, path| {
        fs::remove_file(path).expect("rm");
        set_mode(&dir.root(), 0o000);
    });
    expect_199(&daemon, "get_file_listing\r\n");
    expect_199(&daemon, "get_metadata large\r\n");
    set_mode(&dir.root(), 0o755);
    assert!(daemon.client().listing().is_empty());
}

#[test]
fn truncated_file_leaves_the_answer_incomplete() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    in_parallel(5, &ALL_ENCODINGS, |&(listener, encoding)| {
        let name = format!("f{listener}-{}", encoding == Encoding::Raw);
        let path = dir.root().join(&name);
        content::write(&path, 3, LARGE);
        let mut client = Client::connect_narrow(daemon.address(listener));
        client.send(slice_request(encoding, &name, 0, LARGE));
        client.expect("0 OK\r\n");
        truncate(&path, 0);

        // Bytes that were already sent arrive. Then the connection ends within the answer.
        let mut answer = b"0 OK\r\n".chain(client.into_reader());
        let mut checker = Checker::new(3, 0);
        let fault = read_slice(encoding, &mut answer, LARGE, &mut |bytes| checker.take(bytes));
        assert!(matches!(fault, Err(Fault::Ended { .. })), "{encoding:?}: {fault:?}");
        assert!(checker.offset < LARGE, "{encoding:?}: all {LARGE} bytes of a truncated file");
        assert_eq!(checker.wrong_at, None, "{encoding:?}: a wrong byte among {}", checker.offset);
    });
    expect_content(&mut daemon.client(), "f0-false", "");
}

#[test]
fn slices_of_a_growing_file_have_its_bytes() {
    let dir = TestDir::new();
    let path = dir.file("log", b"");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    let mut offset = 0;
    for round in 0..100 {
        append(&path, &content::pattern(4, offset, 1000 + round));
        let size = client.size("log").expect("a size");
        assert_eq!(size, offset + 1000 + round as u64);
        let bytes = client.slice(Encoding::Fragments, "log", offset, size - offset).expect("what was appended");
        assert!(bytes == content::pattern(4, offset, 1000 + round), "round {round}: {}", show(&bytes));
        offset = size;
    }
}
