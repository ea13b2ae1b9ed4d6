//! A client's stream, shared by its worker and by pool threads that work for it.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event::Source as _};

use crate::connection::Sink;
use crate::handle::OpenFile;
use crate::os::sockets;

/// A client's stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    /// Set when the client is removed; the result of a thread is not needed then.
    removed: AtomicBool,
    /// Bytes that pool threads have sent.
    sent: AtomicU64,
}

impl Stream {
    pub(super) fn new(socket: TcpStream) -> Stream {
        Stream { socket, removed: AtomicBool::new(false), sent: AtomicU64::new(0) }
    }

    /// Adds it to a poll. It leaves the poll when its last owner closes it.
    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Marks its client as removed.
    pub(super) fn mark_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    /// Whether its client was removed.
    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// Bytes that pool threads have sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn count(&self, sent: usize) {
        self.sent.fetch_add(sent as u64, Ordering::Relaxed);
    }

    /// Ends the connection in both directions, for every owner.
    pub(super) fn shut_down(&self) {
        // It fails if the connection has ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// For pool threads.
impl Sink for &Stream {
    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        sockets::send(&self.socket, bytes, more).inspect(|&count| self.count(count))
    }

    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize> {
        sockets::send_file(&self.socket, file, offset, length).inspect(|&count| self.count(count))
    }

    fn cork(&mut self, corked: bool) {
        sockets::cork(&self.socket, corked);
    }
}
