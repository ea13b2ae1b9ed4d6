//! One answer: its head, its body, and how much of it was sent.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use super::buffer::Buffer;
use super::request::RequestInfo;
use super::slice::{COPIED, Encoded, Encoder, Slice};
use super::tell::{Answered, CloseReason};
use crate::handle::{Listing, OpenFile, ReadError};
use crate::wire::{CRLF, Code, answer};

/// An answer that is not completely sent yet.
pub(super) struct Answer {
    code: Code,
    head: Head,
    head_length: u8,
    body: Body,
    /// Bytes that were sent.
    sent: u64,
    /// What is said of the request; none where there was none.
    info: Option<RequestInfo>,
    /// Why the connection ends after it, if it does.
    pub(super) last: Option<CloseReason>,
    /// Bytes of the input that followed its request: where parsing goes on if no later answer was sent.
    pub(super) rest: usize,
}

/// The first bytes of an answer. What they say was true when the request was answered, so they are made from what was
/// found then.
#[derive(Clone, Copy)]
pub(super) enum Head {
    /// A whole line, most often that of the code.
    Line(&'static str),
    Help,
    /// The size of a file.
    Size(u64),
    /// What precedes a raw slice of so many bytes.
    Raw(u64),
}

impl Head {
    fn write(self, out: &mut impl Write) {
        match self {
            Head::Line(line) => out.write_all(line.as_bytes()).expect("memory takes every byte"),
            Head::Help => answer::help(out),
            Head::Size(size) => answer::metadata(out, size),
            Head::Raw(size) => answer::raw_head(out, size),
        }
    }

    fn length(self) -> u64 {
        let mut length = Length(0);
        self.write(&mut length);
        length.0
    }
}

/// Counts what is written to it.
struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What follows the head.
pub(super) enum Body {
    Nothing,
    /// The text of a listing and an empty line.
    Listing(Arc<Listing>),
    Slice(Slice),
}

impl Answer {
    pub(super) fn new(code: Code, head: Head, body: Body, info: Option<RequestInfo>) -> Answer {
        Answer { code, head, head_length: head.length() as u8, body, sent: 0, info, last: None, rest: 0 }
    }

    /// An answer that is one line.
    pub(super) fn line(code: Code, line: &'static str, info: Option<RequestInfo>) -> Answer {
        Answer::new(code, Head::Line(line), Body::Nothing, info)
    }

    /// An answer that is a code alone. The connection ends after a fatal one.
    pub(super) fn code(code: Code, info: RequestInfo) -> Answer {
        let mut answer = Answer::line(code, code.line(), Some(info));
        answer.last = code.is_fatal().then_some(CloseReason::Fatal);
        answer
    }

    fn head_length(&self) -> u64 {
        u64::from(self.head_length)
    }

    /// Where in the text of a listing, and what follows it, the next byte is.
    fn at(&self) -> usize {
        usize::try_from(self.sent.saturating_sub(self.head_length())).unwrap_or(usize::MAX)
    }

    /// How many bytes are still to be sent, roughly: what a buffer has to hold for it.
    pub(super) fn size(&self) -> u64 {
        let body = match &self.body {
            Body::Nothing => 0,
            Body::Listing(listing) => (listing.text().len() + CRLF.len() - self.at()) as u64,
            Body::Slice(slice) => slice.left(),
        };
        self.head_length() + body
    }

    /// Whether a thread sends it, rather than an event loop.
    pub(super) fn is_for_thread(&self) -> bool {
        match &self.body {
            Body::Nothing | Body::Listing(_) => false,
            Body::Slice(slice) => slice.is_for_thread(),
        }
    }

    /// Whether it does not fit into a buffer with others.
    pub(super) fn is_large(&self) -> bool {
        match &self.body {
            Body::Nothing => false,
            Body::Listing(_) => self.size() > COPIED,
            Body::Slice(slice) => slice.left() > COPIED,
        }
    }

    /// Whether reading its body may hang though others of its device can be read.
    pub(super) fn is_remote(&self) -> bool {
        match &self.body {
            Body::Nothing | Body::Listing(_) => false,
            Body::Slice(slice) => slice.is_remote(),
        }
    }

    /// The device that its body is read from.
    pub(super) fn device(&self) -> u64 {
        match &self.body {
            Body::Nothing | Body::Listing(_) => 0,
            Body::Slice(slice) => slice.device(),
        }
    }

    /// Bytes of a file that the kernel is to send now, unless some are to be copied first.
    pub(super) fn for_kernel(&self) -> Option<(&OpenFile, u64, u64)> {
        match &self.body {
            Body::Slice(slice) if self.sent >= self.head_length() => slice.for_kernel(),
            _ => None,
        }
    }

    /// Appends what comes next, until `out` holds about `limit` bytes.
    pub(super) fn make(&self, limit: usize, out: &mut Buffer, encoder: &mut Encoder) -> Result<Encoded, ReadError> {
        if self.sent < self.head_length() {
            let start = out.len();
            self.head.write(out);
            out.remove(start, self.sent as usize);
        }
        match &self.body {
            Body::Nothing => Ok(Encoded::All),
            Body::Slice(slice) => slice.make(limit, out, encoder),
            Body::Listing(listing) => {
                let (text, at) = (listing.text(), self.at());
                let left = text.get(at..).unwrap_or_default();
                let room = limit.saturating_sub(out.len());
                out.append(&left[..left.len().min(room)]);
                if left.len() > room {
                    return Ok(Encoded::Full);
                }
                out.append(&CRLF[at.saturating_sub(text.len())..]);
                Ok(Encoded::All)
            }
        }
    }

    /// Of the `count` bytes that were sent, takes those that belong to it. Returns how many are left, once it is complete.
    pub(super) fn advance(&mut self, count: u64) -> Option<u64> {
        let head = self.head_length().saturating_sub(self.sent).min(count);
        let body = count - head;
        self.sent += head;
        if self.sent < self.head_length() {
            return None;
        }
        let head_length = self.head_length();
        let taken = match &mut self.body {
            Body::Nothing => 0,
            Body::Listing(listing) => {
                let end = head_length + (listing.text().len() + CRLF.len()) as u64;
                body.min(end - self.sent)
            }
            Body::Slice(slice) => slice.advance(body),
        };
        self.sent += taken;
        self.is_sent().then(|| body - taken)
    }

    fn is_sent(&self) -> bool {
        match &self.body {
            Body::Nothing => true,
            Body::Listing(listing) => self.at() == listing.text().len() + CRLF.len(),
            Body::Slice(slice) => slice.is_sent(),
        }
    }

    /// `count` bytes of the slice were sent by the kernel, which never ends an answer.
    pub(super) fn sent_by_kernel(&mut self, count: u64, now: Instant) {
        self.sent += count;
        if let Body::Slice(slice) = &mut self.body {
            slice.sent_by_kernel(count);
            slice.adapt(self.sent, now);
        }
    }

    /// What is told of it when nothing more of it is sent.
    pub(super) fn report(self, complete: bool) -> Option<Answered> {
        let RequestInfo { since, request } = self.info?;
        Some(Answered { code: self.code, bytes: self.sent, since, complete, request })
    }
}
