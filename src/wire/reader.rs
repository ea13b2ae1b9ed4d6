//! Reads requests as the bytes come.
//!
//! A line may be megabytes long and arrive a byte at a time, so [`RequestReader`] never keeps it: it holds the first
//! [`HEAD`] bytes, in which the command and every name that a file can have fit, and of the rest only what decides the
//! answer (how many elements, whether all bytes of the name are allowed, the two numbers, whether the last word is
//! `raw`). What it costs is the same whatever comes.

use super::code::Code;
use super::request::{Command, NAME_MAX, Names, Request, SliceRequest};

/// Bytes of a line that are kept: the longest command, a space, the longest name.
pub const HEAD: usize = 16 + 1 + NAME_MAX;

/// Reads requests from a stream that is cut anywhere.
///
/// A reader is used for one line and then for the next; after a fatal code it is not used again.
#[derive(Clone)]
pub struct RequestReader {
    names: Names,
    /// The longest line, without its CR LF.
    limit: u64,
    /// The first bytes of the line.
    head: [u8; HEAD],
    line: Line,
}

/// What is known of a line so far. Apart from the bytes that are kept, so that the next line begins at little cost.
#[derive(Clone, Copy)]
struct Line {
    /// Bytes of it, without a CR that may be the first half of its end.
    length: u64,
    /// Whether the last byte was a CR of which it is not known yet what it is.
    after_cr: bool,
    /// Whether all of it is spaces and tabs.
    blank: bool,
    /// Which element the next byte belongs to: 0 is the command.
    element: usize,
    /// Where the command ended, once it has.
    command_end: u64,
    /// Where the first argument ended, once it has.
    name_end: u64,
    /// Whether all bytes of the first argument may stand in a name.
    name_allowed: bool,
    /// The second and third arguments.
    numbers: [Number; 2],
    /// What ended the line before its end.
    fault: Option<Code>,
    /// How many bytes of `raw` the fourth argument has been so far; none once it cannot become it.
    raw: Option<usize>,
}

impl Line {
    const EMPTY: Line = Line {
        length: 0,
        after_cr: false,
        blank: true,
        element: 0,
        command_end: 0,
        name_end: 0,
        name_allowed: true,
        numbers: [Number::EMPTY; 2],
        fault: None,
        raw: Some(0),
    };
}

/// One or more decimal digits.
#[derive(Debug, Clone, Copy)]
struct Number {
    value: u64,
    /// `None` before the first byte.
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
    /// A reader at the beginning of a line of at most `limit` bytes.
    pub fn new(names: Names, limit: u64) -> RequestReader {
        RequestReader { names, limit, head: [0; HEAD], line: Line::EMPTY }
    }

    /// Begins the next line, under rules that may be new.
    pub fn restart(&mut self, names: Names, limit: u64) {
        (self.names, self.limit, self.line) = (names, limit, Line::EMPTY);
    }

