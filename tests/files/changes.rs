//! Files that change between requests, and while they are sent.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};

use crate::support::client::Client;
use crate::support::content::{self, Checker};
use crate::support::daemon::Daemon;
use crate::support::decode::{Fault, Form};
use crate::support::settings::Settings;
use crate::support::site::{Site, put};
use crate::support::slow::{expect_whole, slow_in_all_forms};
use crate::support::{in_parallel, show};
use crate::{holds, not_found};

#[test]
fn file_changes_are_visible_to_the_next_request() {
    let site = Site::new();
    let path = site.file("f", b"first");
    let daemon = Daemon::start(&site, &Settings::new(&site));
    let mut client = daemon.client();
    for round in 0..20 {
        holds(&mut client, "f", "first");
        put(&site.at("fresh"), b"renamed over");
        fs::rename(site.at("fresh"), &path).expect("rename");
        holds(&mut client, "f", "renamed over");
        put(&path, format!("rewritten in place {round}").as_bytes());
        holds(&mut client, "f", &format!("rewritten in place {round}"));
        let mut file = OpenOptions::new().append(true).open(&path).expect("open to append");
        file.write_all(b", and more").expect("append");
        holds(&mut client, "f", &format!("rewritten in place {round}, and more"));
        file.set_len(9).expect("truncate");
        holds(&mut client, "f", "rewritten");
        fs::remove_file(&path).expect("rm");
        not_found(&mut client, "f");
        put(&path, b"");
        holds(&mut client, "f", "");
        put(&path, b"first");
    }
}

#[test]
fn directory_changes_are_visible_to_the_next_listing() {
    let site = Site::new();
    let daemon = Daemon::start(&site, &Settings::new(&site));
    let mut client = daemon.client();
    for _ in 0..20 {
        assert!(client.listing().is_empty());
        site.file("one", b"");
        assert_eq!(client.listing(), ["one"]);
        site.file("two", b"");
        assert_eq!(client.listing(), ["one", "two"]);
        fs::rename(site.root().join("one"), site.root().join("three")).expect("rename");
        assert_eq!(client.listing(), ["three", "two"]);
        fs::remove_file(site.root().join("three")).expect("rm");
        fs::remove_file(site.root().join("two")).expect("rm");
    }
}

const LARGE: u64 = 48 << 20;

#[test]
fn replaced_file_is_sent_whole() {
    let site = Site::new();
    let path = site.root().join("f");
    content::write(&path, 1, LARGE);
    let daemon = Daemon::start(&site, &Settings::new(&site).listen_all());
    let mut clients = slow_in_all_forms(&daemon, "f", LARGE);
    content::write(&site.at("fresh"), 2, LARGE / 2);
    fs::rename(site.at("fresh"), &path).expect("rename");
    expect_whole(&mut clients, 1, LARGE);
    for (client, form) in &mut clients {
        assert_eq!(client.size("f"), Ok(LARGE / 2), "{form:?}: the next request sees the new file");
    }
}

#[test]
fn truncated_file_leaves_the_answer_incomplete() {
    let site = Site::new();
    let daemon = Daemon::start(&site, &Settings::new(&site).listen_all());
    in_parallel(5, &Form::ALL, |&(listener, form)| {
        let name = format!("f{listener}-{}", form == Form::Raw);
        let path = site.root().join(&name);
        content::write(&path, 3, LARGE);
        let mut client = Client::connect_narrow(daemon.address(listener));
        client.send(form.request(&name, 0, LARGE));
        client.expect("0 OK\r\n");
        OpenOptions::new().write(true).open(&path).expect("open").set_len(0).expect("truncate");

        // What was on its way arrives, and then the connection ends, with nothing to say that all is well.
        let mut head_again = b"0 OK\r\n".chain(client.into_reader());
        let mut checker = Checker::new(3, 0);
        let fault = form.read(&mut head_again, LARGE, &mut |bytes| checker.take(bytes));
        assert!(matches!(fault, Err(Fault::Ended { .. })), "{form:?}: {fault:?}");
        assert!(checker.offset < LARGE, "{form:?}: all {LARGE} bytes came of a file that was cut");
        assert_eq!(checker.wrong_at, None, "{form:?}: a wrong byte among the {} that came", checker.offset);
    });
    holds(&mut daemon.client(), "f0-false", "");
}

#[test]
fn slices_of_a_growing_file_have_its_bytes() {
    let site = Site::new();
    let path = site.file("log", b"");
    let daemon = Daemon::start(&site, &Settings::new(&site));
    let mut client = daemon.client();
    let mut file = OpenOptions::new().append(true).open(&path).expect("open to append");
    let mut offset = 0;
    for round in 0..100 {
        file.write_all(&content::pattern(4, offset, 1000 + round)).expect("append");
        let size = client.size("log").expect("a size");
        assert_eq!(size, offset + 1000 + round as u64);
        let bytes = client.slice(Form::Fragments, "log", offset, size - offset).expect("what was appended");
        assert!(bytes == content::pattern(4, offset, 1000 + round), "round {round}: {}", show(&bytes));
        offset = size;
    }
}
