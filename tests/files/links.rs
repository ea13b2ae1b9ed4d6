//! Symbolic links.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Daemon, Settings, TestDir, put, switch_link};
use crate::{expect_content, expect_not_found};

/// Links that are served, with their targets and the content of the file.
const SERVED: [(&str, &str, &str); 5] = [
    ("stays", "a10", "0123456789"),
    ("to-sub", "sub/inner", "inner"),
    ("chain-inside", "sub/back", "0123456789"),
    ("round-trip", "sub/../a10", "0123456789"),
    ("dotted", "./sub/./inner", "inner"),
];

/// Links that are not served, with their targets.
const REFUSED: [(&str, &str); 13] = [
    ("absolute", "/etc/passwd"),
    ("dangling", "nowhere"),
    ("leaves", "../outside/secret"),
    ("leaves-and-returns", "../outside/return"),
    ("leaves-through-sub", "sub/out"),
    ("loop", "self"),
    ("self", "loop"),
    ("parent", ".."),
    ("proc", "/proc/self/status"),
    ("returns-by-name", "../root/a10"),
    ("to-dir", "sub"),
    ("to-root", "."),
    ("to-slash", "/"),
];

/// A root with all these links.
fn dir() -> TestDir {
    let dir = TestDir::of_the_examples();
    let inner = dir.root().join("sub");
    put(&inner.join("inner"), b"inner");
    dir.create_dir("outside", &[("secret", b"secret")]);
    symlink("../root/a10", dir.at("outside/return")).expect("a link");
    symlink("../a10", inner.join("back")).expect("a link");
    symlink("../../outside/secret", inner.join("out")).expect("a link");
    SERVED.iter().for_each(|(name, target, _)| dir.link(name, target));
    REFUSED.iter().for_each(|(name, target)| dir.link(name, target));
    dir.link("absolute-inside", dir.root().join("a10"));
    dir
}

#[test]
fn links_within_the_root_are_followed() {
    let dir = dir();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for (name, _, bytes) in SERVED {
        expect_content(&mut client, name, bytes);
    }
    for name in REFUSED.map(|(name, _)| name).into_iter().chain(["absolute-inside"]) {
        expect_not_found(&mut client, name);
    }
}

#[test]
fn listing_contains_only_links_that_are_served() {
    let dir = dir();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let wanted = ["a10", "chain-inside", "dotted", "empty", "noread", "round-trip", "stays", "to-sub"];
    assert_eq!(daemon.client().listing(), wanted);
}

#[test]
fn symlinks_never_follows_no_link() {
    let dir = dir();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("files.symlinks", "\"never\""));
    let mut client = daemon.client();
    for name in SERVED.map(|(name, ..)| name).into_iter().chain(REFUSED.map(|(name, _)| name)) {
        expect_not_found(&mut client, name);
    }
    assert_eq!(client.listing(), ["a10", "empty", "noread"]);
    expect_content(&mut client, "a10", "0123456789");
}

#[test]
fn redirected_links_are_checked_again() {
    let dir = dir();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    expect_content(&mut client, "stays", "0123456789");
    switch_link(&dir.root().join("stays"), "../outside/secret");
    expect_not_found(&mut client, "stays");
    switch_link(&dir.root().join("stays"), "sub/inner");
    expect_content(&mut client, "stays", "inner");
    fs::remove_file(dir.root().join("sub/inner")).expect("rm");
    expect_not_found(&mut client, "stays");
}

#[test]
fn root_may_be_a_link_with_symlinks_never() {
    let dir = dir();
    dir.create_dir("v1", &[("f", b"one")]);
    symlink("v1", dir.at("current")).expect("a link");
    let settings = Settings::new(&dir).root(&dir.at("current")).set("files.symlinks", "\"never\"");
    let daemon = Daemon::start(&dir, &settings);
    expect_content(&mut daemon.client(), "f", "one");
}
