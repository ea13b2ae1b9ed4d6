//! HFTP on the wire, for both ends: the grammar of requests and the forms of answers (hftp(7)). Bytes in, values
//! out; no input or output, and nothing from outside the standard library.
//!
//! [`request`] is what a client may ask, [`reader`] gets it from a stream, [`code`] holds the codes and their texts,
//! [`answer`] writes what frames the bytes of an answer, [`answer_reader`] gets an answer from a stream.

pub mod answer;
pub mod answer_reader;
mod base64;
pub mod code;
pub mod reader;
pub mod request;

pub use answer_reader::AnswerReader;
pub use code::Code;
pub use reader::RequestReader;
pub use request::{Command, Names, Request, SliceRequest};

/// How a listener answers `get_slice` (hftp(7), ANSWERS TO GET_SLICE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Length, space, bytes, CR LF, until a length of 0 (2008 to 2017).
    Fragments,
    /// The bytes, CR LF (2018).
    Plain,
    /// Base64 and CR LF (since 2019), in lines of `line` bytes of the slice each; 0 is one line.
    Base64 {
        /// Bytes of the slice in a line, a multiple of 3; 0 for one line.
        line: u32,
    },
}

impl Encoding {
    /// The name that the configuration uses for it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Fragments => "fragments",
            Encoding::Plain => "plain",
            Encoding::Base64 { .. } => "base64",
        }
    }
}
