//! Parses answers incrementally, for clients.
//!
//! A server can be slow, broken or hostile. So an [`AnswerReader`] accepts input split at any byte, stores at most one
//! line of [`LINE_MAX`] bytes, and allocates no memory. It returns the bytes of a slice without copying them, except
//! base64, which it decodes in pieces. Input that violates the protocol is a [`ParseError`].

mod numbers;
mod parse_error;

use super::base64::Decoder;
use super::request::{Request, SliceRequest};
use super::{CRLF, Encoding};
use numbers::{number, push_digit, status};

pub use parse_error::{ParseError, ParseErrorKind};

/// The maximum length of a line in an answer, except base64: twice the maximum length of a file name.
pub const LINE_MAX: usize = 512;

/// The maximum number of bytes that one event has if they are decoded from base64.
const DECODED_MAX: usize = 3 * 1024;

/// A part of an answer. The order is: the status; sizes, names or bytes; the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The first line. After a code other than 0 only the end follows.
    Status {
        /// 0, or a code from 100 to 299, not necessarily one of [`Code`](super::Code).
        code: u16,
        /// The text of the server. Untrusted bytes.
        text: &'a [u8],
    },
    /// The size of the file.
    Size(u64),
    /// The name of a file or of a command. Untrusted bytes without CR and LF; check them with
    /// [`NameCharset::allow_name`](super::NameCharset::allow_name).
    Name(&'a [u8]),
    /// The next bytes of the slice, at least one. Before [`Event::End`] all requested bytes have been returned.
    Bytes(&'a [u8]),
    /// The answer is complete.
    End {
        /// Whether the server closes the connection after this answer.
        closes: bool,
    },
}

/// Parses the answer to one request.
#[derive(Clone)]
pub struct AnswerReader {
    expected: Expected,
    state: State,
    /// The number of bytes of the answer that were consumed.
    consumed: u64,
    /// The number of bytes of the slice that are missing.
    left: u64,
    /// The current line, without a CR that may begin its end; or the last complete line.
    line: [u8; LINE_MAX],
    length: usize,
    line_ended: bool,
    cr_pending: bool,
    decoder: Decoder,
    decoded: [u8; DECODED_MAX],
}

/// What follows the line `0 OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Names,
    Size,
    Slice(Encoding),
    Close,
}

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Status,
    /// Names up to an empty line.
    Names,
    Size,
    /// The `Content-Length` line of a raw slice.
    ContentLength,
    /// The empty line after it.
    HeaderEnd,
    /// The length of a fragment and the space after it.
    Fragment {
        length: Option<u64>,
    },
    /// Verbatim bytes of the slice: of this fragment, or all.
    Payload {
        left: u64,
    },
    /// The CR LF after a payload, or after the length of the last fragment.
    PayloadEnd {
        last: bool,
    },
    /// Base64 text. `started`: the current line has characters.
    Base64 {
        started: bool,
    },
    Complete {
        closes: bool,
    },
    /// [`Event::End`] was returned.
    Ended,
    Failed(ParseError),
}

/// An [`Event`] without borrowed bytes.
enum PendingEvent {
    Status { code: u16, text: usize },
    Size(u64),
    Name,
    Input { start: usize, end: usize },
    Decoded(usize),
    End { closes: bool },
}

/// Input, of which the first `at` bytes were consumed.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }
}

impl AnswerReader {
    /// Creates a reader for the answer to `request`, from a server whose slices have this `encoding`.
    pub fn new(request: Request<'_>, encoding: Encoding) -> AnswerReader {
        let (expected, left) = match request {
            Request::GetFileListing | Request::Help => (Expected::Names, 0),
            Request::GetMetadata { .. } => (Expected::Size, 0),
            Request::Quit => (Expected::Close, 0),
            Request::GetSlice { slice: SliceRequest { size, raw, .. }, .. } => {
                (Expected::Slice(if raw { Encoding::Raw } else { encoding }), size)
            }
        };
        AnswerReader {
            expected,
            state: State::Status,
            consumed: 0,
            left,
            line: [0; LINE_MAX],
            length: 0,
            line_ended: false,
            cr_pending: false,
            decoder: Decoder::default(),
            decoded: [0; DECODED_MAX],
        }
    }

