//! What is wrong with an answer, and where.

use std::fmt;

use crate::wire::base64::NotBase64;

/// Bytes that are no answer to what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// How many bytes of the answer came before the one at which it showed.
    pub at: u64,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What can be wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The first line is no code of the protocol, a space and a text.
    Status,
    /// A line has more than [`LINE`](super::LINE) bytes.
    LongLine,
    /// A CR without its LF, an LF without its CR, or neither where a line has to end.
    LineEnd,
    /// No decimal number of 64 bits stands where one belongs.
    Number,
    /// A raw slice is not announced by the `Content-Length` that was asked for.
    Head,
    /// There are more bytes than were asked for.
    TooMany,
    /// The answer ends before all bytes that were asked for.
    TooFew,
    /// The text is not base64.
    NotBase64,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flaw = match self.flaw {
            Flaw::Status => "its first line is no code of the protocol, a space and a text",
            Flaw::LongLine => "a line does not end",
            Flaw::LineEnd => "CR LF does not stand where a line ends, or half of it stands where none does",
            Flaw::Number => "a decimal number belongs here",
            Flaw::Head => "this is not the Content-Length that was asked for",
            Flaw::TooMany => "there is more than was asked for",
            Flaw::TooFew => "it ends before all that was asked for",
            Flaw::NotBase64 => "this is not base64",
        };
        write!(f, "the answer is malformed at its byte {}: {flaw}", self.at)
    }
}

impl std::error::Error for Malformed {}

impl From<NotBase64> for Flaw {
    fn from(NotBase64: NotBase64) -> Flaw {
        Flaw::NotBase64
    }
}
