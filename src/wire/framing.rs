//! What stands around the bytes of a slice in each encoding (hftp(7), ANSWERS TO GET_SLICE).
//!
//! A slice is a sequence of *units*: fragments, lines of base64, or one unit for the whole. A unit has a head (the length
//! of a fragment), a payload (bytes of the file, as they are or in base64) and an end.

use std::io::Write;

use super::{CRLF, Encoding, answer};

/// The end of an answer in fragments: a zero and a space.
pub const LAST_FRAGMENT: &[u8] = b"0 \r\n";

/// How a listener frames slices: its encoding, and where it breaks lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Framing {
    /// The encoding.
    pub encoding: Encoding,
    /// In base64: bytes of the slice in a line, a multiple of 3; 0 for one line.
    pub base64_line: u32,
}

impl From<Encoding> for Framing {
    /// Base64 in one line.
    fn from(encoding: Encoding) -> Framing {
        Framing { encoding, base64_line: 0 }
    }
}

impl Encoding {
    /// The name that the configuration uses.
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
    /// Base64 with `base64_line` bytes of the slice in each line.
    pub fn base64_lines(base64_line: u32) -> Framing {
        Framing { encoding: Encoding::Base64, base64_line }
    }

    /// Whether the payload is the bytes of the file as they are.
    pub fn is_verbatim(self) -> bool {
        self.encoding != Encoding::Base64
    }

    /// How many bytes of the slice are in the next unit if `left` are left. A fragment has up to `fragment` bytes.
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

    /// The length of that head.
    pub fn head_length(self, length: u64) -> u64 {
        match self.encoding {
            Encoding::Fragments => length.checked_ilog10().map_or(0, |digits| u64::from(digits) + 2),
            _ => 0,
        }
    }

    /// How long the payload of a unit of `length` bytes is.
    pub fn payload_length(self, length: u64) -> u64 {
        if self.is_verbatim() { length } else { length.div_ceil(3) * 4 }
    }

    /// What follows the payload of a unit of `length` bytes: its own end, and that of the slice after the last unit.
    pub fn ends(self, length: u64, is_last: bool) -> [&'static [u8]; 2] {
        match self.encoding {
            Encoding::Raw => [b"", b""],
            Encoding::Plain | Encoding::Base64 => [CRLF, b""],
            Encoding::Fragments => [if length > 0 { CRLF } else { b"" }, if is_last { LAST_FRAGMENT } else { b"" }],
        }
    }

    /// How long a whole unit of `length` bytes is.
    pub fn wire_length(self, length: u64, is_last: bool) -> u64 {
        let ends: usize = self.ends(length, is_last).iter().map(|end| end.len()).sum();
        self.head_length(length) + self.payload_length(length) + ends as u64
    }
}