    /// Parses `input` up to the next event. Returns the number of bytes consumed, and the event. The event is `None` if
    /// more input is needed or [`Event::End`] was returned. Bytes after the end belong to the next answer.
    ///
    /// Call it until it returns no event, even with empty input: the end does not always need further bytes. If the
    /// connection is closed before [`Event::End`], the answer is incomplete. After an error, each call returns the same
    /// error.
    pub fn read<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), ParseError> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        let mut cursor = Cursor { bytes: input, at: 0 };
        let found = self.advance(&mut cursor);
        self.consumed += cursor.at as u64;
        let found = match found {
            Ok(event) => event,
            Err(kind) => {
                // The offending byte is the last that was consumed.
                let error = ParseError { at: self.consumed - 1, kind };
                self.state = State::Failed(error);
                return Err(error);
            }
        };
        let event = found.map(|found| match found {
            PendingEvent::Status { code, text } => Event::Status { code, text: &self.line[text..self.length] },
            PendingEvent::Size(size) => Event::Size(size),
            PendingEvent::Name => Event::Name(&self.line[..self.length]),
            PendingEvent::Input { start, end } => Event::Bytes(&input[start..end]),
            PendingEvent::Decoded(count) => Event::Bytes(&self.decoded[..count]),
            PendingEvent::End { closes } => Event::End { closes },
        });
        Ok((cursor.at, event))
    }

    /// The number of verbatim bytes of the slice that come next. The caller may read them from the connection without
    /// the reader, for example with splice(2), if it reports them to [`AnswerReader::skip`].
    pub fn contiguous(&self) -> u64 {
        match self.state {
            State::Payload { left } => left,
            _ => 0,
        }
    }

    /// Reports that the caller has read the next `count` bytes itself, at most [`AnswerReader::contiguous`].
    pub fn skip(&mut self, count: u64) {
        let State::Payload { left } = &mut self.state else { return };
        let count = count.min(*left);
        *left -= count;
        self.left -= count;
        self.consumed += count;
    }

    /// Parses up to the next event.
    fn advance(&mut self, input: &mut Cursor<'_>) -> Result<Option<PendingEvent>, ParseErrorKind> {
        loop {
            match self.state {
                State::Status => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    let (code, text) = status(line).ok_or(ParseErrorKind::InvalidStatus)?;
                    self.state = match code {
                        0 => self.state_after_ok(),
                        code => State::Complete { closes: code < 200 },
                    };
                    return Ok(Some(PendingEvent::Status { code, text }));
                }
                State::Names => match self.line(input)? {
                    None => return Ok(None),
                    Some([]) => self.state = State::Complete { closes: false },
                    Some(_) => return Ok(Some(PendingEvent::Name)),
                },
                State::Size => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    let size = number(line).ok_or(ParseErrorKind::InvalidNumber)?;
                    self.state = State::Complete { closes: false };
                    return Ok(Some(PendingEvent::Size(size)));
                }
                State::ContentLength => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    let length = line.strip_prefix(b"Content-Length: ").ok_or(ParseErrorKind::WrongContentLength)?;
                    let length = number(length).ok_or(ParseErrorKind::InvalidNumber)?;
                    if length != self.left {
                        return Err(ParseErrorKind::WrongContentLength);
                    }
                    self.state = State::HeaderEnd;
                }
                State::HeaderEnd => match self.line(input)? {
                    None => return Ok(None),
                    Some([]) => self.state = State::Payload { left: self.left },
                    Some(_) => return Err(ParseErrorKind::WrongContentLength),
                },
                State::Fragment { length } => {
                    let Some(byte) = input.next() else { return Ok(None) };
                    self.state = match (byte, length) {
                        (b'0'..=b'9', _) => State::Fragment {
                            length: Some(push_digit(length, byte).ok_or(ParseErrorKind::InvalidNumber)?),
                        },
                        (b' ', Some(0)) if self.left > 0 => return Err(ParseErrorKind::TooFewBytes),
                        (b' ', Some(0)) => State::PayloadEnd { last: true },
                        (b' ', Some(length)) if length > self.left => return Err(ParseErrorKind::TooManyBytes),
                        (b' ', Some(length)) => State::Payload { left: length },
                        _ => return Err(ParseErrorKind::InvalidNumber),
                    };
                }
                State::Payload { left: 0 } => self.state = self.state_after_payload(),
                State::Payload { left } => {
                    let start = input.at;
                    let count = (input.rest().len() as u64).min(left);
                    if count == 0 {
                        return Ok(None);
                    }
                    input.at += count as usize;
                    self.left -= count;
                    self.state = State::Payload { left: left - count };
                    return Ok(Some(PendingEvent::Input { start, end: input.at }));
                }
                State::PayloadEnd { last } => {
                    let Some(byte) = input.next() else { return Ok(None) };
                    if byte != CRLF[usize::from(self.cr_pending)] {
                        return Err(ParseErrorKind::InvalidLineEnd);
                    }
                    self.cr_pending = !self.cr_pending;
                    if !self.cr_pending {
                        self.state =
                            if last { State::Complete { closes: false } } else { State::Fragment { length: None } };
                    }
                }
                State::Base64 { started } => match self.base64(started, input)? {
                    None if matches!(self.state, State::Base64 { .. }) => return Ok(None),
                    None => {}
                    event => return Ok(event),
                },
                State::Complete { closes } => {
                    self.state = State::Ended;
                    return Ok(Some(PendingEvent::End { closes }));
                }
                State::Ended | State::Failed(_) => return Ok(None),
            }
        }
    }

    fn state_after_ok(&self) -> State {
        match self.expected {
            Expected::Names => State::Names,
            Expected::Size => State::Size,
            Expected::Slice(Encoding::Raw) => State::ContentLength,
            Expected::Slice(Encoding::Fragments) => State::Fragment { length: None },
            Expected::Slice(Encoding::Plain) => State::Payload { left: self.left },
            Expected::Slice(Encoding::Base64) => State::Base64 { started: false },
            Expected::Close => State::Complete { closes: true },
        }
    }

    fn state_after_payload(&self) -> State {
        match self.expected {
            Expected::Slice(Encoding::Raw) => State::Complete { closes: false },
            expected => State::PayloadEnd { last: expected == Expected::Slice(Encoding::Plain) },
        }
    }

    /// Parses a line. Returns it without its CR LF, or `None` if more input is needed.
    fn line(&mut self, input: &mut Cursor<'_>) -> Result<Option<&[u8]>, ParseErrorKind> {
        if std::mem::take(&mut self.line_ended) {
            self.length = 0;
        }
        loop {
            if self.cr_pending {
                let Some(byte) = input.next() else { return Ok(None) };
                if byte != b'\n' {
                    return Err(ParseErrorKind::InvalidLineEnd);
                }
                (self.cr_pending, self.line_ended) = (false, true);
                return Ok(Some(&self.line[..self.length]));
            }
            let rest = input.rest();
            let room = LINE_MAX - self.length;
            let seen = &rest[..rest.len().min(room)];
            let end = seen.iter().position(|byte| CRLF.contains(byte));
            let text = &seen[..end.unwrap_or(seen.len())];
            self.line[self.length..][..text.len()].copy_from_slice(text);
            self.length += text.len();
            input.at += text.len();
            match input.next() {
                None => return Ok(None),
                Some(b'\r') => self.cr_pending = true,
                Some(b'\n') => return Err(ParseErrorKind::InvalidLineEnd),
                Some(_) => return Err(ParseErrorKind::LineTooLong),
            }
        }
    }

    /// Decodes available input, up to [`DECODED_MAX`] bytes.
    fn base64(&mut self, mut started: bool, input: &mut Cursor<'_>) -> Result<Option<PendingEvent>, ParseErrorKind> {
        let mut count = 0;
        loop {
            if !self.cr_pending {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(DECODED_MAX - count) / 3 * 3;
                let groups = self.decoder.decode_groups(input.rest(), &mut self.decoded[count..count + most]);
                input.at += groups * 4;
                count += groups * 3;
                self.left -= groups as u64 * 3;
                started |= groups > 0;
            }
            self.state = State::Base64 { started };
            // Valid groups are returned before the following characters are checked, so that the events do not depend
            // on where the input is split.
            if count > 0 {
                return Ok(Some(PendingEvent::Decoded(count)));
            }
            let Some(byte) = input.next() else { return Ok(None) };
            match (byte, self.cr_pending) {
                (b'\n', true) => {
                    self.cr_pending = false;
                    self.decoder.end_line()?;
                    if self.left == 0 {
                        self.state = State::Complete { closes: false };
                        return Ok(None);
                    }
                    // Endless empty lines must not be accepted.
                    if !started {
                        return Err(ParseErrorKind::TooFewBytes);
                    }
                    started = false;
                }
                (b'\r', false) => self.cr_pending = true,
                (b'\n', false) | (_, true) => return Err(ParseErrorKind::InvalidLineEnd),
                _ if self.left == 0 => return Err(ParseErrorKind::TooManyBytes),
                (character, false) => {
                    started = true;
                    if let Some(group) = self.decoder.push(character)? {
                        let bytes = group.bytes();
                        count = bytes.len();
                        self.left = self.left.checked_sub(count as u64).ok_or(ParseErrorKind::TooManyBytes)?;
                        self.decoded[..count].copy_from_slice(bytes);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
