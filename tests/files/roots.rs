//! The root is a path: each request uses the directory that is there at that time.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::{Daemon, HELP_ANSWER, Settings, TestDir, set_mode, switch_link};
use crate::{INVALID, UNREADABLE, expect_199, expect_content, expect_not_found};

#[test]
fn recreated_root_is_visible_to_the_next_request() {
    let dir = TestDir::new();
    dir.file("f", b"old");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for round in 0..10 {
        fs::remove_dir_all(dir.root()).expect("rm -r");
        fs::create_dir(dir.root()).expect("mkdir");
        set_mode(&dir.root(), 0o755);
        let bytes = format!("round {round}");
        dir.file("f", bytes.as_bytes());
        dir.file(format!("only-in-{round}"), b"");
        expect_content(&mut client, "f", &bytes);
        assert_eq!(client.listing(), ["f".to_owned(), format!("only-in-{round}")]);
    }
}

#[test]
fn missing_root_is_199_for_requests_that_need_it() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut before = daemon.client();
    expect_content(&mut before, "a10", "0123456789");
    let mut waiting = daemon.client();
    waiting.expect_alive();
    fs::rename(dir.root(), dir.at("away")).expect("rename");

    before.ask("get_metadata a10\r\n", UNREADABLE);
    before.expect_close();
    for request in
        ["get_file_listing\r\n", "get_metadata a10\r\n", "get_slice a10 0 1\r\n", "get_slice a10 0 1 raw\r\n"]
    {
        expect_199(&daemon, request);
    }
    let mut client = daemon.client();
    client.ask("verdura\r\n", "200 NO SUCH COMMAND\r\n");
    client.ask("get_metadata a@b\r\n", INVALID);
    client.ask("help\r\n", HELP_ANSWER);

    fs::rename(dir.at("away"), dir.root()).expect("rename");
    expect_content(&mut client, "a10", "0123456789");
    expect_content(&mut waiting, "a10", "0123456789");
}

#[test]
fn root_replaced_by_a_file_is_199() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    fs::rename(dir.root(), dir.at("away")).expect("rename");
    fs::write(dir.root(), b"a file where the root was").expect("a file");
    expect_199(&daemon, "get_file_listing\r\n");
    expect_199(&daemon, "get_metadata a10\r\n");
    fs::remove_file(dir.root()).expect("rm");
    fs::rename(dir.at("away"), dir.root()).expect("rename");
    expect_content(&mut daemon.client(), "a10", "0123456789");
}

#[test]
fn exchanged_root_is_visible_to_the_next_request() {
    let dir = TestDir::new();
    dir.file("f", b"one");
    dir.create_dir("next", &[("f", b"the other"), ("g", b"")]);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for _ in 0..10 {
        expect_content(&mut client, "f", "one");
        expect_not_found(&mut client, "g");
        assert_eq!(client.listing(), ["f"]);
        renameat_with(CWD, dir.root(), CWD, dir.at("next"), RenameFlags::EXCHANGE).expect("exchange");
        expect_content(&mut client, "f", "the other");
        expect_content(&mut client, "g", "");
        assert_eq!(client.listing(), ["f", "g"]);
        renameat_with(CWD, dir.root(), CWD, dir.at("next"), RenameFlags::EXCHANGE).expect("exchange");
    }
}

#[test]
fn switched_root_link_is_visible_to_the_next_request() {
    let dir = TestDir::new();
    dir.create_dir("v1", &[("f", b"one")]);
    dir.create_dir("v2", &[("f", b"the other"), ("g", b"")]);
    symlink("v1", dir.at("current")).expect("a link");
    let daemon = Daemon::start(&dir, &Settings::new(&dir).root(&dir.at("current")));
    let mut client = daemon.client();
    for _ in 0..10 {
        expect_content(&mut client, "f", "one");
        assert_eq!(client.listing(), ["f"]);
        switch_link(&dir.at("current"), "v2");
        expect_content(&mut client, "f", "the other");
        assert_eq!(client.listing(), ["f", "g"]);
        switch_link(&dir.at("current"), "v1");
    }
    switch_link(&dir.at("current"), "nowhere");
    expect_199(&daemon, "get_metadata f\r\n");
    switch_link(&dir.at("current"), "v2");
    expect_content(&mut daemon.client(), "f", "the other");
}

#[test]
fn switched_link_above_the_root_is_visible() {
    let dir = TestDir::new();
    for (version, bytes) in [("v1", "one"), ("v2", "the other")] {
        dir.create_dir(version, &[]);
        dir.create_dir(&format!("{version}/public"), &[("f", bytes.as_bytes())]);
    }
    symlink("v1", dir.at("current")).expect("a link");
    let daemon = Daemon::start(&dir, &Settings::new(&dir).root(&dir.at("current/public")));
    let mut client = daemon.client();
    expect_content(&mut client, "f", "one");
    switch_link(&dir.at("current"), "v2");
    expect_content(&mut client, "f", "the other");
}
