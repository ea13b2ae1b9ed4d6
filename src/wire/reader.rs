//! Parses requests incrementally.
//!
//! A line can be megabytes long and arrive byte by byte, so [`RequestReader`] does not store it. It stores the first
//! [`PREFIX_LEN`] bytes, which have room for the command and a file name of the maximum length. Of the rest it stores
//! what determines the answer: the number of elements, whether all bytes of the name are allowed, the two numbers, and
//! whether the last element is `raw`. Its size is constant.

use super::code::Code;
use super::request::{Command, NAME_MAX, NameCharset, Request, SliceRequest};

/// The number of bytes of a line that are stored: the longest command, a space and the longest name.
pub const PREFIX_LEN: usize = 16 + 1 + NAME_MAX;

/// Parses requests from a stream that is split at any byte.
///
/// Call [`RequestReader::reset`] after each line. After a fatal code the reader must not be used.
#[derive(Clone)]
pub struct RequestReader {
    names: NameCharset,
    /// The maximum length of a line, without its CR LF.
    limit: u64,
    /// The first bytes of the line.
    prefix: [u8; PREFIX_LEN],
    line: Line,
}

/// The state of the current line. Separate from the stored bytes, so that a reset does not clear them.
#[derive(Clone, Copy)]
struct Line {
    /// The length so far, without a CR that may begin the end of the line.
    length: u64,
    /// Whether the last byte was a CR that may begin the end of the line.
    cr_pending: bool,
    /// Whether the line contains only spaces and tabs.
    is_blank: bool,
    /// The index of the element that the next byte belongs to. The command is 0.
    element: usize,
    /// The offset of the end of the command, or 0 before it.
    command_end: u64,
    /// The offset of the end of the first argument, or 0 before it.
    name_end: u64,
    /// Whether all bytes of the first argument are allowed in a name.
    name_allowed: bool,
    /// The second and third arguments.
    numbers: [Number; 2],
    /// The error that ended the line early.
    error: Option<Code>,
    /// The number of bytes of the fourth argument that match `raw`; `None` after a mismatch.
    raw: Option<usize>,
}

impl Line {
    const EMPTY: Line = Line {
        length: 0,
        cr_pending: false,
        is_blank: true,
        element: 0,
        command_end: 0,
        name_end: 0,
        name_allowed: true,
        numbers: [Number::EMPTY; 2],
        error: None,
        raw: Some(0),
    };
}

/// A number argument: one or more decimal digits. Saturates at `u64::MAX`.
#[derive(Debug, Clone, Copy)]
struct Number {
    value: u64,
    /// Whether all bytes are digits; `None` before the first byte.
    digits_only: Option<bool>,
}

impl Number {
    const EMPTY: Number = Number { value: 0, digits_only: None };

    fn push(&mut self, byte: u8) {
        let digit = byte.is_ascii_digit();
        self.digits_only = Some(digit && self.digits_only != Some(false));
        if digit {
            self.value = self.value.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
        }
    }

    fn get(self) -> Result<u64, Code> {
        if self.digits_only == Some(true) { Ok(self.value) } else { Err(Code::InvalidArguments) }
    }
}

const RAW: &[u8] = b"raw";

impl RequestReader {
    /// Creates a reader of lines of at most `limit` bytes, without CR LF.
    pub fn new(names: NameCharset, limit: u64) -> RequestReader {
        RequestReader { names, limit, prefix: [0; PREFIX_LEN], line: Line::EMPTY }
    }

    /// Begins the next line, with new settings.
    pub fn reset(&mut self, names: NameCharset, limit: u64) {
        (self.names, self.limit, self.line) = (names, limit, Line::EMPTY);
    }

