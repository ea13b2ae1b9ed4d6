//! A row of a protocol table, and its replay against the daemon.

use std::net::SocketAddr;

use crate::support::{Client, Daemon, diag::Diag, in_parallel, show};

/// The listeners of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    Every,
    Fragments,
    Plain,
    Base64,
}

/// The listeners of the daemon, in the order of its configuration.
const LISTENERS: [On; 3] = [On::Fragments, On::Plain, On::Base64];

/// A request, its answer, and whether the daemon then closes the connection.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    on: On,
    send: &'static [u8],
    answer: &'static [u8],
    closes: bool,
}

/// A row after which the connection stays open.
pub(crate) const fn open(send: &'static [u8], answer: &'static [u8]) -> Row {
    Row { on: On::Every, send, answer, closes: false }
}

/// A row after which the daemon closes the connection.
pub(crate) const fn closes(send: &'static [u8], answer: &'static [u8]) -> Row {
    Row { on: On::Every, send, answer, closes: true }
}

impl Row {
    pub(crate) const fn on(self, on: On) -> Row {
        Row { on, ..self }
    }
}

/// How a request is divided.
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

/// Replays each row whole on each of its listeners; on one of them also byte by byte, and in two pieces divided at every
/// offset. Waits between the pieces until the daemon has read the previous one.
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
        let _printer = PrintOnPanic(self);
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

/// Prints the row if it fails.
struct PrintOnPanic<'a>(&'a Job<'a>);

impl Drop for PrintOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Job { row, listener, cut, .. } = self.0;
            eprintln!("row {} on the {listener:?} listener, {cut:?}", show(row.send));
        }
    }
}
