//! The four forms of an answer to `get_slice`, decoded as they arrive, strictly, straight from hftp(7).

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

/// The form in which a slice comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Fragments,
    Plain,
    /// In lines of so many bytes of the slice each; 0 is one line.
    Base64 {
        line: u64,
    },
    Raw,
}

/// What kept an answer from being a whole and right one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The first line is not `0 OK`.
    Refused(String),
    /// The connection ended before the answer did.
    Ended { reset: bool },
    /// Something that the protocol does not allow.
    Wrong(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused(line) => write!(f, "answered {line:?}"),
            Fault::Ended { reset: false } => f.write_str("the connection was closed within the answer"),
            Fault::Ended { reset: true } => f.write_str("the connection was reset within the answer"),
            Fault::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            ErrorKind::UnexpectedEof => Fault::Ended { reset: false },
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Fault::Ended { reset: true },
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Fault::Wrong("the answer stopped: no byte in time".to_owned())
            }
            _ => Fault::Wrong(error.to_string()),
        }
    }
}

impl Form {
    /// The five ways to ask the listeners of `Settings::listen_all`, with the place of the listener.
    pub(crate) const ALL: [(usize, Form); 5] = [
        (0, Form::Fragments),
        (1, Form::Plain),
        (2, Form::Base64 { line: 0 }),
        (3, Form::Base64 { line: 48 << 10 }),
        (0, Form::Raw),
    ];

    /// The request for a slice in this form, from a listener that has it.
    pub(crate) fn request(self, name: &str, offset: u64, size: u64) -> String {
        let raw = if self == Form::Raw { " raw" } else { "" };
        format!("get_slice {name} {offset} {size}{raw}\r\n")
    }

    /// Reads one answer of `size` bytes and hands them to `sink`; leaves what follows it unread.
    pub(crate) fn read(self, reader: &mut impl BufRead, size: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let head = line(reader)?;
        if head != "0 OK" {
            return Err(Fault::Refused(head));
        }
        match self {
            Form::Fragments => fragments(reader, size, sink),
            Form::Plain => {
                copy(reader, size, sink)?;
                literal(reader, b"\r\n")
            }
            Form::Base64 { line } => base64(reader, size, line, sink),
            Form::Raw => {
                literal(reader, format!("Content-Length: {size}\r\n\r\n").as_bytes())?;
                copy(reader, size, sink)
            }
        }
    }
}

/// A line without its CR LF.
pub(crate) fn line(reader: &mut impl BufRead) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n") {
        bytes.push(byte(reader)?);
        if bytes.len() > 1000 {
            return wrong(format!("a line without an end: {}", super::show(&bytes)));
        }
    }
    bytes.truncate(bytes.len() - 2);
    String::from_utf8(bytes)
        .or_else(|error| wrong(format!("a line that is not text: {}", super::show(error.as_bytes()))))
}

/// Length, space, so many bytes, CR LF, as often as it takes; then a length of 0, with nothing between space and CR LF.
fn fragments(reader: &mut impl BufRead, size: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    const LARGEST: u64 = 5 << 20;
    let mut left = size;
    loop {
        let mut digits = String::new();
        loop {
            match byte(reader)? {
                b' ' => break,
                digit @ b'0'..=b'9' if digits.len() < 19 => digits.push(char::from(digit)),
                other => return wrong(format!("{digits:?} and byte {other:#04x} where a length and a space belong")),
            }
        }
        let Ok(length) = digits.parse::<u64>() else { return wrong(format!("no length in {digits:?}")) };
        if length == 0 {
            literal(reader, b"\r\n")?;
            return if left == 0 { Ok(()) } else { wrong(format!("the last fragment came {left} bytes early")) };
        }
        if length > left || length > LARGEST {
            return wrong(format!("a fragment of {length} bytes with {left} bytes to go"));
        }
        copy(reader, length, sink)?;
        literal(reader, b"\r\n")?;
        left -= length;
    }
}

/// Lines that stand for `line` bytes each and can be decoded alone. An empty slice is one empty line.
fn base64(reader: &mut impl BufRead, size: u64, line: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let step = if line == 0 { size } else { line / 3 * 3 };
    let mut left = size;
    loop {
        let bytes = left.min(step);
        base64_line(reader, bytes, sink)?;
        left -= bytes;
        if left == 0 {
            return Ok(());
        }
    }
}

fn base64_line(reader: &mut impl BufRead, bytes: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let mut group = 0_u32;
    let mut held = 0;
    let mut padding = 0;
    let mut bad = None;
    copy(reader, bytes.div_ceil(3) * 4, &mut |text| {
        let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
        for &byte in text {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    padding += 1;
                    0
                }
                _ => {
                    bad = bad.or(Some(byte));
                    0
                }
            };
            if padding > 0 && byte != b'=' {
                bad = bad.or(Some(byte));
            }
            group = group << 6 | u32::from(value);
            held += 1;
            if held == 4 {
                let [_, decoded @ ..] = group.to_be_bytes();
                let (kept, dropped) = decoded.split_at(3_usize.saturating_sub(padding));
                if dropped.iter().any(|&bits| bits != 0) {
                    bad = bad.or(Some(b'='));
                }
                out.extend_from_slice(kept);
                (group, held) = (0, 0);
            }
        }
        sink(&out);
    })?;
    let wanted = usize::try_from((3 - bytes % 3) % 3).expect("at most 2");
    if bad.is_some() || padding != wanted {
        return wrong(format!("base64 of {bytes} bytes with {padding} of padding, first bad byte {bad:?}"));
    }
    literal(reader, b"\r\n")
}

/// Hands on exactly so many bytes.
fn copy(reader: &mut impl BufRead, size: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
    let mut left = size;
    while left > 0 {
        let ready = fill(reader)?;
        let length = ready.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        sink(&ready[..length]);
        reader.consume(length);
        left -= length as u64;
    }
    Ok(())
}

fn literal(reader: &mut impl BufRead, wanted: &[u8]) -> Result<(), Fault> {
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        got.push(byte(reader)?);
        if !wanted.starts_with(&got) {
            return wrong(format!("{} where {} belongs", super::show(&got), super::show(wanted)));
        }
    }
    Ok(())
}

fn byte(reader: &mut impl BufRead) -> Result<u8, Fault> {
    let first = fill(reader)?[0];
    reader.consume(1);
    Ok(first)
}

/// What is there, at least one byte.
fn fill(reader: &mut impl BufRead) -> Result<&[u8], Fault> {
    let ready = reader.fill_buf()?;
    if ready.is_empty() { Err(Fault::Ended { reset: false }) } else { Ok(ready) }
}

fn wrong<T>(what: String) -> Result<T, Fault> {
    Err(Fault::Wrong(what))
}
