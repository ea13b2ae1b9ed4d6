//! Files and roots: names and links that leave the root, special files, and changes while clients send requests.

mod changes;
mod links;
mod mixing;
mod mounts;
mod names;
mod roots;
mod special;
mod swapping;

#[path = "../support/mod.rs"]
mod support;

use support::Client;

const INVALID: &str = "201 INVALID ARGUMENTS FOR COMMAND\r\n";
const NOT_FOUND: &str = "202 FILE NOT FOUND\r\n";
const UNREADABLE: &str = "199 INTERNAL SERVER ERROR\r\n";

/// Every request with this valid name is answered 202.
#[track_caller]
fn expect_not_found(client: &mut Client, name: &str) {
    client.ask(format!("get_metadata {name}\r\n"), NOT_FOUND);
    client.ask(format!("get_slice {name} 0 0\r\n"), NOT_FOUND);
    client.ask(format!("get_slice {name} 0 1 raw\r\n"), NOT_FOUND);
    client.ask(format!("get_slice {name} 99999999999999999999 1\r\n"), NOT_FOUND);
}

/// The file exists and has these bytes.
#[track_caller]
fn expect_content(client: &mut Client, name: &str, bytes: &str) {
    let size = bytes.len();
    client.ask(format!("get_metadata {name}\r\n"), format!("0 OK\r\n{size}\r\n"));
    let raw = format!("0 OK\r\nContent-Length: {size}\r\n\r\n{bytes}");
    client.ask(format!("get_slice {name} 0 {size} raw\r\n"), raw);
    client.ask(format!("get_slice {name} 0 {}\r\n", size + 1), "203 OFFSET EXCEEDS FILE SIZE\r\n");
}

/// The request is answered 199, and the connection is closed.
#[track_caller]
fn expect_199(daemon: &support::daemon::Daemon, request: &str) {
    let mut client = daemon.client();
    client.ask(request, UNREADABLE);
    client.expect_close();
}
