//! All examples of hftp(7).

use crate::row::{On, Row, closes, open, replay};
use crate::support::{Daemon, Settings, TestDir};

const EXAMPLES: &[Row] = &[
    open(b"get_file_listing\r\n", b"0 OK\r\na10\r\nempty\r\nnoread\r\n\r\n"),
    open(b"get_metadata a10\r\n", b"0 OK\r\n10\r\n"),
    open(b"get_slice a10 3 4\r\n", b"0 OK\r\n4 3456\r\n0 \r\n").on(On::Fragments),
    open(b"get_slice a10 3 4\r\n", b"0 OK\r\n3456\r\n").on(On::Plain),
    open(b"get_slice a10 3 4\r\n", b"0 OK\r\nMzQ1Ng==\r\n").on(On::Base64),
    open(b"get_slice a10 3 4 raw\r\n", b"0 OK\r\nContent-Length: 4\r\n\r\n3456"),
    open(b"get_slice a10 10 0\r\n", b"0 OK\r\n0 \r\n").on(On::Fragments),
    open(b"get_slice a10 10 0\r\n", b"0 OK\r\n\r\n").on(On::Base64),
    open(b"get_slice empty 0 0 raw\r\n", b"0 OK\r\nContent-Length: 0\r\n\r\n"),
    open(b"get_slice a10 007 0001\r\n", b"0 OK\r\nNw==\r\n").on(On::Base64),
    open(b"help\r\n", b"0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n"),
    closes(b"quit\r\nget_metadata a10\r\n", b"0 OK\r\n"),
    closes(b"\r\n", b"101 BAD REQUEST\r\n"),
    closes(b"qui\nt\r\n", b"100 BAD EOL\r\n"),
    closes(b"get_metadata a10\r\nquit\n", b"0 OK\r\n10\r\n100 BAD EOL\r\n"),
    open(b"verdura\r\nget_metadata a10\r\n", b"200 NO SUCH COMMAND\r\n0 OK\r\n10\r\n"),
    open(b"quit please\r\n", b"201 INVALID ARGUMENTS FOR COMMAND\r\n"),
    open(b"get_metadata  a10\r\n", b"201 INVALID ARGUMENTS FOR COMMAND\r\n"),
    open(b"get_metadata ../a10\r\n", b"201 INVALID ARGUMENTS FOR COMMAND\r\n"),
    open(b"get_metadata at@b\r\n", b"201 INVALID ARGUMENTS FOR COMMAND\r\n"),
    open(b"get_slice a10 -1 5\r\n", b"201 INVALID ARGUMENTS FOR COMMAND\r\n"),
    open(b"get_slice a10 0 5 RAW\r\n", b"201 INVALID ARGUMENTS FOR COMMAND\r\n"),
    open(b"get_metadata sub\r\n", b"202 FILE NOT FOUND\r\n"),
    open(b"get_metadata ..\r\n", b"202 FILE NOT FOUND\r\n"),
    open(b"get_slice a10 0 11\r\n", b"203 OFFSET EXCEEDS FILE SIZE\r\n"),
    open(b"get_slice a10 99999999999999999999 0\r\n", b"203 OFFSET EXCEEDS FILE SIZE\r\n"),
    open(b"get_slice noread 0 99\r\n", b"203 OFFSET EXCEEDS FILE SIZE\r\n"),
    closes(b"get_slice noread 0 1\r\n", b"199 INTERNAL SERVER ERROR\r\n"),
];

#[test]
fn examples_of_the_manual_are_accurate() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen("fragments").listen("plain").listen("base64");
    replay(&Daemon::start(&dir, &settings), EXAMPLES);
}
