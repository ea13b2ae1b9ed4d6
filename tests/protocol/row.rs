//! A row of a table of the protocol, and how it is put to the daemon.

use std::net::SocketAddr;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::diag::Diag;
use crate::support::{in_parallel, show};

/// On which listener a row holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    Every,
    Fragments,
    Plain,
    Base64,
}

/// The place of each listener in the configuration that the rows are replayed against.
const LISTENERS: [On; 3] = [On::Fragments, On::Plain, On::Base64];

/// What is sent, what comes back, and whether the connection is then closed.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    on: On,
    send: &'static [u8],
    answer: &'static [u8],
    closes: bool,
}

/// A row after which the connection goes on.
pub(crate) const fn open(send: &'static [u8], answer: &'static [u8]) -> Row {
    Row { on: On::Every, send, answer, closes: false }
}

/// A row that ends with the close.
pub(crate) const fn closes(send: &'static [u8], answer: &'static [u8]) -> Row {
    Row { on: On::Every, send, answer, closes: true }
}

impl Row {
    pub(crate) const fn on(self, on: On) -> Row {
        Row { on, ..self }
    }
}

/// How a request is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    ByteByByte,
    At(usize),
}

struct Job<'a> {
    row: &'a Row,
    listener: On,
    address: SocketAddr,
    cut: Cut,
}

/// Replays each row whole on each listener where it holds, and on one of them byte by byte and cut in two at every
/// place. Between the pieces it waits until the daemon has read what there is.
pub(crate) fn replay(daemon: &Daemon, rows: &[Row]) {
    let mut jobs = Vec::new();
    for row in rows {
        let mut cuts = vec![Cut::Whole, Cut::ByteByByte];
        cuts.extend((1..row.send.len()).map(Cut::At));
        for (index, &listener) in LISTENERS.iter().enumerate().filter(|(_, on)| [On::Every, **on].contains(&row.on)) {
            jobs.extend(cuts.drain(..).map(|cut| Job { row, listener, address: daemon.address(index), cut }));
            cuts.push(Cut::Whole);
        }
    }
    in_parallel(8, &jobs, Job::run);
}

impl Job<'_> {
    fn run(&self) {
        let _told = Told(self);
        let mut client = Client::connect(self.address);
        for piece in self.pieces() {
            client.send_if_possible(piece);
            if piece.len() < self.row.send.len() {
                Diag::new().wait_until_read(self.address, client.local());
            }
        }
        client.expect(self.row.answer);
        if !self.row.closes {
            client.expect_alive();
            client.finish();
        }
        client.expect_close();
    }

    fn pieces(&self) -> Vec<&'static [u8]> {
        let send = self.row.send;
        match self.cut {
            Cut::Whole => vec![send],
            Cut::ByteByByte => send.chunks(1).collect(),
            Cut::At(place) => vec![&send[..place], &send[place..]],
        }
    }
}

/// Says which row it was when one fails.
struct Told<'a>(&'a Job<'a>);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Job { row, listener, cut, .. } = self.0;
            eprintln!("this was {} to the {listener:?} listener, {cut:?}", show(row.send));
        }
    }
}
