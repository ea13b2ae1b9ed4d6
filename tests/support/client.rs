//! A client that sends bytes and expects bytes.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use hftpd::wire::answer_reader::Event;
use hftpd::wire::{AnswerReader, Request};
use socket2::{Domain, SockRef, Socket, Type};

use super::decode::{self, Encoding, Fault, read_slice, slice_request};
use super::{LONG, show};

/// A request whose answer shows that the connection still goes on, and that nothing else came before it.
pub(crate) const PROBE: &[u8] = b"get_metadata ..\r\n";
/// The answer to it.
pub(crate) const PROBE_ANSWER: &[u8] = b"202 FILE NOT FOUND\r\n";
/// The answer to `help`.
pub(crate) const HELP_ANSWER: &str = "0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n";

pub(crate) struct Client {
    reader: BufReader<Uninterrupted>,
}

/// A socket whose reads are repeated when they are interrupted. With a timeout they are if the process is stopped and
/// continued, also without a signal handler (signal(7)).
struct Uninterrupted(TcpStream);

impl Read for Uninterrupted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::from_stream(TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}")))
    }

    /// Connects from another address of this machine.
    #[track_caller]
    pub(crate) fn connect_from(source: impl Into<IpAddr>, address: SocketAddr) -> Client {
        let source = source.into();
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap_or_else(|error| panic!("bind to {source}: {error}"));
        socket.connect(&address.into()).unwrap_or_else(|error| panic!("connect from {source} to {address}: {error}"));
        Client::from_stream(socket.into())
    }

    /// Connects with a small receive buffer, which a large answer fills at once.
    #[track_caller]
    pub(crate) fn connect_narrow(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(16 << 10).expect("SO_RCVBUF");
        socket.connect(&address.into()).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Client::from_stream(socket.into())
    }

    pub(crate) fn from_stream(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(LONG)).expect("SO_RCVTIMEO");
        stream.set_write_timeout(Some(LONG)).expect("SO_SNDTIMEO");
        Client { reader: BufReader::with_capacity(64 << 10, Uninterrupted(stream)) }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.reader.get_ref().0
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream().local_addr().expect("an address of our own")
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.stream().write_all(bytes).unwrap_or_else(|error| panic!("sending {}: {error}", show(bytes)));
    }

    /// Sends bytes; the daemon may have closed the connection.
    pub(crate) fn send_if_possible(&mut self, bytes: &[u8]) {
        let _ = self.stream().write_all(bytes);
    }

    /// Sends as many bytes as the kernel accepts without waiting.
    pub(crate) fn send_what_fits(&mut self, mut bytes: &[u8]) {
        self.stream().set_nonblocking(true).expect("O_NONBLOCK");
        while let Ok(count @ 1..) = self.stream().write(bytes) {
            bytes = &bytes[count..];
        }
        self.stream().set_nonblocking(false).expect("O_NONBLOCK");
    }

    /// Shuts down the write side.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }

    /// Reads exactly these bytes. Panics at the first difference, with the bytes received.
    #[track_caller]
    pub(crate) fn expect(&mut self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let mut got = Vec::with_capacity(wanted.len());
        while got.len() < wanted.len() {
            let ready = match self.reader.fill_buf() {
                Ok([]) => panic!("closed after {} where {} was wanted", show(&got), show(wanted)),
                Ok(ready) => ready,
                Err(error) => panic!("{error} after {} where {} was wanted", show(&got), show(wanted)),
            };
            let length = ready.len().min(wanted.len() - got.len());
            got.extend_from_slice(&ready[..length]);
            if !wanted.starts_with(&got) {
                got.extend_from_slice(&ready[length..]);
                panic!("got    {}\nwanted {}", show(&got), show(wanted));
            }
            self.reader.consume(length);
        }
    }

    /// Sends a request and reads exactly this answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
        self.send(request);
        self.expect(answer);
    }

    #[track_caller]
    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) => panic!("closed after {} of {length} bytes: {}", filled, show(&bytes[..filled])),
                Ok(count) => filled += count,
                Err(error) => panic!("{error} after {filled} of {length} bytes: {}", show(&bytes[..filled])),
            }
        }
        bytes
    }

    /// Reads up to the end of this pattern.
    #[track_caller]
    pub(crate) fn until(&mut self, pattern: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(pattern) {
            match self.reader.fill_buf() {
                Ok([]) => panic!("closed before {} in {}", show(pattern), show(&bytes)),
                Ok(ready) => bytes.push(ready[0]),
                Err(error) => panic!("{error} before {} in {}", show(pattern), show(&bytes)),
            }
            self.reader.consume(1);
        }
        bytes
    }

    /// A line, without its CR LF.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = self.until(b"\r\n");
        line.truncate(line.len() - 2);
        String::from_utf8_lossy(&line).into_owned()
    }

    /// The names in the answer to `get_file_listing`, which it sends.
    #[track_caller]
    pub(crate) fn listing(&mut self) -> Vec<String> {
        self.send("get_file_listing\r\n");
        let mut names = Vec::new();
        let answer = AnswerReader::new(Request::GetFileListing, Encoding::Plain);
        decode::answer(&mut self.reader, answer, &mut |event| {
            if let Event::Name(name) = event {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        })
        .unwrap_or_else(|fault| panic!("a listing: {fault}"));
        names
    }

    /// All bytes until the daemon closes. A reset is a failure.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(error) = self.reader.read_to_end(&mut bytes) {
            panic!("{error} where a close was wanted, after {}", show(&bytes));
        }
        bytes
    }

    /// The daemon closes without further bytes.
    #[track_caller]
    pub(crate) fn expect_close(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "wanted the close, got {}", show(&rest));
    }

    /// The connection continues, without bytes of earlier answers.
    #[track_caller]
    pub(crate) fn expect_alive(&mut self) {
        self.ask(PROBE, PROBE_ANSWER);
    }

    /// Reads until the connection is closed or reset. Returns the number of bytes.
    pub(crate) fn drain(&mut self) -> u64 {
        let mut total = 0;
        loop {
            match self.reader.fill_buf() {
                Ok([]) => return total,
                Ok(ready) => {
                    let length = ready.len();
                    total += length as u64;
                    self.reader.consume(length);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("neither bytes nor an end after {total} bytes")
                }
                Err(_) => return total,
            }
        }
    }

    /// The bytes of a single read.
    #[track_caller]
    pub(crate) fn one_read(&mut self) -> Vec<u8> {
        assert!(self.reader.buffer().is_empty(), "left over: {}", show(self.reader.buffer()));
        let mut bytes = vec![0; 64 << 10];
        let length = self.reader.get_mut().read(&mut bytes).expect("a read");
        bytes.truncate(length);
        bytes
    }

    /// Requests a slice and reads the answer.
    pub(crate) fn slice(&mut self, encoding: Encoding, name: &str, offset: u64, size: u64) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.send(slice_request(encoding, name, offset, size));
        self.answer(encoding, size, &mut |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }

    /// Reads the answer to a `get_slice` already sent.
    pub(crate) fn answer(&mut self, encoding: Encoding, size: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        read_slice(encoding, &mut self.reader, size, sink)
    }

    /// The reader of further bytes.
    pub(crate) fn into_reader(self) -> impl BufRead {
        self.reader
    }

    /// Requests the size of a file.
    pub(crate) fn size(&mut self, name: &str) -> Result<u64, Fault> {
        self.send(format!("get_metadata {name}\r\n"));
        let request = Request::GetMetadata { name: name.as_bytes() };
        let mut found = None;
        decode::answer(&mut self.reader, AnswerReader::new(request, Encoding::Plain), &mut |event| {
            if let Event::Size(size) = event {
                found = Some(size);
            }
        })?;
        found.ok_or_else(|| Fault::Wrong("an answer without a size".to_owned()))
    }
}
