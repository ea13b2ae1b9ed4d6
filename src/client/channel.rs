//! One connection: requests go out, the parts of their answers come in, in the same order.

use std::collections::VecDeque;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::wire::answer_reader::Event;
use crate::wire::{AnswerReader, Encoding, Request, SliceRequest};

use super::connect::connect;
use super::detect::{self, Shown};
use super::error::Error;
use super::server::{Server, Trace};
use super::text::printable;

/// The fewest bytes that are received at a time.
const PIECE: usize = 1 << 10;

/// The most requests without an answer, and their bytes. As long as they fit into the buffers of the kernel, writing
/// them cannot wait for a server that waits for this client to read.
const REQUESTS: usize = 256;
const REQUEST_BYTES: usize = 16 << 10;

/// A server that sends less than this over the timeout is taken for silent.
const BYTES_PER_SECOND: f64 = 100.0;

pub(super) struct Channel {
    server: Server,
    stream: TcpStream,
    /// The bytes from `start` to `end` have been received and not been read.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Requests that are not sent yet.
    unsent: Vec<u8>,
    /// Requests without an answer, with the length of each.
    pending: VecDeque<(Asked, usize)>,
    pending_bytes: usize,
    /// The reader of the answer that has begun.
    reader: Option<AnswerReader>,
    encoding: Encoding,
    /// The name that was read last, or decoded bytes.
    scratch: Vec<u8>,
    /// What follows the decoded bytes.
    held: Option<Item>,
    /// For how long, and for how many bytes, this client has waited since enough came, or since the answer began.
    waited: Duration,
    received: f64,
    /// The timeout that is set in the stream.
    patience: Duration,
}

/// A request without its name.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Names,
    Size,
    Slice(u64),
}

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Item {
    Size(u64),
    /// [`Channel::name`] has it.
    Name,
    /// [`Channel::bytes`] has them.
    Bytes(Part),
    End,
}

/// Where bytes of a slice are, until the next part is read.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Received(Range<usize>),
    Decoded(Range<usize>),
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("stream", &self.stream)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

impl Part {
    /// Takes up to `count` bytes from the beginning.
    pub(super) fn take(&mut self, count: usize) -> Part {
        let (Part::Received(range) | Part::Decoded(range)) = self;
        let end = range.end.min(range.start + count);
        let taken = range.start..end;
        range.start = end;
        match self {
            Part::Received(_) => Part::Received(taken),
            Part::Decoded(_) => Part::Decoded(taken),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let (Part::Received(range) | Part::Decoded(range)) = self;
        range.is_empty()
    }
}

impl Channel {
    pub(super) fn open(server: &Server) -> Result<Channel, Error> {
        let stream = connect(server.address(), server.options().connect_timeout)?;
        if let Ok(peer) = stream.peer_addr() {
            server.trace(Trace::Note(&format!("connected to {peer}")));
        }
        let timeout = server.options().timeout;
        let failed = |error| Error::Io { server: server.address().clone(), error };
        stream.set_write_timeout(Some(timeout)).map_err(failed)?;
        stream.set_read_timeout(Some(timeout)).map_err(failed)?;
        Ok(Channel {
            server: server.clone(),
            stream,
            buffer: vec![0; server.options().piece.max(PIECE)],
            start: 0,
            end: 0,
            unsent: Vec::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            reader: None,
            encoding: Encoding::Raw,
            scratch: Vec::new(),
            held: None,
            waited: Duration::ZERO,
            received: 0.0,
            patience: timeout,
        })
    }

    /// Whether another request may be made before an answer is read.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < REQUESTS && self.pending_bytes < REQUEST_BYTES
    }

    /// How many requests have no complete answer.
    pub(super) fn pending(&self) -> usize {
        self.pending.len() + usize::from(self.reader.is_some())
    }

    /// Adds a request. It is sent at the latest when its answer is waited for.
    pub(super) fn request(&mut self, request: &Request<'_>) -> Result<(), Error> {
        let before = self.unsent.len();
        request.write(&mut self.unsent).map_err(|error| self.failed(error))?;
        let line = &self.unsent[before..];
        let length = line.len();
        if self.server.is_traced() {
            self.server.trace(Trace::Sent(printable(line).trim_end_matches("\\x0d\\x0a")));
        }
        let asked = match request {
            Request::GetSlice { slice, .. } => Asked::Slice(slice.size),
            Request::GetMetadata { .. } => Asked::Size,
            Request::GetFileListing | Request::Help | Request::Quit => Asked::Names,
        };
        self.pending.push_back((asked, length));
        self.pending_bytes += length;
        if self.unsent.len() >= REQUEST_BYTES / 2 { self.flush() } else { Ok(()) }
    }

    /// Begins the next answer, in which a slice has this encoding. An answer with another code than 0 is read to its end.
    pub(super) fn begin(&mut self, encoding: Encoding) -> Result<(), Error> {
        debug_assert!(self.reader.is_none(), "one answer at a time");
        let Some((asked, length)) = self.pending.pop_front() else {
            return Err(self.failed(std::io::Error::other("no request is without an answer")));
        };
        self.pending_bytes -= length;
        let request = match asked {
            Asked::Names => Request::GetFileListing,
            Asked::Size => Request::GetMetadata { name: b"" },
            Asked::Slice(size) => {
                let raw = encoding == Encoding::Raw;
                Request::GetSlice { name: b"", slice: SliceRequest { offset: 0, size, raw } }
            }
        };
        self.reader = Some(AnswerReader::new(request, encoding));
        self.encoding = encoding;
        (self.waited, self.received) = (Duration::ZERO, 0.0);
        let (code, text) = self.status()?;
        self.server.answered();
        if self.server.is_traced() {
            self.server.trace(Trace::Received(&format!("{code} {text}")));
        }
        if code == 0 {
            return Ok(());
        }
        let end = self.item()?;
        debug_assert!(matches!(end, Item::End), "nothing but the end follows");
        Err(Error::Answer { server: self.server.address().clone(), code, text })
    }

