//! OFFSET and SIZE.

use crate::row::{On, Row, closes, open, replay};
use crate::support::{Daemon, Settings, TestDir};

const INVALID: &[u8] = b"201 INVALID ARGUMENTS FOR COMMAND\r\n";
const BEYOND: &[u8] = b"203 OFFSET EXCEEDS FILE SIZE\r\n";
const NOTHING_RAW: &[u8] = b"0 OK\r\nContent-Length: 0\r\n\r\n";

const NUMBERS: &[Row] = &[
    open(b"get_slice a10 0 10\r\n", b"0 OK\r\n10 0123456789\r\n0 \r\n").on(On::Fragments),
    open(b"get_slice a10 0 10\r\n", b"0 OK\r\n0123456789\r\n").on(On::Plain),
    open(b"get_slice a10 0 10\r\n", b"0 OK\r\nMDEyMzQ1Njc4OQ==\r\n").on(On::Base64),
    open(b"get_slice a10 0 9\r\n", b"0 OK\r\nMDEyMzQ1Njc4\r\n").on(On::Base64),
    open(b"get_slice a10 1 8\r\n", b"0 OK\r\nMTIzNDU2Nzg=\r\n").on(On::Base64),
    open(b"get_slice a10 0 10 raw\r\n", b"0 OK\r\nContent-Length: 10\r\n\r\n0123456789"),
    open(b"get_slice a10 9 1 raw\r\n", b"0 OK\r\nContent-Length: 1\r\n\r\n9"),
    open(b"get_slice a10 5 0\r\n", b"0 OK\r\n0 \r\n").on(On::Fragments),
    open(b"get_slice a10 5 0\r\n", b"0 OK\r\n\r\n").on(On::Plain),
    open(b"get_slice a10 5 0\r\n", b"0 OK\r\n\r\n").on(On::Base64),
    open(b"get_slice a10 10 0\r\n", b"0 OK\r\n\r\n").on(On::Plain),
    open(b"get_slice empty 0 0\r\n", b"0 OK\r\n0 \r\n").on(On::Fragments),
    open(b"get_slice empty 0 0\r\n", b"0 OK\r\n\r\n").on(On::Plain),
    open(b"get_slice empty 0 0\r\n", b"0 OK\r\n\r\n").on(On::Base64),
    open(b"get_slice a10 10 0 raw\r\n", NOTHING_RAW),
    open(b"get_metadata empty\r\n", b"0 OK\r\n0\r\n"),
    open(b"get_slice a10 00000000000000000000000000000003 4 raw\r\n", b"0 OK\r\nContent-Length: 4\r\n\r\n3456"),
    open(b"get_slice a10 3 00000000000000000000000000000004 raw\r\n", b"0 OK\r\nContent-Length: 4\r\n\r\n3456"),
    open(b"get_slice a10 000 000 raw\r\n", NOTHING_RAW),
    open(b"get_slice a10 10 1\r\n", BEYOND),
    open(b"get_slice a10 11 0\r\n", BEYOND),
    open(b"get_slice a10 9 2 raw\r\n", BEYOND),
    open(b"get_slice empty 0 1\r\n", BEYOND),
    open(b"get_slice empty 1 0\r\n", BEYOND),
    open(b"get_slice a10 4294967296 0\r\n", BEYOND),
    open(b"get_slice a10 0 4294967306\r\n", BEYOND),
    open(b"get_slice a10 9223372036854775807 0\r\n", BEYOND),
    open(b"get_slice a10 9223372036854775808 9223372036854775808\r\n", BEYOND),
    open(b"get_slice a10 18446744073709551615 1\r\n", BEYOND),
    open(b"get_slice a10 1 18446744073709551615\r\n", BEYOND),
    open(b"get_slice a10 5 18446744073709551612\r\n", BEYOND),
    open(b"get_slice a10 18446744073709551615 18446744073709551615\r\n", BEYOND),
    open(b"get_slice a10 18446744073709551616 0\r\n", BEYOND),
    open(b"get_slice a10 0 18446744073709551616\r\n", BEYOND),
    open(b"get_slice a10 18446744073709551619 4\r\n", BEYOND),
    open(b"get_slice a10 3 18446744073709551620\r\n", BEYOND),
    open(b"get_slice a10 0 99999999999999999999\r\n", BEYOND),
    open(b"get_slice a10 340282366920938463463374607431768211459 4\r\n", BEYOND),
    open(b"get_slice a10 +1 1\r\n", INVALID),
    open(b"get_slice a10 1 +1\r\n", INVALID),
    open(b"get_slice a10 -0 1\r\n", INVALID),
    open(b"get_slice a10 0 -1\r\n", INVALID),
    open(b"get_slice a10 0x1 1\r\n", INVALID),
    open(b"get_slice a10 1.0 1\r\n", INVALID),
    open(b"get_slice a10 1e1 1\r\n", INVALID),
    open(b"get_slice a10 1_0 1\r\n", INVALID),
    open(b"get_slice a10 a 1\r\n", INVALID),
    open(b"get_slice a10 1 a\r\n", INVALID),
    open(b"get_slice a10 \t1 1\r\n", INVALID),
    open(b"get_slice a10 1 1\t\r\n", INVALID),
    open(b"get_slice a10 \xd9\xa1 1\r\n", INVALID),
    open(b"get_slice a10 99999999999999999999x 1\r\n", INVALID),
    open(b"get_slice a10 99999999999999999999 -1\r\n", INVALID),
    closes(b"get_slice a10 0 10 raw\r\nquit\r\n", b"0 OK\r\nContent-Length: 10\r\n\r\n01234567890 OK\r\n"),
];

#[test]
fn numbers_are_digits_and_never_overflow() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen("fragments").listen("plain").listen("base64");
    replay(&Daemon::start(&dir, &settings), NUMBERS);
}

#[test]
fn base64_lines_have_the_configured_length() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen_base64_line("4").listen_base64_line("9");
    let daemon = Daemon::start(&dir, &settings);

    let mut client = daemon.client_of(0);
    client.ask("get_slice a10 0 10\r\n", "0 OK\r\nMDEy\r\nMzQ1\r\nNjc4\r\nOQ==\r\n");
    client.ask("get_slice a10 0 9\r\n", "0 OK\r\nMDEy\r\nMzQ1\r\nNjc4\r\n");
    client.ask("get_slice a10 1 2\r\n", "0 OK\r\nMTI=\r\n");
    client.ask("get_slice a10 4 0\r\n", "0 OK\r\n\r\n");
    client.expect_alive();

    let mut client = daemon.client_of(1);
    client.ask("get_slice a10 0 10\r\n", "0 OK\r\nMDEyMzQ1Njc4\r\nOQ==\r\n");
    client.ask("get_slice a10 0 8\r\n", "0 OK\r\nMDEyMzQ1Njc=\r\n");
    client.ask("get_slice a10 0 10 raw\r\n", "0 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    client.expect_alive();
}
