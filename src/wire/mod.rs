//! The HFTP protocol, for clients and servers: the grammar of requests and answers (hftp(7)). It converts between bytes
//! and values, performs no input or output, and uses only the standard library.
//!
//! [`request`] defines requests and writes them, [`reader`] parses them from a stream. [`code`] defines the codes and
//! their texts, [`answer`] writes headers of answers, [`framing`] describes the bytes around the payload of a slice,
//! [`answer_reader`] parses answers from a stream.

pub mod answer;
pub mod answer_reader;
mod base64;
pub mod code;
pub mod framing;
pub mod reader;
pub mod request;

pub use answer_reader::AnswerReader;
pub use code::Code;
pub use framing::Framing;
pub use reader::RequestReader;
pub use request::{Command, NameCharset, Request, SliceRequest};

/// The end of a line.
pub const CRLF: &[u8] = b"\r\n";

/// The encoding of a slice in an answer (hftp(7), ANSWERS TO GET_SLICE). Each listener has one; a client can request raw
/// bytes from any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// A `Content-Length` line, an empty line, the bytes. Only clients select it; no listener has it.
    Raw,
    /// Length, space, bytes, CR LF, until a length of 0 (2008 to 2017).
    Fragments,
    /// The bytes, CR LF (2018).
    Plain,
    /// Base64 and CR LF (since 2019), in one line or several ([`Framing`]).
    Base64,
}