    /// The encoding that the next answer shows, which is that to a request for one byte or none; none if it has another
    /// code than 0. No answer has begun.
    pub(super) fn sniff(&mut self, has_byte: bool) -> Result<Option<Encoding>, Error> {
        (self.waited, self.received) = (Duration::ZERO, 0.0);
        loop {
            match detect::encoding_of(&self.buffer[self.start..self.end], has_byte) {
                Shown::Slice(encoding) => return Ok(Some(encoding)),
                Shown::NoSlice => return Ok(None),
                Shown::Unknown => return Err(Error::UnknownEncoding { server: self.server.address().clone() }),
                Shown::Nothing => self.fill()?,
            }
        }
    }

    /// The next part of the answer that has begun.
    pub(super) fn item(&mut self) -> Result<Item, Error> {
        let held = self.held.take();
        let item = match held {
            Some(item) => item,
            None => self.find()?,
        };
        if matches!(item, Item::End) {
            self.reader = None;
            // What follows would be taken for the next answer.
            if self.pending.is_empty() && self.start < self.end {
                return Err(Error::Excess { server: self.server.address().clone() });
            }
        }
        Ok(item)
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.scratch
    }

    pub(super) fn bytes(&self, part: &Part) -> &[u8] {
        match part {
            Part::Received(range) => &self.buffer[range.clone()],
            Part::Decoded(range) => &self.scratch[range.clone()],
        }
    }

    /// The first line of the answer.
    fn status(&mut self) -> Result<(u16, String), Error> {
        loop {
            let Some(reader) = &mut self.reader else { return Err(self.closed()) };
            match reader.read(&self.buffer[self.start..self.end]) {
                Ok((taken, event)) => {
                    let status = match event {
                        Some(Event::Status { code, text }) => Some((code, printable(text))),
                        _ => None,
                    };
                    self.start += taken;
                    match status {
                        Some(status) => return Ok(status),
                        None => self.fill()?,
                    }
                }
                Err(error) => return Err(self.malformed(error)),
            }
        }
    }

    fn find(&mut self) -> Result<Item, Error> {
        self.scratch.clear();
        loop {
            let Some(reader) = &mut self.reader else { return Err(self.closed()) };
            let (taken, event) = match reader.read(&self.buffer[self.start..self.end]) {
                Ok(read) => read,
                Err(error) => return Err(self.malformed(error)),
            };
            let before = self.start;
            self.start += taken;
            let item = match event {
                Some(Event::Bytes(bytes)) if self.encoding == Encoding::Base64 => {
                    self.scratch.extend_from_slice(bytes);
                    // Decoded bytes are collected up to what has been received.
                    if self.scratch.len() < self.buffer.len() {
                        continue;
                    }
                    return Ok(Item::Bytes(Part::Decoded(0..self.scratch.len())));
                }
                Some(Event::Bytes(bytes)) => {
                    let end = before + taken;
                    Item::Bytes(Part::Received(end - bytes.len()..end))
                }
                Some(Event::Name(name)) => {
                    self.scratch.extend_from_slice(name);
                    Item::Name
                }
                Some(Event::Size(size)) => Item::Size(size),
                Some(Event::End { .. }) => Item::End,
                // The first line was read by `begin`.
                Some(Event::Status { .. }) => continue,
                None if !self.scratch.is_empty() => return Ok(Item::Bytes(Part::Decoded(0..self.scratch.len()))),
                None => {
                    self.fill()?;
                    continue;
                }
            };
            if self.encoding == Encoding::Base64 && !self.scratch.is_empty() && !matches!(item, Item::Name) {
                self.held = Some(item);
                return Ok(Item::Bytes(Part::Decoded(0..self.scratch.len())));
            }
            return Ok(item);
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        if !self.unsent.is_empty() {
            (&self.stream).write_all(&self.unsent).map_err(|error| self.failed(error))?;
            self.unsent.clear();
        }
        Ok(())
    }

    /// Receives at least one byte.
    fn fill(&mut self) -> Result<(), Error> {
        self.flush()?;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let timeout = self.server.options().timeout;
        loop {
            let Some(left) = timeout.checked_sub(self.waited).filter(|left| !left.is_zero()) else {
                return Err(Error::Silent { server: self.server.address().clone(), after: timeout });
            };
            // A system call that is left out as long as what is set is about right.
            if self.patience > left + timeout / 8 || self.patience < left / 2 {
                self.stream.set_read_timeout(Some(left)).map_err(|error| self.failed(error))?;
                self.patience = left;
            }
            let begun = Instant::now();
            let outcome = (&self.stream).read(&mut self.buffer[self.end..]);
            self.waited += begun.elapsed();
            match outcome {
                Ok(0) => return Err(self.closed()),
                Ok(count) => {
                    self.end += count;
                    self.received += count as f64;
                    if self.received >= BYTES_PER_SECOND * timeout.as_secs_f64() {
                        (self.waited, self.received) = (Duration::ZERO, 0.0);
                    }
                    return Ok(());
                }
                // The timeout of the stream; it may have been shorter than what is left.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn closed(&self) -> Error {
        Error::Closed { server: self.server.address().clone() }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let server = self.server.address().clone();
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Error::Silent { server, after: self.server.options().timeout }
            }
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                Error::Closed { server }
            }
            _ => Error::Io { server, error },
        }
    }

    fn malformed(&self, error: crate::wire::answer_reader::ParseError) -> Error {
        Error::Malformed { server: self.server.address().clone(), error }
    }
}
