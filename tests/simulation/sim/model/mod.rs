//! The protocol as hftp(7) tells it, written for the tests and plainly: whole lines, whole files, nothing that streams.
//! It shares no code with the daemon, so that the two agree by the protocol alone.

pub(crate) mod answer;
pub(crate) mod matching;
pub(crate) mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

/// What the configuration decides of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// `files.names = "printable"`
    pub(crate) printable: bool,
    /// `files.hidden`
    pub(crate) hidden: bool,
    /// `files.symlinks = "inside"`
    pub(crate) links: bool,
    /// `limits.request-line`
    pub(crate) request_line: usize,
}

impl Rules {
    /// Whether a name may hold this byte.
    pub(crate) fn allow(&self, byte: u8) -> bool {
        let portable = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
        if self.printable { (0x21..=0x7e).contains(&byte) && byte != b'/' } else { portable.contains(&byte) }
    }
}

/// What a name in the root is.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A regular file: the first `size` of these bytes.
    File { bytes: Arc<Vec<u8>>, size: usize },
    /// A symbolic link to such a file within the root.
    Link { bytes: Arc<Vec<u8>>, size: usize },
    /// A regular file that the daemon may not read.
    Unreadable { size: usize },
    /// Anything else.
    Other,
}

/// What is in the root, by name.
pub(crate) type Tree = BTreeMap<Vec<u8>, Node>;
