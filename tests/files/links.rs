//! Symbolic links.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Daemon, Settings, Site, put};
use crate::{holds, not_found};

const STAYING: [&str; 5] = ["chain-inside", "dotted", "round-trip", "stays", "to-sub"];
const LEAVING: [&str; 14] = [
    "absolute",
    "absolute-inside",
    "dangling",
    "leaves",
    "leaves-and-returns",
    "leaves-through-sub",
    "loop",
    "parent",
    "proc",
    "returns-by-name",
    "self",
    "to-dir",
    "to-root",
    "to-slash",
];

/// A root with a link of every kind. `a10` and `sub/inner` are what may be reached.
fn site() -> Site {
    let site = Site::of_the_examples();
    let inner = site.root().join("sub");
    put(&inner.join("inner"), b"inner");
    site.dir("outside", &[("secret", b"secret")]);
    symlink("../root/a10", site.at("outside/return")).expect("a link");
    symlink("../a10", inner.join("back")).expect("a link");
    symlink("../../outside/secret", inner.join("out")).expect("a link");

    site.link("stays", "a10");
    site.link("to-sub", "sub/inner");
    site.link("chain-inside", "sub/back");
    site.link("round-trip", "sub/../a10");
    site.link("dotted", "./sub/./inner");

    site.link("absolute", "/etc/passwd");
    site.link("absolute-inside", site.root().join("a10"));
    site.link("dangling", "nowhere");
    site.link("leaves", "../outside/secret");
    site.link("leaves-and-returns", "../outside/return");
    site.link("leaves-through-sub", "sub/out");
    site.link("loop", "self");
    site.link("self", "loop");
    site.link("parent", "..");
    site.link("proc", "/proc/self/status");
    site.link("returns-by-name", "../root/a10");
    site.link("to-dir", "sub");
    site.link("to-root", ".");
    site.link("to-slash", "/");
    site
}

#[test]
fn links_within_the_root_are_followed() {
    let site = site();
    let daemon = Daemon::start(&site, &Settings::new(&site));
    let mut client = daemon.client();
    for name in STAYING {
        let bytes = if ["to-sub", "dotted"].contains(&name) { "inner" } else { "0123456789" };
        holds(&mut client, name, bytes);
    }
    for name in LEAVING {
        not_found(&mut client, name);
    }
}

#[test]
fn listing_contains_only_links_that_are_served() {
    let site = site();
    let daemon = Daemon::start(&site, &Settings::new(&site));
    let wanted = ["a10", "chain-inside", "dotted", "empty", "noread", "round-trip", "stays", "to-sub"];
    assert_eq!(daemon.client().listing(), wanted);
}

#[test]
fn symlinks_never_follows_no_link() {
    let site = site();
    let daemon = Daemon::start(&site, &Settings::new(&site).set("files.symlinks", "\"never\""));
    let mut client = daemon.client();
    for name in STAYING.iter().chain(&LEAVING) {
        not_found(&mut client, name);
    }
    assert_eq!(client.listing(), ["a10", "empty", "noread"]);
    holds(&mut client, "a10", "0123456789");
}

#[test]
fn redirected_links_are_checked_again() {
    let site = site();
    let daemon = Daemon::start(&site, &Settings::new(&site));
    let mut client = daemon.client();
    holds(&mut client, "stays", "0123456789");
    crate::support::site::switch_link(&site.root().join("stays"), "../outside/secret");
    not_found(&mut client, "stays");
    crate::support::site::switch_link(&site.root().join("stays"), "sub/inner");
    holds(&mut client, "stays", "inner");
    fs::remove_file(site.root().join("sub/inner")).expect("rm");
    not_found(&mut client, "stays");
}

#[test]
fn root_may_be_a_link_with_symlinks_never() {
    let site = site();
    site.dir("v1", &[("f", b"one")]);
    symlink("v1", site.at("current")).expect("a link");
    let settings = Settings::new(&site).root(&site.at("current")).set("files.symlinks", "\"never\"");
    let daemon = Daemon::start(&site, &settings);
    holds(&mut daemon.client(), "f", "one");
}
