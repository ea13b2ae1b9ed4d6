//! A client as its worker keeps it: the socket, what the poll reported of it, and the connection.

use std::io::{self, Read as _};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use mio::event::Event;

use crate::connection::{Connection, Sink, Transport};
use crate::handle::OpenFile;
use crate::os::sockets;
use crate::server::admission::Permit;
use crate::server::stream::Stream;

/// A client.
pub(super) struct Client {
    pub(super) socket: Socket,
    pub(super) connection: Connection,
    /// Address and port: smaller than a [`SocketAddr`], of which each idle client would have one.
    pub(super) peer: (IpAddr, u16),
    /// When its current timer expires.
    pub(super) timer: Option<Instant>,
    /// Whether it is in one of the worker's queues.
    pub(super) queued: bool,
    /// None if it was refused.
    pub(super) permit: Option<Permit>,
}

/// A socket and what is known of it. The poll reports a change once (it is edge-triggered), so what it reported is
/// remembered until a call finds that it is over.
pub(super) struct Socket {
    pub(super) stream: Arc<Stream>,
    readable: bool,
    writable: bool,
    /// The client has shut its side: there is an end to read.
    ends: bool,
}

impl Client {
    /// A client that was just accepted. Its first request has often come with it, and there is room to answer, so it is
    /// assumed to be ready before the poll reports it.
    pub(super) fn new(stream: Arc<Stream>, peer: SocketAddr, connection: Connection, permit: Option<Permit>) -> Client {
        let socket = Socket { stream, readable: true, writable: true, ends: false };
        Client { socket, connection, peer: (peer.ip(), peer.port()), timer: None, queued: false, permit }
    }

    /// Whether something can be done now.
    pub(super) fn is_ready(&self) -> bool {
        self.connection.is_ready(&self.socket)
    }
}

impl Socket {
    /// Called when the client is removed. A pool thread that still has the stream can send nothing more. Returns
    /// whether there may be one.
    pub(super) fn close(&self) -> bool {
        self.stream.mark_removed();
        let is_shared = Arc::strong_count(&self.stream) > 1;
        if is_shared {
            self.stream.shut_down();
        }
        is_shared
    }

    /// Remembers what the poll reports. Returns whether the connection has failed.
    pub(super) fn on_event(&mut self, event: &Event) -> bool {
        self.readable |= event.is_readable() || event.is_read_closed();
        self.writable |= event.is_writable() || event.is_write_closed();
        self.ends |= event.is_read_closed();
        event.is_error()
    }
}
impl Sink for Socket {
    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        let result = sockets::send(&self.stream.socket, bytes, more);
        self.writable &= !would_block(&result);
        result
    }

    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize> {
        let result = sockets::send_file(&self.stream.socket, file, offset, length);
        self.writable &= !would_block(&result);
        result
    }

    fn cork(&mut self, corked: bool) {
        sockets::cork(&self.stream.socket, corked);
    }
}

impl Transport for Socket {
    fn sent_by_thread(&self) -> u64 {
        self.stream.sent()
    }

    fn is_readable(&self) -> bool {
        self.readable
    }

    fn is_writable(&self) -> bool {
        self.writable
    }

    fn assume_readable(&mut self) {
        self.readable = true;
    }

    fn lend(&mut self) {
        self.writable = false;
    }

    fn take_back(&mut self, room: bool) {
        self.writable |= room;
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = (&self.stream.socket).read(buffer);
        match &result {
            // Fewer bytes than there was room for: there are no more (epoll(7)). But the end has to be read too.
            Ok(count) if *count < buffer.len() && !self.ends => self.readable = false,
            _ => self.readable &= !would_block(&result),
        }
        result
    }

    fn unsent(&self) -> usize {
        sockets::unsent(&self.stream.socket)
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        self.stream.socket.shutdown(Shutdown::Write)
    }
}

fn would_block(result: &io::Result<usize>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
