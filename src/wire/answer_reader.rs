//! Reads answers as the bytes come: the client's end.
//!
//! A server may be slow, broken or hostile, so an [`AnswerReader`] takes bytes that are cut anywhere, keeps one line of
//! at most [`LINE`] bytes and nothing else, and owns no memory beside itself. The bytes of a slice are handed on where
//! they lie, but for base64, of which a piece at a time is decoded. What the protocol does not allow ends the reading
//! with the place and the reason.

mod malformed;
mod numbers;

use super::base64::Decoder;
use super::request::{Request, SliceRequest};
use super::{CRLF, Encoding};
use numbers::{digit, number, status};

pub use malformed::{Flaw, Malformed};

/// The longest line that an answer may hold, base64 apart: twice the longest name of a file.
pub const LINE: usize = 512;

/// Bytes that are decoded at a time.
const DECODED: usize = 3 * 1024;

/// What an answer brings, in this order: its status; sizes, names or bytes; its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The first line. Nothing but the end follows a code that is not 0.
    Status {
        /// 0, or a code from 100 to 299, which need not be one of [`Code`](super::Code).
        code: u16,
        /// What the server says of it: bytes that the other end chose.
        text: &'a [u8],
    },
    /// The size of the file.
    Size(u64),
    /// The name of a file or of a command. The other end chose these bytes, none of them a CR or LF;
    /// [`Names::allow_name`](super::Names::allow_name) tells whether it can be asked for.
    Name(&'a [u8]),
    /// The next bytes of the slice, at least one. All of them together are as many as were asked for.
    Bytes(&'a [u8]),
    /// The answer is complete.
    End {
        /// Whether the server closes the connection now.
        closes: bool,
    },
}

/// Reads the answer to one request.
#[derive(Clone)]
pub struct AnswerReader {
    expected: Expected,
    state: State,
    /// Bytes of the answer that were taken.
    taken: u64,
    /// Bytes of the slice that have not come yet.
    left: u64,
    /// The line that is being read, without the CR that may be the first half of its end; or the last that was.
    line: [u8; LINE],
    length: usize,
    line_ended: bool,
    after_cr: bool,
    decoder: Decoder,
    decoded: [u8; DECODED],
}

/// What follows `0 OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Names,
    Size,
    Slice(Encoding),
    Close,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Status,
    /// Names up to an empty line.
    Names,
    Size,
    /// The line with the length of a raw slice.
    Head,
    /// The empty line after it.
    HeadEnd,
    /// A fragment's length and its space.
    Length {
        so_far: Option<u64>,
    },
    /// Bytes of the slice as they are: of this fragment, or all.
    Run {
        left: u64,
    },
    /// The CR LF after a run, or after the length of the last fragment.
    RunEnd {
        last: bool,
    },
    Base64 {
        /// Whether the line has characters.
        begun: bool,
    },
    Complete {
        closes: bool,
    },
    /// Nothing: the end was told.
    Over,
    Failed(Malformed),
}

/// An [`Event`] before it borrows.
enum Found {
    Status { code: u16, text: usize },
    Size(u64),
    Name,
    Bytes { start: usize, end: usize },
    Decoded(usize),
    End { closes: bool },
}

