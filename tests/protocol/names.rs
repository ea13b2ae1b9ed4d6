//! Names in requests and in listings.

use std::fs;

use crate::support::{Daemon, Settings, TestDir};

const INVALID: &str = "201 INVALID ARGUMENTS FOR COMMAND\r\n";
const NOT_FOUND: &str = "202 FILE NOT FOUND\r\n";

#[test]
fn listing_is_sorted_by_bytes() {
    let dir = TestDir::new();
    for name in ["b", "a", "B", "_", "-", "0", "10", "9", "a.b", "a-b", "a_b", "ab", "Z", "zz", "a0"] {
        dir.file(name, b"");
    }
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let wanted = "- 0 10 9 B Z _ a a-b a.b a0 a_b ab b zz";
    assert_eq!(daemon.client().listing().join(" "), wanted);
}

#[test]
fn empty_listing_is_an_empty_line() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    client.ask("get_file_listing\r\n", "0 OK\r\n\r\n");
    client.expect_alive();
}

#[test]
fn portable_names_allow_letters_digits_dot_hyphen_underscore() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for byte in (0..=255_u8).filter(|byte| ![b' ', b'\n'].contains(byte)) {
        let allowed = byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let request = [b"get_metadata x", [byte].as_slice(), b"y\r\n"].concat();
        client.ask(request, if allowed { NOT_FOUND } else { INVALID });
    }
}

#[test]
fn printable_names_allow_every_visible_byte_except_slash() {
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("files.names", "\"printable\""));
    let mut client = daemon.client();
    for byte in (0..=255_u8).filter(|byte| ![b' ', b'\n'].contains(byte)) {
        let allowed = byte.is_ascii_graphic() && byte != b'/';
        let request = [b"get_metadata x", [byte].as_slice(), b"y\r\n"].concat();
        client.ask(request, if allowed { NOT_FOUND } else { INVALID });
    }
}

#[test]
fn printable_names_are_served_and_listed() {
    let dir = TestDir::of_the_examples();
    dir.file("~!\"#$%&'()*+,:;<=>?@[\\]^`{|}", b"twelve bytes");
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("files.names", "\"printable\""));
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["a10", "at@b", "empty", "noread", "~!\"#$%&'()*+,:;<=>?@[\\]^`{|}"]);
    client.ask("get_metadata at@b\r\n", "0 OK\r\n2\r\n");
    client.ask("get_metadata ~!\"#$%&'()*+,:;<=>?@[\\]^`{|}\r\n", "0 OK\r\n12\r\n");
    client.ask("get_slice at@b 0 2 raw\r\n", "0 OK\r\nContent-Length: 2\r\n\r\nat");
    client.ask("get_metadata bad name\r\n", INVALID);
    client.ask("get_metadata ../root/a10\r\n", INVALID);
    client.expect_alive();
}

#[test]
fn hidden_names_are_neither_listed_nor_served() {
    let dir = TestDir::of_the_examples();
    dir.file(".hidden", b"secret");
    dir.file("..hidden", b"secret");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["a10", "empty", "noread"]);
    for name in [".hidden", "..hidden", ".", "..", "...", ".absent"] {
        client.ask(format!("get_metadata {name}\r\n"), NOT_FOUND);
        client.ask(format!("get_slice {name} 0 1\r\n"), NOT_FOUND);
    }
}

#[test]
fn hidden_names_are_served_if_configured() {
    let dir = TestDir::of_the_examples();
    dir.file(".hidden", b"secret");
    dir.file("..hidden", b"secret too");
    fs::create_dir(dir.root().join(".dir")).expect("a directory");
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("files.hidden", "true"));
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["..hidden", ".hidden", "a10", "empty", "noread"]);
    client.ask("get_metadata .hidden\r\n", "0 OK\r\n6\r\n");
    client.ask("get_metadata ..hidden\r\n", "0 OK\r\n10\r\n");
    for name in [".", "..", ".dir"] {
        client.ask(format!("get_metadata {name}\r\n"), NOT_FOUND);
    }
}
