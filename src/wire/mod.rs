//! HFTP on the wire, for both ends: the grammar of requests and the forms of answers (hftp(7)). Bytes in, values
//! out; no input or output, and nothing from outside the standard library.

/// How a listener answers `get_slice`.
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

/// Which bytes a FILENAME may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Names {
    /// `A-Z a-z 0-9 . - _`
    Portable,
    /// Every printable ASCII byte but space and `/`.
    Printable,
}