/// Bytes, and how many of them were taken.
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
    /// A reader of the answer to `request` by a server whose slices come in `encoding`.
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
            taken: 0,
            left,
            line: [0; LINE],
            length: 0,
            line_ended: false,
            after_cr: false,
            decoder: Decoder::default(),
            decoded: [0; DECODED],
        }
    }

    /// Takes bytes of `input` up to the next event. Returns how many were taken, and the event; none if all were taken
    /// and more are needed, or if the end was told: what follows it is of the next answer.
    ///
    /// It is to be called until there is no event, also when no byte is left, for the end may need none. A connection
    /// that is closed before [`Event::End`] leaves the answer incomplete. An error is final.
    pub fn read<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Malformed> {
        if let State::Failed(malformed) = self.state {
            return Err(malformed);
        }
        let mut cursor = Cursor { bytes: input, at: 0 };
        let found = self.find(&mut cursor);
        self.taken += cursor.at as u64;
        let found = match found {
            Ok(found) => found,
            Err(flaw) => {
                // The byte at which it showed was taken.
                let malformed = Malformed { at: self.taken - 1, flaw };
                self.state = State::Failed(malformed);
                return Err(malformed);
            }
        };
        let event = found.map(|found| match found {
            Found::Status { code, text } => Event::Status { code, text: &self.line[text..self.length] },
            Found::Size(size) => Event::Size(size),
            Found::Name => Event::Name(&self.line[..self.length]),
            Found::Bytes { start, end } => Event::Bytes(&input[start..end]),
            Found::Decoded(count) => Event::Bytes(&self.decoded[..count]),
            Found::End { closes } => Event::End { closes },
        });
        Ok((cursor.at, event))
    }

    /// How many bytes of the slice come next as they are, with nothing around them. They need not be shown to the
    /// reader: they may be taken where they have to go (recv(2), splice(2)), and [`AnswerReader::pass`] tells so.
    pub fn run(&self) -> u64 {
        match self.state {
            State::Run { left } => left,
            _ => 0,
        }
    }

    /// Of the run, `count` bytes were taken elsewhere: at most [`AnswerReader::run`].
    pub fn pass(&mut self, count: u64) {
        let State::Run { left } = &mut self.state else { return };
        let count = count.min(*left);
        *left -= count;
        self.left -= count;
        self.taken += count;
    }

    /// Goes on to the next event.
    fn find(&mut self, input: &mut Cursor<'_>) -> Result<Option<Found>, Flaw> {
        loop {
            match self.state {
                State::Status => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    let (code, text) = status(line).ok_or(Flaw::Status)?;
                    self.state = match code {
                        0 => self.after_ok(),
                        code => State::Complete { closes: code < 200 },
                    };
                    return Ok(Some(Found::Status { code, text }));
                }
                State::Names => match self.line(input)? {
                    None => return Ok(None),
                    Some([]) => self.state = State::Complete { closes: false },
                    Some(_) => return Ok(Some(Found::Name)),
                },
                State::Size => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    let size = number(line).ok_or(Flaw::Number)?;
                    self.state = State::Complete { closes: false };
                    return Ok(Some(Found::Size(size)));
                }
                State::Head => {
                    let Some(line) = self.line(input)? else { return Ok(None) };
                    let length = line.strip_prefix(b"Content-Length: ").ok_or(Flaw::Head)?;
                    let length = number(length).ok_or(Flaw::Number)?;
                    if length != self.left {
                        return Err(Flaw::Head);
                    }
                    self.state = State::HeadEnd;
                }
                State::HeadEnd => match self.line(input)? {
                    None => return Ok(None),
                    Some([]) => self.state = State::Run { left: self.left },
                    Some(_) => return Err(Flaw::Head),
                },
                State::Length { so_far } => {
                    let Some(byte) = input.next() else { return Ok(None) };
                    self.state = match (byte, so_far) {
                        (b'0'..=b'9', _) => State::Length { so_far: Some(digit(so_far, byte).ok_or(Flaw::Number)?) },
                        (b' ', Some(0)) if self.left > 0 => return Err(Flaw::TooFew),
                        (b' ', Some(0)) => State::RunEnd { last: true },
                        (b' ', Some(length)) if length > self.left => return Err(Flaw::TooMany),
                        (b' ', Some(length)) => State::Run { left: length },
                        _ => return Err(Flaw::Number),
                    };
                }
                State::Run { left: 0 } => self.state = self.after_run(),
                State::Run { left } => {
                    let start = input.at;
                    let count = (input.rest().len() as u64).min(left);
                    if count == 0 {
                        return Ok(None);
                    }
                    input.at += count as usize;
                    self.left -= count;
                    self.state = State::Run { left: left - count };
                    return Ok(Some(Found::Bytes { start, end: input.at }));
                }
                State::RunEnd { last } => {
                    let Some(byte) = input.next() else { return Ok(None) };
                    if byte != CRLF[usize::from(self.after_cr)] {
                        return Err(Flaw::LineEnd);
                    }
                    self.after_cr = !self.after_cr;
                    if !self.after_cr {
                        self.state =
                            if last { State::Complete { closes: false } } else { State::Length { so_far: None } };
                    }
                }
                State::Base64 { begun } => match self.base64(begun, input)? {
                    None if matches!(self.state, State::Base64 { .. }) => return Ok(None),
                    None => {}
                    found => return Ok(found),
                },
                State::Complete { closes } => {
                    self.state = State::Over;
                    return Ok(Some(Found::End { closes }));
                }
                State::Over | State::Failed(_) => return Ok(None),
            }
        }
    }

    fn after_ok(&self) -> State {
        match self.expected {
            Expected::Names => State::Names,
            Expected::Size => State::Size,
            Expected::Slice(Encoding::Raw) => State::Head,
            Expected::Slice(Encoding::Fragments) => State::Length { so_far: None },
            Expected::Slice(Encoding::Plain) => State::Run { left: self.left },
            Expected::Slice(Encoding::Base64) => State::Base64 { begun: false },
            Expected::Close => State::Complete { closes: true },
        }
    }

    fn after_run(&self) -> State {
        match self.expected {
            Expected::Slice(Encoding::Raw) => State::Complete { closes: false },
            expected => State::RunEnd { last: expected == Expected::Slice(Encoding::Plain) },
        }
    }

    /// Takes bytes up to the end of a line; returns the line, if that has come.
    fn line(&mut self, input: &mut Cursor<'_>) -> Result<Option<&[u8]>, Flaw> {
        if std::mem::take(&mut self.line_ended) {
            self.length = 0;
        }
        loop {
            if self.after_cr {
                let Some(byte) = input.next() else { return Ok(None) };
                if byte != b'\n' {
                    return Err(Flaw::LineEnd);
                }
                (self.after_cr, self.line_ended) = (false, true);
                return Ok(Some(&self.line[..self.length]));
            }
            let rest = input.rest();
            let room = LINE - self.length;
            let seen = &rest[..rest.len().min(room)];
            let end = seen.iter().position(|byte| CRLF.contains(byte));
            let text = &seen[..end.unwrap_or(seen.len())];
            self.line[self.length..][..text.len()].copy_from_slice(text);
            self.length += text.len();
            input.at += text.len();
            match input.next() {
                None => return Ok(None),
                Some(b'\r') => self.after_cr = true,
                Some(b'\n') => return Err(Flaw::LineEnd),
                Some(_) => return Err(Flaw::LongLine),
            }
        }
    }

    /// Decodes what is there, up to a piece.
    fn base64(&mut self, begun: bool, input: &mut Cursor<'_>) -> Result<Option<Found>, Flaw> {
        let mut begun = begun;
        let mut count = 0;
        loop {
            if !self.after_cr {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(DECODED - count) / 3 * 3;
                let groups = self.decoder.groups(input.rest(), &mut self.decoded[count..count + most]);
                input.at += groups * 4;
                count += groups * 3;
                self.left -= groups as u64 * 3;
                begun |= groups > 0;
            }
            self.state = State::Base64 { begun };
            // What is right is handed on before it is looked at what is not, so that it is the same wherever the text
            // is cut.
            if count > 0 {
                return Ok(Some(Found::Decoded(count)));
            }
            let Some(byte) = input.next() else { return Ok(None) };
            match (byte, self.after_cr) {
                (b'\n', true) => {
                    self.after_cr = false;
                    self.decoder.end_line()?;
                    if self.left == 0 {
                        self.state = State::Complete { closes: false };
                        return Ok(None);
                    }
                    // A line of nothing brings the slice no nearer to its end.
                    if !begun {
                        return Err(Flaw::TooFew);
                    }
                    begun = false;
                }
                (b'\r', false) => self.after_cr = true,
                (b'\n', false) | (_, true) => return Err(Flaw::LineEnd),
                _ if self.left == 0 => return Err(Flaw::TooMany),
                (character, false) => {
                    begun = true;
                    if let Some(group) = self.decoder.push(character)? {
                        let bytes = group.bytes();
                        count = bytes.len();
                        self.left = self.left.checked_sub(count as u64).ok_or(Flaw::TooMany)?;
                        self.decoded[..count].copy_from_slice(bytes);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
