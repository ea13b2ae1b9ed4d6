//! Answers decoded as they arrive, by the reader that clients have. What is compared to the byte, in `tests/protocol` and
//! against the model of `tests/differential`, is not read here.

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

use hftpd::wire::answer_reader::{Event, Malformed};
use hftpd::wire::{AnswerReader, Encoding, Request, SliceRequest};

/// The form in which a slice comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Fragments,
    Plain,
    /// In lines of so many bytes of the slice each; 0 is one line.
    Base64 {
        line: u32,
    },
    Raw,
}

/// What kept an answer from being a whole and right one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The first line has another code than 0.
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
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Fault::Ended { reset: true },
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Fault::Wrong("the answer stopped: no byte in time".to_owned())
            }
            _ => Fault::Wrong(error.to_string()),
        }
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Fault {
        Fault::Wrong(malformed.to_string())
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
        let raw = self == Form::Raw;
        let encoding = match self {
            Form::Fragments => Encoding::Fragments,
            Form::Raw => Encoding::Raw,
            Form::Plain => Encoding::Plain,
            Form::Base64 { line } => Encoding::Base64 { line },
        };
        let request = Request::GetSlice { name: b"", slice: SliceRequest { offset: 0, size, raw } };
        answer(reader, AnswerReader::new(request, encoding), &mut |event| {
            if let Event::Bytes(bytes) = event {
                sink(bytes);
            }
        })
    }
}

/// Reads one answer and hands what it brings to `sink`; leaves what follows it unread.
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