    /// Parses `input` up to the end of the line or to an error that ends the connection. Returns the number of bytes
    /// consumed, and whether the line ended. If it ended, [`RequestReader::request`] returns the request or the error.
    pub fn read(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            // A CR without LF is an ordinary byte of the line.
            if self.line.cr_pending && byte != b'\n' {
                self.line.cr_pending = false;
                if self.push(b"\r") == 0 {
                    return self.end(at + 1, Code::BadRequest);
                }
            }
            match byte {
                b'\n' if self.line.cr_pending => {
                    self.end_element();
                    return (at + 1, true);
                }
                b'\n' => return self.end(at + 1, Code::BadEol),
                b'\r' => {
                    self.line.cr_pending = true;
                    at += 1;
                }
                _ => {
                    let segment = segment(&input[at..]);
                    let taken = self.push(segment);
                    at += taken;
                    if taken < segment.len() {
                        return self.end(at + 1, Code::BadRequest);
                    }
                }
            }
        }
        (at, false)
    }

    /// Ends the line with an error at the last of the `taken` bytes.
    fn end(&mut self, taken: usize, error: Code) -> (usize, bool) {
        self.line.error = Some(error);
        (taken, true)
    }

    /// The request of a complete line. If the line has several errors, returns the first in the order of hftp(7). If the
    /// error [is fatal](Code::is_fatal), the connection must be closed after the answer.
    pub fn request(&self) -> Result<Request<'_>, Code> {
        if let Some(error) = self.line.error {
            return Err(error);
        }
        if self.line.is_blank {
            return Err(Code::BadRequest);
        }
        let command = self.command().ok_or(Code::NoSuchCommand)?;
        if !command.accepts_arity(self.line.element) {
            return Err(Code::InvalidArguments);
        }
        match command {
            Command::GetFileListing => Ok(Request::GetFileListing),
            Command::Help => Ok(Request::Help),
            Command::Quit => Ok(Request::Quit),
            Command::GetMetadata => Ok(Request::GetMetadata { name: self.name(command)? }),
            Command::GetSlice => {
                let raw = self.line.element == 4;
                if raw && self.line.raw != Some(RAW.len()) {
                    return Err(Code::InvalidArguments);
                }
                let [offset, size] = [self.line.numbers[0].get()?, self.line.numbers[1].get()?];
                Ok(Request::GetSlice { name: self.name(command)?, slice: SliceRequest { offset, size, raw } })
            }
        }
    }

    /// The first [`PREFIX_LEN`] bytes of the line, for the log. Untrusted bytes.
    pub fn line(&self) -> &[u8] {
        &self.prefix[..self.line.length.min(PREFIX_LEN as u64) as usize]
    }

    /// Adds a [`segment`] or a single CR to the line. Returns how many of the bytes are within the limit.
    fn push(&mut self, segment: &[u8]) -> usize {
        let room = usize::try_from(self.limit.saturating_sub(self.line.length)).unwrap_or(usize::MAX);
        let segment = &segment[..segment.len().min(room)];
        let [first, ..] = segment else { return 0 };
        if let Ok(start) = usize::try_from(self.line.length)
            && let Some(free) = self.prefix.get_mut(start..)
        {
            let kept = segment.len().min(free.len());
            free[..kept].copy_from_slice(&segment[..kept]);
        }
        self.line.is_blank = self.line.is_blank && segment.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if *first == b' ' {
            self.end_element();
            self.line.element = self.line.element.saturating_add(1);
        } else {
            match self.line.element {
                1 => {
                    self.line.name_allowed =
                        self.line.name_allowed && segment.iter().all(|&byte| self.names.allow(byte))
                }
                2 | 3 => segment.iter().for_each(|&byte| self.line.numbers[self.line.element - 2].push(byte)),
                4 => {
                    self.line.raw =
                        self.line.raw.filter(|&at| RAW[at..].starts_with(segment)).map(|at| at + segment.len())
                }
                _ => {}
            }
        }
        self.line.length += segment.len() as u64;
        segment.len()
    }

    fn end_element(&mut self) {
        match self.line.element {
            0 => self.line.command_end = self.line.length,
            1 => self.line.name_end = self.line.length,
            _ => {}
        }
    }

    fn command(&self) -> Option<Command> {
        let word = self.prefix.get(..usize::try_from(self.line.command_end).ok()?)?;
        Command::ALL.into_iter().find(|command| command.name().as_bytes() == word)
    }

    fn name(&self, command: Command) -> Result<&[u8], Code> {
        let start = command.name().len() + 1;
        let length = self.line.name_end - start as u64;
        if length == 0 || !self.line.name_allowed {
            return Err(Code::InvalidArguments);
        }
        if length > NAME_MAX as u64 {
            return Err(Code::FileNotFound);
        }
        Ok(&self.prefix[start..start + length as usize])
    }
}

