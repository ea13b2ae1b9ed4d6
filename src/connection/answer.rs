//! An answer: its head, its body, and the number of bytes sent.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use super::buffer::Buffer;
use super::events::{Answered, CloseReason};
use super::request::RequestInfo;
use super::slice::{COPY_MAX, Encoded, Encoder, Slice};
use crate::handle::{Listing, OpenFile, ReadError};
use crate::wire::{CRLF, Code, answer};

/// An answer that has not been completely sent.
pub(super) struct Answer {
    code: Code,
    head: Head,
    head_length: u8,
    body: Body,
    /// The number of bytes sent.
    sent: u64,
    /// The request, for the report. `None` if there was none.
    info: Option<RequestInfo>,
    /// Why the connection is closed after this answer, if it is.
    pub(super) close_after: Option<CloseReason>,
    /// The number of input bytes after its request. They are parsed again if no later answer is sent.
    pub(super) rest: usize,
}

/// The first bytes of an answer, with the values at the time of the request.
#[derive(Clone, Copy)]
pub(super) enum Head {
    /// A complete line, usually that of the code.
    Line(&'static str),
    Help,
    /// The size of a file.
    Size(u64),
    /// The header of a raw slice of this size.
    Raw(u64),
}

impl Head {
    fn write(self, out: &mut impl Write) {
        match self {
            Head::Line(line) => out.write_all(line.as_bytes()).expect("writing to memory does not fail"),
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

/// Counts the bytes written to it.
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

/// The part of an answer after the head.
pub(super) enum Body {
    Nothing,
    /// The text of a listing and an empty line.
    Listing(Arc<Listing>),
    Slice(Slice),
}

impl Answer {
    pub(super) fn new(code: Code, head: Head, body: Body, info: Option<RequestInfo>) -> Answer {
        Answer { code, head, head_length: head.length() as u8, body, sent: 0, info, close_after: None, rest: 0 }
    }

    /// An answer with a single line.
    pub(super) fn line(code: Code, line: &'static str, info: Option<RequestInfo>) -> Answer {
        Answer::new(code, Head::Line(line), Body::Nothing, info)
    }

    /// An answer with only a code. After a fatal one the connection is closed.
    pub(super) fn code(code: Code, info: RequestInfo) -> Answer {
        let mut answer = Answer::line(code, code.line(), Some(info));
        answer.close_after = code.is_fatal().then_some(CloseReason::Fatal);
        answer
    }

    fn head_length(&self) -> u64 {
        u64::from(self.head_length)
    }

    /// The offset of the next byte in the text of a listing and the CR LF after it.
    fn at(&self) -> usize {
        usize::try_from(self.sent.saturating_sub(self.head_length())).unwrap_or(usize::MAX)
    }

    /// The approximate number of remaining bytes.
    pub(super) fn size(&self) -> u64 {
        let body = match &self.body {
            Body::Nothing => 0,
            Body::Listing(listing) => (listing.text().len() + CRLF.len() - self.at()) as u64,
            Body::Slice(slice) => slice.left(),
        };
        self.head_length() + body
    }

    /// Whether a thread must send it, not an event loop.
    pub(super) fn is_for_thread(&self) -> bool {
        match &self.body {
            Body::Nothing | Body::Listing(_) => false,
            Body::Slice(slice) => slice.is_for_thread(),
        }
    }

    /// Whether it is too large to share a buffer with other answers.
    pub(super) fn is_large(&self) -> bool {
        match &self.body {
            Body::Nothing => false,
            Body::Listing(_) => self.size() > COPY_MAX,
            Body::Slice(slice) => slice.left() > COPY_MAX,
        }
    }

    /// Whether reading its body can hang although other files of the same device can be read.
    pub(super) fn is_remote(&self) -> bool {
        match &self.body {
            Body::Nothing | Body::Listing(_) => false,
            Body::Slice(slice) => slice.is_remote(),
        }
    }

    /// The device of its file; 0 if it has none.
    pub(super) fn device(&self) -> u64 {
        match &self.body {
            Body::Nothing | Body::Listing(_) => 0,
            Body::Slice(slice) => slice.device(),
        }
    }

    /// The file, the offset and the number of bytes to send next with sendfile(2). `None` if the next bytes must be copied.
    pub(super) fn for_kernel(&self) -> Option<(&OpenFile, u64, u64)> {
        match &self.body {
            Body::Slice(slice) if self.sent >= self.head_length() => slice.for_kernel(),
            _ => None,
        }
    }

    /// Appends the next bytes, until `out` has about `limit` bytes.
    pub(super) fn append_next(
        &self,
        limit: usize,
        out: &mut Buffer,
        encoder: &mut Encoder,
    ) -> Result<Encoded, ReadError> {
        if self.sent < self.head_length() {
            let start = out.len();
            self.head.write(out);
            out.remove(start, self.sent as usize);
        }
        match &self.body {
            Body::Nothing => Ok(Encoded::All),
            Body::Slice(slice) => slice.append_next(limit, out, encoder),
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

    /// Records that `count` bytes of this and later answers were sent. If this answer is complete, returns the number of
    /// bytes that belong to later ones.
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
        self.is_complete().then(|| body - taken)
    }

    fn is_complete(&self) -> bool {
        match &self.body {
            Body::Nothing => true,
            Body::Listing(listing) => self.at() == listing.text().len() + CRLF.len(),
            Body::Slice(slice) => slice.is_complete(),
        }
    }

    /// Records that sendfile(2) has sent `count` bytes of the slice. It never sends the last bytes of an answer.
    pub(super) fn sent_by_kernel(&mut self, count: u64, now: Instant) {
        self.sent += count;
        if let Body::Slice(slice) = &mut self.body {
            slice.sent_by_kernel(count);
            slice.adapt(self.sent, now);
        }
    }

    /// The report of the answer, after its last byte or its abort.
    pub(super) fn report(self, complete: bool) -> Option<Answered> {
        let RequestInfo { since, request } = self.info?;
        Some(Answered { code: self.code, bytes: self.sent, since, complete, request })
    }
}
