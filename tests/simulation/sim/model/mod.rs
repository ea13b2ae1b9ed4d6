//! A simple model of hftp(7) for the tests: complete lines, complete files, no streaming. It shares no code with the
//! daemon.

pub(crate) mod answer;
pub(crate) mod matching;
pub(crate) mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

/// The settings that affect the protocol.
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

/// The kind of file that a name refers to.
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

/// The content of the root, by name.
pub(crate) type Tree = BTreeMap<Vec<u8>, Node>;
