//! HFTP on the wire, for both ends: the grammar of requests and the forms of answers (hftp(7)). Bytes in, values
//! out; no input or output, and nothing from outside the standard library.
//!
//! [`request`] is what a client may ask, [`reader`] gets it from a stream, [`code`] holds the codes and their texts,
//! [`answer`] writes the heads of answers, `framing` knows what stands around the bytes of a slice, [`answer_reader`] gets an
//! answer from a stream.

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
pub use request::{Command, Names, Request, SliceRequest};

/// The end of a line.
pub const CRLF: &[u8] = b"\r\n";

/// How the bytes of a slice stand in an answer (hftp(7), ANSWERS TO GET_SLICE). A listener has one of them; a client asks
/// for raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The length in a line, an empty line, the bytes. The client asks for it; no listener has it.
    Raw,
    /// Length, space, bytes, CR LF, until a length of 0 (2008 to 2017).
    Fragments,
    /// The bytes, CR LF (2018).
    Plain,
    /// Base64 and CR LF (since 2019), in one line or in many ([`Framing`]).
    Base64,
}
