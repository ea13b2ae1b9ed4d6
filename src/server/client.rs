//! A client as its worker keeps it: the socket, what the poll said of it, and the connection.

use std::io::{self, Read as _};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::event::Event;
use mio::net::TcpStream;

use super::timers::Tick;
use crate::connection::{Connection, Transport};
use crate::handle::OpenFile;
use crate::os::sockets;

/// A client.
pub(super) struct Client {
    pub(super) socket: Socket,
    pub(super) connection: Connection,
    pub(super) peer: Peer,
    /// Its alarm that counts.
    pub(super) alarm: Option<Tick>,
    /// Set while a thread works for it; cleared inside when it goes.
    pub(super) wanted: Option<Arc<AtomicBool>>,
    /// Whether it is in the worker's queue.
    pub(super) queued: bool,
    /// Whether the gate let it in.
    pub(super) entered: bool,
}

/// Where a client comes from, in less memory than a [`SocketAddr`] takes: there are many clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
    port: [u8; 2],
}

impl Peer {
    fn new(address: SocketAddr) -> Peer {
        Peer { ip: address.ip(), port: address.port().to_ne_bytes() }
    }

    pub(super) fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip, u16::from_ne_bytes(self.port))
    }
}

/// A socket and what is known of it. The poll tells a change once (it is edge-triggered), so what it told is remembered
/// until a call says that it is over.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    readable: bool,
    writable: bool,
    /// The client has shut its side: there is an end to read.
    ends: bool,
}

impl Client {
    /// A client that has just been accepted. Its first request has often come with it, and there is room to answer, so
    /// it is taken for ready before the poll says so.
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, connection: Connection, entered: bool) -> Client {
        let socket = Socket { stream, readable: true, writable: true, ends: false };
        Client { socket, connection, peer: Peer::new(peer), alarm: None, wanted: None, queued: false, entered }
    }

    /// Whether something can be done now.
    pub(super) fn is_ready(&self) -> bool {
        let events = self.connection.events();
        events.run || (events.read && self.socket.readable) || (events.write && self.socket.writable)
    }
}

impl Socket {
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Forgets that nothing was there to be read: it is tried again, whatever the poll has told.
    pub(super) fn look_again(&mut self) {
        self.readable = true;
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Remembers what the poll says. Returns whether nobody is there any more.
    pub(super) fn notice(&mut self, event: &Event) -> bool {
        self.readable |= event.is_readable() || event.is_read_closed();
        self.writable |= event.is_writable() || event.is_write_closed();
        self.ends |= event.is_read_closed();
        event.is_error()
    }
}

impl Transport for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = self.stream.read(buffer);
        match &result {
            // Fewer bytes than there was room for: there are no more (epoll(7)). But the end has to be read too.
            Ok(count) if *count < buffer.len() && !self.ends => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            _ => {}
        }
        result
    }

    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        let result = sockets::send(&self.stream, bytes, more);
        self.wrote(&result);
        result
    }

    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize> {
        let result = sockets::send_file(&self.stream, file, offset, length);
        self.wrote(&result);
        result
    }

    fn unsent(&self) -> usize {
        sockets::unsent(&self.stream)
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Socket {
    fn wrote(&mut self, result: &io::Result<usize>) {
        if matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.writable = false;
        }
    }
}
