//! Lines up to the limit and longer, and names of any length.

use crate::support::{Client, Daemon, Settings, TestDir};

const MIB: usize = 1 << 20;
const TOO_LONG: &str = "101 BAD REQUEST\r\n";
const BAD_EOL: &str = "100 BAD EOL\r\n";
const NO_SUCH_COMMAND: &str = "200 NO SUCH COMMAND\r\n";
const INVALID: &str = "201 INVALID ARGUMENTS FOR COMMAND\r\n";
const NOT_FOUND: &str = "202 FILE NOT FOUND\r\n";

/// A line of this length with this beginning, without its end.
fn line(start: &str, length: usize) -> Vec<u8> {
    let mut line = start.as_bytes().to_vec();
    line.resize(length, b'a');
    line
}

fn with_end(mut line: Vec<u8>, end: &str) -> Vec<u8> {
    line.extend_from_slice(end.as_bytes());
    line
}

#[track_caller]
fn stays_open(daemon: &Daemon, send: &[u8], answer: &str) {
    let mut client = daemon.client();
    client.ask(send, answer);
    client.expect_alive();
}

#[track_caller]
fn closes(daemon: &Daemon, send: &[u8], answer: &str) {
    let mut client = daemon.client();
    client.send_if_possible(send);
    client.expect(answer);
    client.expect_close();
}

#[test]
fn line_limit_is_exact() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("limits.request-line", "1024"));

    stays_open(&daemon, &with_end(line("", 1024), "\r\n"), NO_SUCH_COMMAND);
    stays_open(&daemon, &with_end(line("get_metadata ", 1024), "\r\n"), NOT_FOUND);
    closes(&daemon, &with_end(line("", 1025), "\r\n"), TOO_LONG);
    closes(&daemon, &with_end(line("get_metadata ", 1025), "\r\n"), TOO_LONG);
    closes(&daemon, &vec![b' '; 1025], TOO_LONG);
    // A CR that no LF follows counts.
    closes(&daemon, &with_end(line("", 1024), "\r\r\n"), TOO_LONG);
    closes(&daemon, &with_end(line("", 1024), "\rx"), TOO_LONG);
    stays_open(&daemon, &with_end(line("", 1023), "\r\r\n"), NO_SUCH_COMMAND);
}

#[test]
fn too_long_line_is_answered_before_its_end() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("limits.request-line", "1024"));
    closes(&daemon, &line("", 1025), TOO_LONG);
    closes(&daemon, &line("get_metadata ", 5000), TOO_LONG);
    closes(
        &daemon,
        &with_end(b"get_metadata a10\r\n".to_vec(), &"x".repeat(1025)),
        "0 OK\r\n10\r\n101 BAD REQUEST\r\n",
    );
}

#[test]
fn first_error_of_a_line_decides() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("limits.request-line", "1024"));
    closes(&daemon, &with_end(line("", 1024), "\n"), BAD_EOL);
    closes(&daemon, &with_end(line("", 1025), "\n"), TOO_LONG);
    closes(&daemon, &with_end(with_end(line("", 500), "\n"), &"x".repeat(2000)), BAD_EOL);
    closes(&daemon, &with_end(line("", 5000), "\nqui\nt\r\n"), TOO_LONG);
}

#[test]
fn limit_applies_to_lines_not_packets() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("limits.request-line", "1024"));
    stays_open(&daemon, "get_metadata a10\r\n".repeat(300).as_bytes(), &"0 OK\r\n10\r\n".repeat(300));
    let long = with_end(line("get_metadata ", 1024), "\r\n");
    stays_open(&daemon, &long.repeat(50), &NOT_FOUND.repeat(50));
}

#[test]
fn default_line_limit_is_8_mib() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    stays_open(&daemon, &with_end(line("get_metadata ", 8 * MIB), "\r\n"), NOT_FOUND);
    closes(&daemon, &line("get_metadata ", 8 * MIB + 1), TOO_LONG);
}

#[test]
fn names_of_255_bytes_are_served() {
    let dir = TestDir::of_the_examples();
    let longest = "n".repeat(255);
    dir.file(&longest, b"here");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    client.ask(format!("get_metadata {longest}\r\n"), "0 OK\r\n4\r\n");
    client.ask(format!("get_slice {longest} 1 2 raw\r\n"), "0 OK\r\nContent-Length: 2\r\n\r\ner");
    client.ask(format!("get_metadata {longest}n\r\n"), NOT_FOUND);
    client.ask(format!("get_slice {longest}n 0 0\r\n"), NOT_FOUND);
    client.ask(format!("get_metadata {}\r\n", "n".repeat(4096)), NOT_FOUND);
    client.expect_alive();
}

#[test]
fn name_of_5_mib_is_parsed() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let name = "n".repeat(5 * MIB);
    let mut client = daemon.client();
    let mut ask = |request: String, answer: &str| answers(&mut client, &request, answer);
    ask(format!("get_metadata {name}\r\n"), NOT_FOUND);
    ask(format!("get_slice {name} 0 1\r\n"), NOT_FOUND);
    ask(format!("get_slice {name} 0 99999999999999999999 raw\r\n"), NOT_FOUND);
    ask(format!("get_slice {name} 0 1 RAW\r\n"), INVALID);
    ask(format!("get_slice {name} 0 x\r\n"), INVALID);
    ask(format!("get_slice {name}\r\n"), INVALID);
    ask(format!("get_metadata {name}@\r\n"), INVALID);
    ask(format!("get_metadata {name}@{}\r\n", &name[..1000]), INVALID);
    ask(format!("get_metadata @{name}\r\n"), INVALID);
    ask(format!("get_metadata {name} a\r\n"), INVALID);
    ask(format!("get_metadata {name} \r\n"), INVALID);
    ask(format!("get_metadata {name}\r\r\n"), INVALID);
    ask("get_metadata a10\r\n".to_owned(), "0 OK\r\n10\r\n");
}

#[test]
fn every_element_may_be_long() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    let mut ask = |request: String, answer: &str| answers(&mut client, &request, answer);
    ask(format!("{}\r\n", "help".repeat(MIB)), NO_SUCH_COMMAND);
    ask(format!("help{}\r\n", " ".repeat(MIB)), INVALID);
    ask(format!("{}help\r\n", " ".repeat(MIB)), NO_SUCH_COMMAND);
    ask(format!("get_metadata{}\r\n", " a".repeat(MIB)), INVALID);
    ask(format!("get_slice a10 {}3 4 raw\r\n", "0".repeat(MIB)), "0 OK\r\nContent-Length: 4\r\n\r\n3456");
    ask(format!("get_slice a10 3 {}4 raw\r\n", "0".repeat(MIB)), "0 OK\r\nContent-Length: 4\r\n\r\n3456");
    ask(format!("get_slice a10 {} 4\r\n", "9".repeat(MIB)), "203 OFFSET EXCEEDS FILE SIZE\r\n");
    ask(format!("get_slice a10 {}x 4\r\n", "9".repeat(MIB)), INVALID);
    ask(format!("get_slice a10 0 1 {}\r\n", "raw".repeat(MIB)), INVALID);
    closes(&daemon, format!("{}\r\n", " \t".repeat(MIB)).as_bytes(), TOO_LONG);
    closes(&daemon, format!("get_metadata {}\n", "n".repeat(MIB)).as_bytes(), BAD_EOL);
}

#[track_caller]
fn answers(client: &mut Client, request: &str, answer: &str) {
    client.ask(request, answer);
    client.expect_alive();
}
