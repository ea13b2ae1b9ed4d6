//! Names that look like paths, and names that are not valid.

use std::fs;

use crate::support::{Daemon, Settings, TestDir, put, set_mode};
use crate::{INVALID, UNREADABLE, expect_199, expect_content, expect_not_found};

fn dir() -> TestDir {
    let dir = TestDir::of_the_examples();
    put(&dir.root().join("sub/inner"), b"inner");
    put(&dir.at("secret"), b"secret");
    dir
}

#[test]
fn names_with_slashes_or_controls_are_invalid() {
    let dir = dir();
    let outside = dir.at("secret");
    for names in ["portable", "printable"] {
        let settings = Settings::new(&dir).set("files.names", &format!("{names:?}")).set("files.hidden", "true");
        let daemon = Daemon::start(&dir, &settings);
        let mut client = daemon.client();
        for name in [
            "../secret",
            "/etc/passwd",
            "/",
            "//",
            "./a10",
            "a10/",
            "a10/.",
            "sub/inner",
            "sub/../a10",
            "sub/../../secret",
            "../root/a10",
            "..//secret",
            "/proc/self/root/etc/passwd",
            "a10\u{0}",
            "\u{0}",
            "a10\u{0}/../secret",
            "a10\u{1}",
            "a10\u{1b}[2J",
            "a10\r",
            "\u{7f}",
            "a\u{e9}",
            "\u{2025}",
            "\u{ff0e}\u{ff0e}",
            outside.to_str().expect("a path in ASCII"),
        ] {
            client.ask(format!("get_metadata {name}\r\n"), INVALID);
            client.ask(format!("get_slice {name} 0 1\r\n"), INVALID);
        }
        for name in ["..", ".", "...", "sub", "secret", "root", "inner", "a10.", ".a10", "-", "--", "~root"] {
            if names == "printable" || !name.contains('~') {
                expect_not_found(&mut client, name);
            }
        }
        expect_content(&mut client, "a10", "0123456789");
    }
}

#[test]
fn shell_and_url_syntax_has_no_meaning_in_names() {
    let dir = dir();
    let settings = Settings::new(&dir).set("files.names", "\"printable\"").set("files.hidden", "true");
    let daemon = Daemon::start(&dir, &settings);
    let mut client = daemon.client();
    for name in
        ["..\\secret", "%2e%2e%2fsecret", "..%2fsecret", "$HOME", "`id`", "*", "a1?", "|id", "a10;id", "C:", "a10:s"]
    {
        expect_not_found(&mut client, name);
        dir.file(name, b"just a name");
        expect_content(&mut client, name, "just a name");
    }
}

#[test]
fn invalid_names_are_not_listed() {
    let dir = dir();
    for name in [
        b"two words".as_slice(),
        b" leading",
        b"trailing ",
        b"line\r\nbreak",
        b"feed\n",
        b"\r\n",
        b"return\r",
        b"tab\t",
        b"\x01",
        b"\x7f",
        b"\xc3\xb1and\xc3\xba",
        b"\xff",
        b"escape\x1b[31m",
        b"star*",
    ] {
        dir.file_named(name, b"x");
    }
    dir.file(".hidden", b"x");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    daemon.client().ask("get_file_listing\r\n", "0 OK\r\na10\r\nempty\r\nnoread\r\n\r\n");

    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("files.names", "\"printable\""));
    daemon.client().ask("get_file_listing\r\n", "0 OK\r\na10\r\nat@b\r\nempty\r\nnoread\r\nstar*\r\n\r\n");
}

#[test]
fn unreadable_file_has_metadata_but_no_slices() {
    let dir = dir();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let mut client = daemon.client();
    client.ask("get_metadata noread\r\n", "0 OK\r\n10\r\n");
    client.ask("get_slice noread 10 1\r\n", "203 OFFSET EXCEEDS FILE SIZE\r\n");
    for index in 0..4 {
        for raw in ["", " raw"] {
            let mut client = daemon.client_of(index);
            client.ask(format!("get_slice noread 2 3{raw}\r\n"), UNREADABLE);
            client.expect_close();
        }
    }
}

#[test]
fn unlistable_root_is_199_and_not_empty() {
    let dir = dir();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    assert_eq!(daemon.client().listing(), ["a10", "empty", "noread"]);
    set_mode(&dir.root(), 0o311);
    expect_199(&daemon, "get_file_listing\r\n");
    set_mode(&dir.root(), 0o755);
    assert_eq!(daemon.client().listing(), ["a10", "empty", "noread"]);
    fs::remove_file(dir.root().join("a10")).expect("rm");
    assert_eq!(daemon.client().listing(), ["empty", "noread"]);
}