/// The bytes that are parsed together: a space, or the bytes before the next space, CR or LF.
fn segment(input: &[u8]) -> &[u8] {
    let ends = |&byte: &u8| matches!(byte, b' ' | b'\r' | b'\n');
    let length = input.iter().position(ends).unwrap_or(input.len());
    &input[..length.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 400;

    /// The requests and codes of `input` as text, up to the first fatal code.
    fn read(input: &[u8], cut: impl Fn(usize) -> usize) -> Vec<String> {
        let mut reader = RequestReader::new(NameCharset::Portable, LIMIT);
        let (mut results, mut at) = (Vec::new(), 0);
        while at < input.len() {
            let end = at.saturating_add(cut(at)).min(input.len());
            let (taken, ended) = reader.read(&input[at..end]);
            at += taken;
            if ended {
                let fatal = match reader.request() {
                    Ok(request) => {
                        results.push(show(request));
                        false
                    }
                    Err(code) => {
                        results.push(code.number().to_string());
                        code.is_fatal()
                    }
                };
                if fatal {
                    break;
                }
                reader.reset(NameCharset::Portable, LIMIT);
            }
        }
        results
    }

    fn show(request: Request<'_>) -> String {
        match request {
            Request::GetFileListing => "listing".to_owned(),
            Request::GetMetadata { name } => format!("size of {}", name.escape_ascii()),
            Request::GetSlice { name, slice: SliceRequest { offset, size, raw } } => {
                format!("{}{} {offset}+{size}", if raw { "raw " } else { "" }, name.escape_ascii())
            }
            Request::Help => "help".to_owned(),
            Request::Quit => "quit".to_owned(),
        }
    }

    #[test]
    fn results_match_the_protocol_at_every_split() {
        let long = "n".repeat(255);
        let table: &[(&str, &[&str])] = &[
            ("get_file_listing\r\n", &["listing"]),
            ("get_metadata a10\r\nhelp\r\nquit\r\n", &["size of a10", "help", "quit"]),
            ("get_slice a10 3 4\r\n", &["a10 3+4"]),
            ("get_slice a10 007 0001 raw\r\n", &["raw a10 7+1"]),
            (
                "get_slice a 99999999999999999999 18446744073709551615\r\n",
                &["a 18446744073709551615+18446744073709551615"],
            ),
            ("\r\n", &["101"]),
            (" \t \r\n", &["101"]),
            (" x\r\n", &["200"]),
            (" help\r\n", &["200"]),
            ("\thelp\r\n", &["200"]),
            ("help \r\n", &["201"]),
            ("Help\r\n", &["200"]),
            ("helpp\r\n", &["200"]),
            ("get_file_listings\r\n", &["200"]),
            ("hel\r\r\np", &["200"]),
            ("\r\r\n", &["200"]),
            ("help\rhelp\r\n", &["200"]),
            ("\n", &["100"]),
            ("help\r\n\n", &["help", "100"]),
            ("qui\nt\r\n", &["100"]),
            ("verdura\r\nhelp\r\n", &["200", "help"]),
            ("quit please\r\n", &["201"]),
            ("get_metadata\r\n", &["201"]),
            ("get_metadata \r\n", &["201"]),
            ("get_metadata  a\r\n", &["201"]),
            ("get_metadata a b\r\n", &["201"]),
            ("get_metadata ../a\r\n", &["201"]),
            ("get_metadata a\tb\r\n", &["201"]),
            ("get_metadata a\0\r\n", &["201"]),
            ("get_metadata a\rb\r\n", &["201"]),
            ("get_metadata ..\r\n", &["size of .."]),
            ("get_slice a 1\r\n", &["201"]),
            ("get_slice a 1 2 raw raw\r\n", &["201"]),
            ("get_slice a 1 2 RAW\r\n", &["201"]),
            ("get_slice a 1 2 ra\r\n", &["201"]),
            ("get_slice a 1 2 raww\r\n", &["201"]),
            ("get_slice a 1 2 \r\n", &["201"]),
            ("get_slice a -1 2\r\n", &["201"]),
            ("get_slice a 1a 2\r\n", &["201"]),
            ("get_slice a  2\r\n", &["201"]),
            ("get_slice a +1 2\r\n", &["201"]),
            (&format!("get_metadata {long}\r\n"), &[&format!("size of {long}")]),
            (&format!("get_metadata {long}n\r\n"), &["202"]),
            (&format!("get_metadata {long}@\r\n"), &["201"]),
            (&format!("get_slice {long}n x 1\r\n"), &["201"]),
            (&format!("get_slice {long} 1 2\r\n"), &[&format!("{long} 1+2")]),
            (&"a".repeat(401), &["101"]),
            (&format!("{}\n", "a".repeat(401)), &["101"]),
            (&format!("{}\n", "a".repeat(400)), &["100"]),
            (&format!("{}\r\n", "a".repeat(400)), &["200"]),
            (&format!("{}\r\r\n", "a".repeat(400)), &["101"]),
        ];
        for (input, expected) in table {
            let input = input.as_bytes();
            assert_eq!(read(input, |_| usize::MAX), *expected, "{}", input.escape_ascii());
            assert_eq!(read(input, |_| 1), *expected, "byte by byte: {}", input.escape_ascii());
            for split in 1..input.len() {
                let cut = |at: usize| if at < split { split - at } else { usize::MAX };
                assert_eq!(read(input, cut), *expected, "cut at {split}: {}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn reader_stops_after_the_byte_that_reveals_an_error() {
        let limit = "a".repeat(400);
        for (line, fault) in [
            ("\n".to_owned(), Code::BadEol),
            ("help\n".to_owned(), Code::BadEol),
            ("get_metadata a\n".to_owned(), Code::BadEol),
            (format!("{limit}a"), Code::BadRequest),
            (format!("{limit} "), Code::BadRequest),
            (format!("{limit}\n"), Code::BadEol),
            (format!("{limit}\r\r"), Code::BadRequest),
            (format!("{limit}\ra"), Code::BadRequest),
        ] {
            let mut reader = RequestReader::new(NameCharset::Portable, LIMIT);
            let input = format!("{line}help\r\n");
            assert_eq!(reader.read(input.as_bytes()), (line.len(), true), "{input:?}");
            assert_eq!(reader.request(), Err(fault), "{input:?}");
        }
        let mut reader = RequestReader::new(NameCharset::Portable, LIMIT);
        assert_eq!(reader.read(b"quit\r\nhelp\r\n"), (6, true));
        assert_eq!(reader.request(), Ok(Request::Quit));
    }

    #[test]
    fn first_272_bytes_of_a_line_are_kept_for_the_log() {
        for length in [0, 1, 271, 272, 273, 400] {
            let line: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
            let mut reader = RequestReader::new(NameCharset::Portable, LIMIT);
            assert_eq!(reader.read(&line), (length, false));
            assert_eq!(reader.line().escape_ascii().to_string(), line[..length.min(272)].escape_ascii().to_string());
        }
    }

    #[test]
    fn printable_names_allow_all_but_space_and_slash() {
        let allowed: Vec<u8> = (0..=255).filter(|&byte| NameCharset::Printable.allow(byte)).collect();
        let expected: Vec<u8> = (0x21..=0x7e).filter(|&byte| byte != b'/').collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn listed_names_can_be_requested() {
        let mut portable = RequestReader::new(NameCharset::Portable, LIMIT);
        for byte in 1..=255u8 {
            if NameCharset::Portable.allow_name(&[byte]) {
                portable.reset(NameCharset::Portable, LIMIT);
                let line = [b"get_metadata ", &[byte][..], b"\r\n"].concat();
                assert_eq!(portable.read(&line), (line.len(), true));
                assert_eq!(portable.request(), Ok(Request::GetMetadata { name: &[byte] }));
            }
        }
        assert!(!NameCharset::Portable.allow_name(b""));
        assert!(!NameCharset::Portable.allow_name(&[b'a'; 256]));
    }

    #[test]
    fn a_line_of_5_mib_needs_constant_memory() {
        let mut reader = RequestReader::new(NameCharset::Portable, u64::MAX);
        let piece = [b'a'; 4096];
        assert_eq!(reader.read(b"get_metadata "), (13, false));
        for _ in 0..1280 {
            assert_eq!(reader.read(&piece), (4096, false));
        }
        assert_eq!(reader.read(b"\r\n"), (2, true));
        assert_eq!(reader.request(), Err(Code::FileNotFound));
        assert!(std::mem::size_of::<RequestReader>() < 512);
    }
}
