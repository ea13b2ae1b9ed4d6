//! What can go wrong between a client and a server.

use std::io;
use std::time::Duration;
use std::{error, fmt};

use crate::wire::Code;
use crate::wire::answer_reader::ParseError;

use super::address::Address;

/// Why a request has no result.
#[derive(Debug)]
pub enum Error {
    /// No request can hold this name.
    Name(Vec<u8>),
    /// The host has no address.
    Resolve {
        /// The server.
        server: Address,
        /// What the resolver reported.
        error: io::Error,
    },
    /// None of the host's addresses accepted a connection.
    Connect {
        /// The server.
        server: Address,
        /// What the last of them reported.
        error: io::Error,
    },
    /// The server sent nothing, or almost nothing, for this time.
    Silent {
        /// The server.
        server: Address,
        /// The timeout.
        after: Duration,
    },
    /// The connection ended before the answer was complete.
    Closed {
        /// The server.
        server: Address,
    },
    /// The connection failed.
    Io {
        /// The server.
        server: Address,
        /// What the operating system reported.
        error: io::Error,
    },
    /// The server sent something that is no answer to the request.
    Malformed {
        /// The server.
        server: Address,
        /// What is wrong, and where.
        error: ParseError,
    },
    /// The server sent bytes after the end of its last answer.
    Excess {
        /// The server.
        server: Address,
    },
    /// The answer to the request for one byte is in none of the encodings.
    UnknownEncoding {
        /// The server.
        server: Address,
    },
    /// The names of the listing are more than [`Listing::MAX`](super::Listing::MAX) bytes.
    LongListing {
        /// The server.
        server: Address,
    },
    /// The server answered with a code that is not 0.
    Answer {
        /// The server.
        server: Address,
        /// 100 to 299.
        code: u16,
        /// What the server says of it, with escapes in place of bytes that a terminal would obey.
        text: String,
    },
}

impl Error {
    /// The code of the answer, if the server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Error::Answer { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the answer is that there is no such file.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(Code::FileNotFound.number())
    }

    /// Whether the same request may succeed later, with nothing changed but the time.
    pub fn can_pass(&self) -> bool {
        match self {
            Error::Connect { .. } | Error::Silent { .. } | Error::Closed { .. } | Error::Io { .. } => true,
            // A server that is full, or that cannot read its directory at this moment.
            Error::Answer { code: 199, text, .. } => !text.contains("NOT WELCOME"),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Name(name) => {
                write!(f, "\"{}\" cannot be asked for: a name is 1 to 255 printable characters", name.escape_ascii())?;
                f.write_str(" of ASCII without space and slash")
            }
            Error::Resolve { server, error } => write!(f, "{} has no address: {error}", server.host),
            Error::Connect { server, error } => write!(f, "cannot connect to {server}: {error}"),
            Error::Silent { server, after } => {
                write!(f, "{server} sent nothing, or too little, for {} s", after.as_secs_f32())
            }
            Error::Closed { server } => write!(f, "{server} closed the connection before the answer was complete"),
            Error::Io { server, error } => write!(f, "the connection to {server} failed: {error}"),
            Error::Malformed { server, error } => write!(f, "{server}: {error}"),
            Error::Excess { server } => write!(f, "{server} sent more bytes after the end of its answer"),
            Error::UnknownEncoding { server } => {
                write!(f, "{server} sends slices in no known encoding; is this an HFTP server?")
            }
            Error::LongListing { server } => write!(f, "{server} lists more names than can be kept"),
            Error::Answer { server, code, text } => write!(f, "{server} answered {code} {text}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Resolve { error, .. } | Error::Connect { error, .. } | Error::Io { error, .. } => Some(error),
            Error::Malformed { error, .. } => Some(error),
            _ => None,
        }
    }
}
