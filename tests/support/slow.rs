//! Clients that have asked for a large file and take nothing of it yet.

use super::client::Client;
use super::content::Checker;
use super::daemon::Daemon;
use super::decode::Form;

/// A client that has asked a listener for the whole file.
#[track_caller]
pub(crate) fn slow(daemon: &Daemon, listener: usize, form: Form, name: &str, size: u64) -> Client {
    let mut client = Client::connect_narrow(daemon.address(listener));
    client.send(form.request(name, 0, size));
    client
}

/// One in each form, of a daemon with `Settings::listen_all`. All answers are under way.
#[track_caller]
pub(crate) fn slow_in_all_forms(daemon: &Daemon, name: &str, size: u64) -> Vec<(Client, Form)> {
    let begin = |&(listener, form): &(usize, Form)| (slow(daemon, listener, form, name, size), form);
    let clients: Vec<_> = Form::ALL.iter().map(begin).collect();
    daemon.wait_connections("sending", clients.len() as u64);
    clients
}

/// Each gets the whole of the file `seed`, of so many bytes.
#[track_caller]
pub(crate) fn expect_whole(clients: &mut [(Client, Form)], seed: u64, size: u64) {
    for (client, form) in clients {
        let mut checker = Checker::new(seed, 0);
        let outcome = client.answer(*form, size, &mut |bytes| checker.take(bytes));
        outcome.unwrap_or_else(|fault| panic!("{form:?}, {} of {size} bytes: {fault}", checker.offset));
        assert_eq!(checker.wrong_at, None, "{form:?}: a byte that is not the file's");
    }
}
