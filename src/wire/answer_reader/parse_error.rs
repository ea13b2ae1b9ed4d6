//! The error of the answer reader.

use std::fmt;

use crate::wire::base64::NotBase64;

/// The bytes received are not a valid answer to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// The offset of the offending byte in the answer.
    pub at: u64,
    /// The kind of error.
    pub kind: ParseErrorKind,
}

/// The kinds of [`ParseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// The first line is not a code of the protocol, a space and a text.
    InvalidStatus,
    /// A line is longer than [`LINE_MAX`](super::LINE_MAX) bytes.
    LineTooLong,
    /// A CR without LF, an LF without CR, or neither where a line must end.
    InvalidLineEnd,
    /// Not a decimal number of 64 bits without leading zeros.
    InvalidNumber,
    /// The header of a raw slice is not the `Content-Length` of the requested size and an empty line.
    WrongContentLength,
    /// The answer has more bytes than requested.
    TooManyBytes,
    /// The answer has fewer bytes than requested.
    TooFewBytes,
    /// The text is not valid base64.
    InvalidBase64,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self.kind {
            ParseErrorKind::InvalidStatus => "expected a code, a space and a text",
            ParseErrorKind::LineTooLong => "line too long",
            ParseErrorKind::InvalidLineEnd => "expected CR LF at the end of the line",
            ParseErrorKind::InvalidNumber => "expected a decimal number",
            ParseErrorKind::WrongContentLength => "expected Content-Length of the requested size and an empty line",
            ParseErrorKind::TooManyBytes => "more bytes than requested",
            ParseErrorKind::TooFewBytes => "fewer bytes than requested",
            ParseErrorKind::InvalidBase64 => "invalid base64",
        };
        write!(f, "invalid answer at byte {}: {message}", self.at)
    }
}

impl std::error::Error for ParseError {}

impl From<NotBase64> for ParseErrorKind {
    fn from(NotBase64: NotBase64) -> ParseErrorKind {
        ParseErrorKind::InvalidBase64
    }
}
