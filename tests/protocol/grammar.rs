//! Lines, their ends, commands, spaces and arguments.

use crate::row::{On, Row, closes, open, replay};
use crate::support::{Daemon, Settings, TestDir};

const BAD_EOL: &[u8] = b"100 BAD EOL\r\n";
const BAD_REQUEST: &[u8] = b"101 BAD REQUEST\r\n";
const NO_SUCH_COMMAND: &[u8] = b"200 NO SUCH COMMAND\r\n";
const INVALID: &[u8] = b"201 INVALID ARGUMENTS FOR COMMAND\r\n";
const NOT_FOUND: &[u8] = b"202 FILE NOT FOUND\r\n";
const BEYOND: &[u8] = b"203 OFFSET EXCEEDS FILE SIZE\r\n";

/// An LF without a CR is fatal at any position.
const BAD_ENDS: &[Row] = &[
    closes(b"\n", BAD_EOL),
    closes(b"\n\r\n", BAD_EOL),
    closes(b"\n\n\n", BAD_EOL),
    closes(b"help\n", BAD_EOL),
    closes(b"help\nhelp\r\n", BAD_EOL),
    closes(b"\r\x00\n", BAD_EOL),
    closes(b"get_metadata a\n10\r\n", BAD_EOL),
    closes(b"get_metadata a10 \n", BAD_EOL),
    closes(b"   \n", BAD_EOL),
    closes(b"verdura\n", BAD_EOL),
    closes(b"verdura\r\n\n", b"200 NO SUCH COMMAND\r\n100 BAD EOL\r\n"),
    closes(b"get_metadata a10\r\nqui\nt\r\n", b"0 OK\r\n10\r\n100 BAD EOL\r\n"),
    closes(b"quit\r\n\n\n\n", b"0 OK\r\n"),
];

/// Empty and blank lines.
const BLANK_LINES: &[Row] = &[
    closes(b" \r\n", BAD_REQUEST),
    closes(b"     \r\n", BAD_REQUEST),
    closes(b"\t\r\n", BAD_REQUEST),
    closes(b"\t\t\t\r\n", BAD_REQUEST),
    closes(b" \t \t\r\n", BAD_REQUEST),
    closes(b"\r\n\r\n", BAD_REQUEST),
    closes(b"\r\nhelp\r\n", BAD_REQUEST),
    closes(b"\r\n\n", BAD_REQUEST),
    closes(b"get_metadata a10\r\n\r\n", b"0 OK\r\n10\r\n101 BAD REQUEST\r\n"),
    closes(b"verdura\r\n \r\nhelp\r\n", b"200 NO SUCH COMMAND\r\n101 BAD REQUEST\r\n"),
];

/// A CR without an LF, NUL, control bytes and bytes from 0x80 are ordinary bytes.
const CONTROL_BYTES: &[Row] = &[
    open(b"\r\r\n", NO_SUCH_COMMAND),
    open(b"help\r\r\n", NO_SUCH_COMMAND),
    open(b"he\rlp\r\n", NO_SUCH_COMMAND),
    open(b"\rhelp\r\n", NO_SUCH_COMMAND),
    open(b"get_metadata a10\r\r\n", INVALID),
    open(b"get_metadata a\r10\r\n", INVALID),
    open(b"get_metadata \ra10\r\n", INVALID),
    open(b"get_slice a10 0 1\r\r\n", INVALID),
    open(b"get_slice a10 0 1 raw\r\r\n", INVALID),
    open(b" \r\r\n", NO_SUCH_COMMAND),
    open(b"\x00\r\n", NO_SUCH_COMMAND),
    open(b"help\x00\r\n", NO_SUCH_COMMAND),
    open(b"\x00help\r\n", NO_SUCH_COMMAND),
    open(b"\xff\xfe\r\n", NO_SUCH_COMMAND),
    open(b"\xc3\xb1\r\n", NO_SUCH_COMMAND),
    open(b"\x0b\r\n", NO_SUCH_COMMAND),
    open(b"\x7f\r\n", NO_SUCH_COMMAND),
    open(b"get_metadata a10\x00\r\n", INVALID),
    open(b"get_metadata \x00\r\n", INVALID),
    open(b"get_metadata a\x8010\r\n", INVALID),
    open(b"get_metadata \xc3\xb1\r\n", INVALID),
    open(b"get_metadata a10\x1b\r\n", INVALID),
    open(b"get_metadata a10\x7f\r\n", INVALID),
    open(b"get_slice a10 0\x00 1\r\n", INVALID),
    open(b"get_slice a10 0 1 raw\x00\r\n", INVALID),
];

