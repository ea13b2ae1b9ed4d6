//! A client as its worker keeps it: the socket, what the poll said of it, and the connection.

use std::io::{self, Read as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mio::event::{Event, Source as _};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::timers::TimerTick;
use crate::connection::{Connection, Sink, Transport};
use crate::handle::OpenFile;
use crate::os::sockets;

/// A client.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    pub(crate) connection: Connection,
    pub(crate) peer: Peer,
    /// Its timer that counts.
    pub(crate) timer: Option<TimerTick>,
    /// Whether it is in one of the worker's queues.
    pub(crate) queued: bool,
    /// Whether the admission let it in.
    pub(crate) entered: bool,
}

/// A client's stream, as its worker and threads that work for it share it.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    /// Set when the client was removed: nobody waits for what is done for it any more.
    gone: AtomicBool,
    /// Bytes that threads have sent.
    sent: AtomicU64,
}

impl Stream {
    /// Has the poll tell of changes. It forgets the stream when the last who has it closes it.
    pub(crate) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        SourceFd(&self.socket.as_raw_fd()).register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    fn count(&self, sent: usize) {
        self.sent.fetch_add(sent as u64, Ordering::Relaxed);
    }

    /// Whether the client was removed.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// For the threads of the pool.
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

/// Where a client comes from, in less memory than a [`SocketAddr`] takes: there are many clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    port: [u8; 2],
}

impl Peer {
    fn new(address: SocketAddr) -> Peer {
        Peer { ip: address.ip(), port: address.port().to_ne_bytes() }
    }

    pub(crate) fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip, u16::from_ne_bytes(self.port))
    }
}

/// A socket and what is known of it. The poll tells a change once (it is edge-triggered), so what it told is remembered
/// until a call says that it is over.
pub(crate) struct Socket {
    pub(crate) stream: Arc<Stream>,
    readable: bool,
    writable: bool,
    /// The client has shut its side: there is an end to read.
    ends: bool,
}

impl Client {
    /// A client that has just been accepted. Its first request has often come with it, and there is room to answer, so
    /// it is taken for ready before the poll says so.
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr, connection: Connection, entered: bool) -> Client {
        let stream = Arc::new(Stream { socket: stream, gone: AtomicBool::new(false), sent: AtomicU64::new(0) });
        let socket = Socket { stream, readable: true, writable: true, ends: false };
        Client { socket, connection, peer: Peer::new(peer), timer: None, queued: false, entered }
    }

    /// Whether something can be done now.
    pub(crate) fn is_ready(&self) -> bool {
        self.connection.is_ready(&self.socket)
    }
}

impl Socket {
    /// The client is removed. A thread that still has the stream can send nothing more. Returns whether there may be one.
    pub(crate) fn leave(&self) -> bool {
        self.stream.gone.store(true, Ordering::Relaxed);
        let is_shared = Arc::strong_count(&self.stream) > 1;
        if is_shared {
            // It fails where the connection has ended already.
            let _ = self.stream.socket.shutdown(Shutdown::Both);
        }
        is_shared
    }

    /// Remembers what the poll says. Returns whether nobody is there any more.
    pub(crate) fn notice(&mut self, event: &Event) -> bool {
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
        self.stream.sent.load(Ordering::Relaxed)
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