    /// Takes bytes of `input` up to the end of the line, or to the fault that ends the connection: then
    /// [`RequestReader::request`] tells what it is. Returns how many bytes were taken and whether that was the end.
    pub fn read(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            // A CR that no LF follows is a byte of the line like any other.
            if self.line.after_cr && byte != b'\n' {
                self.line.after_cr = false;
                if self.push(b"\r") == 0 {
                    return self.end(at + 1, Code::BadRequest);
                }
            }
            match byte {
                b'\n' if self.line.after_cr => {
                    self.end_element();
                    return (at + 1, true);
                }
                b'\n' => return self.end(at + 1, Code::BadEol),
                b'\r' => {
                    self.line.after_cr = true;
                    at += 1;
                }
                _ => {
                    let run = run(&input[at..]);
                    let taken = self.push(run);
                    at += taken;
                    if taken < run.len() {
                        return self.end(at + 1, Code::BadRequest);
                    }
                }
            }
        }
        (at, false)
    }

    /// The line ends with a fault, whose byte is the last of the `taken` ones.
    fn end(&mut self, taken: usize, fault: Code) -> (usize, bool) {
        self.line.fault = Some(fault);
        (taken, true)
    }

    /// Judges the whole line, in the order in which hftp(7) ranks the faults. `Err` is the code to answer; whether it
    /// ends the connection is [`Code::is_fatal`]'s to say.
    pub fn request(&self) -> Result<Request<'_>, Code> {
        if let Some(fault) = self.line.fault {
            return Err(fault);
        }
        if self.line.blank {
            return Err(Code::BadRequest);
        }
        let command = self.command().ok_or(Code::NoSuchCommand)?;
        if !command.takes(self.line.element) {
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

    /// The line as far as it was kept, for a log: bytes that the other end chose.
    pub fn line(&self) -> &[u8] {
        &self.head[..self.line.length.min(HEAD as u64) as usize]
    }

    /// Adds bytes that are not part of the line's end: a [`run`], or a CR. Returns how many of them the line may hold.
    fn push(&mut self, run: &[u8]) -> usize {
        let room = usize::try_from(self.limit.saturating_sub(self.line.length)).unwrap_or(usize::MAX);
        let run = &run[..run.len().min(room)];
        let [first, ..] = run else { return 0 };
        if let Ok(start) = usize::try_from(self.line.length)
            && let Some(free) = self.head.get_mut(start..)
        {
            let kept = run.len().min(free.len());
            free[..kept].copy_from_slice(&run[..kept]);
        }
        self.line.blank = self.line.blank && run.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if *first == b' ' {
            self.end_element();
            self.line.element = self.line.element.saturating_add(1);
        } else {
            match self.line.element {
                1 => self.line.name_allowed = self.line.name_allowed && run.iter().all(|&byte| self.names.allow(byte)),
                2 | 3 => run.iter().for_each(|&byte| self.line.numbers[self.line.element - 2].push(byte)),
                4 => self.line.raw = self.line.raw.filter(|&at| RAW[at..].starts_with(run)).map(|at| at + run.len()),
                _ => {}
            }
        }
        self.line.length += run.len() as u64;
        run.len()
    }

    fn end_element(&mut self) {
        match self.line.element {
            0 => self.line.command_end = self.line.length,
            1 => self.line.name_end = self.line.length,
            _ => {}
        }
    }

    fn command(&self) -> Option<Command> {
        let word = self.head.get(..usize::try_from(self.line.command_end).ok()?)?;
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
        Ok(&self.head[start..start + length as usize])
    }
}

/// The bytes that are judged together: a space, or all up to the next space or what may be the end of the line.
fn run(input: &[u8]) -> &[u8] {
    let ends = |&byte: &u8| matches!(byte, b' ' | b'\r' | b'\n');
    let length = input.iter().position(ends).unwrap_or(input.len());
    &input[..length.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 400;

    /// What a reader makes of `input`, in words, up to the first fatal code.
    fn read(input: &[u8], cut: impl Fn(usize) -> usize) -> Vec<String> {
        let mut reader = RequestReader::new(Names::Portable, LIMIT);
        let (mut said, mut at) = (Vec::new(), 0);
        while at < input.len() {
            let end = at.saturating_add(cut(at)).min(input.len());
            let (taken, ended) = reader.read(&input[at..end]);
            at += taken;
            if ended {
                let fatal = match reader.request() {
                    Ok(request) => {
                        said.push(show(request));
                        false
                    }
                    Err(code) => {
                        said.push(code.number().to_string());
                        code.is_fatal()
                    }
                };
                if fatal {
                    break;
                }
                reader.restart(Names::Portable, LIMIT);
            }
        }
        said
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
    fn lines_are_judged_as_the_protocol_says_however_they_are_cut() {
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
    fn printable_names_hold_all_but_space_and_slash() {
        let allowed: Vec<u8> = (0..=255).filter(|&byte| Names::Printable.allow(byte)).collect();
        let expected: Vec<u8> = (0x21..=0x7e).filter(|&byte| byte != b'/').collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn a_listed_name_can_be_asked_for() {
        let mut portable = RequestReader::new(Names::Portable, LIMIT);
        for byte in 1..=255u8 {
            if Names::Portable.allow_name(&[byte]) {
                portable.restart(Names::Portable, LIMIT);
                let line = [b"get_metadata ", &[byte][..], b"\r\n"].concat();
                assert_eq!(portable.read(&line), (line.len(), true));
                assert_eq!(portable.request(), Ok(Request::GetMetadata { name: &[byte] }));
            }
        }
        assert!(!Names::Portable.allow_name(b""));
        assert!(!Names::Portable.allow_name(&[b'a'; 256]));
    }

    #[test]
    fn a_line_of_any_length_costs_the_same() {
        let mut reader = RequestReader::new(Names::Portable, u64::MAX);
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