/// The five commands are in lower case. One space separates elements.
const COMMANDS: &[Row] = &[
    open(b"HELP\r\n", NO_SUCH_COMMAND),
    open(b"Help\r\n", NO_SUCH_COMMAND),
    open(b"hel\r\n", NO_SUCH_COMMAND),
    open(b"helpp\r\n", NO_SUCH_COMMAND),
    open(b"h\r\n", NO_SUCH_COMMAND),
    open(b"get_file_listin\r\n", NO_SUCH_COMMAND),
    open(b"get_file_listings\r\n", NO_SUCH_COMMAND),
    open(b"GET_METADATA a10\r\n", NO_SUCH_COMMAND),
    open(b"get-metadata a10\r\n", NO_SUCH_COMMAND),
    open(b"verdura a b c d e f\r\n", NO_SUCH_COMMAND),
    open(b"verdura  \r\n", NO_SUCH_COMMAND),
    open(b" help\r\n", NO_SUCH_COMMAND),
    open(b"  help\r\n", NO_SUCH_COMMAND),
    open(b" get_metadata a10\r\n", NO_SUCH_COMMAND),
    open(b"\thelp\r\n", NO_SUCH_COMMAND),
    open(b"help\t\r\n", NO_SUCH_COMMAND),
    open(b"get_metadata\ta10\r\n", NO_SUCH_COMMAND),
    open(b"help \r\n", INVALID),
    open(b"help  \r\n", INVALID),
    open(b"help me\r\n", INVALID),
    open(b"quit \r\n", INVALID),
    open(b"quit quit\r\n", INVALID),
    open(b"get_file_listing \r\n", INVALID),
    open(b"get_file_listing a10\r\n", INVALID),
    open(b"get_metadata\r\n", INVALID),
    open(b"get_metadata \r\n", INVALID),
    open(b"get_metadata a10 \r\n", INVALID),
    open(b"get_metadata a10\t\r\n", INVALID),
    open(b"get_metadata a10 a10\r\n", INVALID),
    open(b"get_slice\r\n", INVALID),
    open(b"get_slice a10\r\n", INVALID),
    open(b"get_slice a10 0\r\n", INVALID),
    open(b"get_slice a10 0 \r\n", INVALID),
    open(b"get_slice a10  1\r\n", INVALID),
    open(b"get_slice  0 1\r\n", INVALID),
    open(b"get_slice  a10 0 1\r\n", INVALID),
    open(b"get_slice a10 0 1 \r\n", INVALID),
    open(b"get_slice a10 0 1  raw\r\n", INVALID),
    open(b"get_slice a10 0 1 raw \r\n", INVALID),
    open(b"get_slice a10 0 1 raw raw\r\n", INVALID),
    open(b"get_slice a10 0 1 ra\r\n", INVALID),
    open(b"get_slice a10 0 1 raww\r\n", INVALID),
    open(b"get_slice a10 0 1 Raw\r\n", INVALID),
    open(b"get_slice a10 0 raw\r\n", INVALID),
    open(b"get_slice raw 0 1 a10\r\n", INVALID),
];

/// The first error of a line decides: 101, 200, number of arguments, `raw`, numbers, name, 202, 203, 199.
const ORDER_OF_ERRORS: &[Row] = &[
    open(b"verdura \x00 \xff\r\n", NO_SUCH_COMMAND),
    open(b"get_slice a@b x\r\n", INVALID),
    open(b"get_slice missing 0 1 RAW\r\n", INVALID),
    open(b"get_slice missing -1 5\r\n", INVALID),
    open(b"get_slice sub 0 x\r\n", INVALID),
    open(b"get_slice a@b 99 99\r\n", INVALID),
    open(b"get_slice noread 0 1 RAW\r\n", INVALID),
    open(b"get_slice noread 0 -1\r\n", INVALID),
    open(b"get_slice missing 99 99\r\n", NOT_FOUND),
    open(b"get_slice missing 99999999999999999999 0\r\n", NOT_FOUND),
    open(b"get_slice sub 99 99 raw\r\n", NOT_FOUND),
    open(b"get_slice .. 0 0\r\n", NOT_FOUND),
    open(b"get_slice . 0 0\r\n", NOT_FOUND),
    open(b"get_metadata .\r\n", NOT_FOUND),
    open(b"get_metadata ...\r\n", NOT_FOUND),
    open(b"get_metadata A10\r\n", NOT_FOUND),
    open(b"get_metadata a1\r\n", NOT_FOUND),
    open(b"get_metadata -\r\n", NOT_FOUND),
    open(b"get_metadata _\r\n", NOT_FOUND),
    open(b"get_slice noread 11 0 raw\r\n", BEYOND),
    open(b"get_metadata noread\r\n", b"0 OK\r\n10\r\n"),
    closes(b"get_slice noread 0 10 raw\r\nhelp\r\n", b"199 INTERNAL SERVER ERROR\r\n"),
    closes(b"verdura\r\nget_slice noread 9 1\r\n", b"200 NO SUCH COMMAND\r\n199 INTERNAL SERVER ERROR\r\n"),
];

/// Answers follow the order of requests.
const SEVERAL: &[Row] = &[
    open(
        b"get_metadata a10\r\nget_slice a10 0 2\r\nget_metadata empty\r\n",
        b"0 OK\r\n10\r\n0 OK\r\n2 01\r\n0 \r\n0 OK\r\n0\r\n",
    )
    .on(On::Fragments),
    open(b"get_slice a10 0 2 raw\r\nget_slice a10 2 2\r\n", b"0 OK\r\nContent-Length: 2\r\n\r\n010 OK\r\n23\r\n")
        .on(On::Plain),
    open(
        b"get_slice a10 0 3\r\nget_slice empty 0 0\r\nhelp x\r\n",
        b"0 OK\r\nMDEy\r\n0 OK\r\n\r\n201 INVALID ARGUMENTS FOR COMMAND\r\n",
    )
    .on(On::Base64),
    closes(b"get_metadata empty\r\nquit\r\nhelp\r\n", b"0 OK\r\n0\r\n0 OK\r\n"),
];

fn replayed(rows: &[Row]) {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen("fragments").listen("plain").listen("base64");
    replay(&Daemon::start(&dir, &settings), rows);
}

#[test]
fn lone_line_feed_is_fatal() {
    replayed(BAD_ENDS);
}

#[test]
fn blank_line_is_fatal() {
    replayed(BLANK_LINES);
}

#[test]
fn control_and_8_bit_bytes_are_not_fatal() {
    replayed(CONTROL_BYTES);
}

#[test]
fn commands_and_arguments_match_exactly() {
    replayed(COMMANDS);
}

#[test]
fn first_of_several_errors_decides() {
    replayed(ORDER_OF_ERRORS);
}

#[test]
fn answers_follow_the_order_of_requests() {
    replayed(SEVERAL);
}
