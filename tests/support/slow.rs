//! Clients that ask for the file `large` and read nothing of their answers yet.

use std::path::PathBuf;

use super::client::Client;
use super::content::{self, Checker};
use super::daemon::Daemon;
use super::decode::{Fault, Form};
use super::site::Site;

/// The size of the file: more than the kernel buffers for a connection.
pub(crate) const LARGE: u64 = 48 << 20;

/// Publishes the file, with the content of seed 1.
pub(crate) fn publish_large(site: &Site) -> PathBuf {
    let path = site.root().join("large");
    content::write(&path, 1, LARGE);
    path
}

/// A client that has sent a request for the whole file, to the listener of `Settings::listen_all` that has this form.
#[track_caller]
pub(crate) fn slow_client(daemon: &Daemon, form: Form) -> (Client, Form) {
    let (listener, _) = Form::ALL.into_iter().find(|&(_, known)| known == form).expect("a form of listen_all");
    let mut client = Client::connect_narrow(daemon.address(listener));
    client.send(form.request("large", 0, LARGE));
    (client, form)
}

/// A client for each form. The daemon is sending all answers.
#[track_caller]
pub(crate) fn slow_clients(daemon: &Daemon) -> [(Client, Form); Form::ALL.len()] {
    let clients = Form::ALL.map(|(_, form)| slow_client(daemon, form));
    daemon.wait_connections("sending", clients.len() as u64);
    clients
}

/// Every client receives the whole file.
#[track_caller]
pub(crate) fn expect_whole(clients: &mut [(Client, Form)]) {
    for (client, form) in clients {
        let mut checker = Checker::new(1, 0);
        let outcome = client.answer(*form, LARGE, &mut |bytes| checker.take(bytes));
        outcome.unwrap_or_else(|fault| panic!("{form:?}, {} of {LARGE} bytes: {fault}", checker.offset));
        assert_eq!(checker.wrong_at, None, "{form:?}: a wrong byte");
    }
}

/// Every connection ends before its answer is complete.
#[track_caller]
pub(crate) fn expect_incomplete(clients: &mut [(Client, Form)]) {
    for (client, form) in clients {
        let outcome = client.answer(*form, LARGE, &mut |_| {});
        assert!(matches!(outcome, Err(Fault::Ended { .. })), "{form:?}: {outcome:?}");
    }
}
