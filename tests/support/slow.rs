//! Clients that ask for the file `large` and read nothing of their answers yet.

use std::path::PathBuf;

use super::client::Client;
use super::content::{self, Checker};
use super::daemon::Daemon;
use super::decode::{ALL_ENCODINGS, Encoding, Fault, slice_request};
use super::test_dir::TestDir;

/// The size of the file: more than the kernel buffers for a connection.
pub(crate) const LARGE: u64 = 48 << 20;

/// Publishes the file, with the content of seed 1.
pub(crate) fn publish_large(dir: &TestDir) -> PathBuf {
    let path = dir.root().join("large");
    content::write(&path, 1, LARGE);
    path
}

/// A client that has sent a request for the whole file, to the listener of `Settings::listen_all` that has this encoding.
#[track_caller]
pub(crate) fn slow_client(daemon: &Daemon, encoding: Encoding) -> (Client, Encoding) {
    let (listener, _) =
        ALL_ENCODINGS.into_iter().find(|&(_, known)| known == encoding).expect("a encoding of listen_all");
    slow_client_of(daemon, listener, encoding)
}

pub(crate) fn slow_client_of(daemon: &Daemon, listener: usize, encoding: Encoding) -> (Client, Encoding) {
    let mut client = Client::connect_narrow(daemon.address(listener));
    client.send(slice_request(encoding, "large", 0, LARGE));
    (client, encoding)
}

/// A client for each encoding. The daemon is sending all answers.
#[track_caller]
pub(crate) fn slow_clients(daemon: &Daemon) -> [(Client, Encoding); ALL_ENCODINGS.len()] {
    let clients = ALL_ENCODINGS.map(|(listener, encoding)| slow_client_of(daemon, listener, encoding));
    daemon.wait_connections("sending", clients.len() as u64);
    clients
}

/// Every client receives the whole file.
#[track_caller]
pub(crate) fn expect_whole(clients: &mut [(Client, Encoding)]) {
    for (client, encoding) in clients {
        let mut checker = Checker::new(1, 0);
        let outcome = client.answer(*encoding, LARGE, &mut |bytes| checker.take(bytes));
        outcome.unwrap_or_else(|fault| panic!("{encoding:?}, {} of {LARGE} bytes: {fault}", checker.offset));
        assert_eq!(checker.wrong_at, None, "{encoding:?}: a wrong byte");
    }
}

/// Every connection ends before its answer is complete.
#[track_caller]
pub(crate) fn expect_incomplete(clients: &mut [(Client, Encoding)]) {
    for (client, encoding) in clients {
        let outcome = client.answer(*encoding, LARGE, &mut |_| {});
        assert!(matches!(outcome, Err(Fault::Ended { .. })), "{encoding:?}: {outcome:?}");
    }
}
