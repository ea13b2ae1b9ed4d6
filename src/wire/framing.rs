//! The framing of a slice in each encoding (hftp(7), ANSWERS TO GET_SLICE).
//!
//! A slice is a sequence of *units*: fragments, lines of base64, or one unit for the whole slice. A unit has a head (the
//! length of a fragment), a payload (bytes of the file, verbatim or in base64) and an end.

use std::io::Write;

use super::{CRLF, Encoding, answer};

/// The end of an answer in fragments: a fragment of length 0.
pub const LAST_FRAGMENT: &[u8] = b"0 \r\n";

/// The framing of the slices of a listener: the encoding and the line length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Framing {
    /// The encoding.
    pub encoding: Encoding,
    /// For base64: the number of bytes of the slice in each line, a multiple of 3; 0 for a single line.
    pub base64_line: u32,
}

impl From<Encoding> for Framing {
    /// `base64_line` is 0.
    fn from(encoding: Encoding) -> Framing {
        Framing { encoding, base64_line: 0 }
    }
}

impl Encoding {
    /// The name in the configuration, hftp.toml(5).
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Fragments => "fragments",
            Encoding::Plain => "plain",
            Encoding::Base64 => "base64",
        }
    }
}

impl Framing {
    /// Base64 with this [`Framing::base64_line`].
    pub fn base64_lines(base64_line: u32) -> Framing {
        Framing { encoding: Encoding::Base64, base64_line }
    }

    /// Whether the payload is the bytes of the file, not encoded.
    pub fn is_verbatim(self) -> bool {
        self.encoding != Encoding::Base64
    }

    /// The number of bytes of the slice in the next unit, if `left` bytes remain. A fragment has at most `fragment` bytes.
    pub fn unit_length(self, left: u64, fragment: u64) -> u64 {
        match self.encoding {
            Encoding::Fragments => left.min(fragment),
            Encoding::Base64 if self.base64_line > 0 => left.min(u64::from(self.base64_line)),
            Encoding::Raw | Encoding::Plain | Encoding::Base64 => left,
        }
    }

    /// Appends the head of a unit of `length` bytes.
    pub fn write_head(self, length: u64, out: &mut impl Write) {
        if self.encoding == Encoding::Fragments && length > 0 {
            answer::fragment_head(out, length);
        }
    }

    /// The length of the head of a unit of `length` bytes.
    pub fn head_length(self, length: u64) -> u64 {
        match self.encoding {
            Encoding::Fragments => length.checked_ilog10().map_or(0, |digits| u64::from(digits) + 2),
            _ => 0,
        }
    }

    /// The length of the payload of a unit of `length` bytes.
    pub fn payload_length(self, length: u64) -> u64 {
        if self.is_verbatim() { length } else { length.div_ceil(3) * 4 }
    }

    /// The bytes after the payload of a unit of `length` bytes: the end of the unit and, after the last unit, the end of
    /// the slice.
    pub fn ends(self, length: u64, is_last: bool) -> [&'static [u8]; 2] {
        match self.encoding {
            Encoding::Raw => [b"", b""],
            Encoding::Plain | Encoding::Base64 => [CRLF, b""],
            Encoding::Fragments => [if length > 0 { CRLF } else { b"" }, if is_last { LAST_FRAGMENT } else { b"" }],
        }
    }

    /// The total length of a unit of `length` bytes.
    pub fn wire_length(self, length: u64, is_last: bool) -> u64 {
        let ends: usize = self.ends(length, is_last).iter().map(|end| end.len()).sum();
        self.head_length(length) + self.payload_length(length) + ends as u64
    }
}
