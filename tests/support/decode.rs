//! Decodes answers with `hftpd::wire::AnswerReader`. The suites `protocol` and `differential` compare bytes instead.

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

pub(crate) use hftpd::wire::Encoding;
use hftpd::wire::answer_reader::{Event, ParseError};
use hftpd::wire::{AnswerReader, Request, SliceRequest};

/// The ways to request a slice from a daemon with `Settings::listen_all`, each with the index of its listener.
pub(crate) const ALL_ENCODINGS: [(usize, Encoding); 5] =
    [(0, Encoding::Fragments), (1, Encoding::Plain), (2, Encoding::Base64), (3, Encoding::Base64), (0, Encoding::Raw)];

/// Why an answer is not complete and valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The status line has a code other than 0.
    Refused(String),
    /// The connection was closed during the answer.
    Ended { reset: bool },
    /// The answer is invalid.
    Wrong(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused(line) => write!(f, "answered {line:?}"),
            Fault::Ended { reset: false } => f.write_str("the connection was closed during the answer"),
            Fault::Ended { reset: true } => f.write_str("the connection was reset during the answer"),
            Fault::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Fault::Ended { reset: true },
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Fault::Wrong("timeout during the answer".to_owned()),
            _ => Fault::Wrong(error.to_string()),
        }
    }
}

impl From<ParseError> for Fault {
    fn from(error: ParseError) -> Fault {
        Fault::Wrong(error.to_string())
    }
}

/// The request for a slice, to a listener of this encoding.
pub(crate) fn slice_request(encoding: Encoding, name: &str, offset: u64, size: u64) -> String {
    let raw = if encoding == Encoding::Raw { " raw" } else { "" };
    format!("get_slice {name} {offset} {size}{raw}\r\n")
}

/// Reads the answer to a request for a slice of `size` bytes and passes them to `sink`. Does not read what follows.
pub(crate) fn read_slice(
    encoding: Encoding,
    reader: &mut impl BufRead,
    size: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Fault> {
    let slice = SliceRequest { offset: 0, size, raw: encoding == Encoding::Raw };
    answer(reader, AnswerReader::new(Request::GetSlice { name: b"", slice }, encoding), &mut |event| {
        if let Event::Bytes(bytes) = event {
            sink(bytes);
        }
    })
}

/// Reads one answer and passes its events to `sink`. Does not read what follows.
pub(crate) fn answer(
    reader: &mut impl BufRead,
    mut answer: AnswerReader,
    sink: &mut dyn FnMut(Event<'_>),
) -> Result<(), Fault> {
    loop {
        let ready = reader.fill_buf()?;
        if ready.is_empty() {
            return Err(Fault::Ended { reset: false });
        }
        let (mut at, mut refused, mut ended) = (0, None, false);
        loop {
            let (taken, event) = answer.read(&ready[at..])?;
            at += taken;
            match event {
                None => break,
                Some(Event::Status { code, text }) if code != 0 => {
                    refused = Some(Fault::Refused(format!("{code} {}", text.escape_ascii())));
                }
                Some(Event::End { .. }) => ended = true,
                Some(event) => sink(event),
            }
        }
        reader.consume(at);
        if let Some(fault) = refused {
            return Err(fault);
        }
        if ended {
            return Ok(());
        }
    }
}
