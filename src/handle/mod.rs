//! RootView: the root, what is in it, and their bytes. Knows nothing of the protocol.
//!
//! Every question is put twice if need be. An event loop asks [`RootView`], which answers at once from what the kernel has
//! in memory, or hands back a [`Job`]. A job is run by a thread that may wait, by [`Job::run`], and its [`JobResult`]
//! comes back to the connection that wants it.
//!
//! **The root is a path.** [`RootView`] holds a descriptor of the directory that the path led to, and looks at the path
//! again after [`RootView::begin_epoch`], which a connection calls when it has received something: so a request that was
//! sent after the root was replaced sees the new one, and a hundred requests that came in one piece cost one look. So do
//! those of many clients, for an event loop receives what they have sent before it answers one of them. A path of which a
//! part lies where the kernel has to ask somebody, a link on FUSE or NFS say, is looked at by a thread each time.
//!
//! **What a name costs** an event loop, beside that look: nothing if the same file was asked for since; one statx(2) if it
//! is kept open, because it was asked for a moment ago (`file_cache.rs`); one open if it is known to be a regular file
//! (`known_names.rs`); else two, of which the first tells what it is (`directory.rs`).

mod directory;
mod file;
mod file_cache;
mod job;
mod known_names;
mod listing;
mod listing_text;
mod root_view;
mod settled;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

use crate::os::limits;

pub use directory::Directory;
pub use file::{OpenFile, ReadError};
pub use file_cache::MAX_CACHED;
pub use job::{Job, JobResult, Lane};
pub use listing::Listing;
pub use listing_text::Listings;
pub use root_view::{Lookup, RootView};

pub use crate::os::files::Wait;

/// Whether symbolic links are followed: `files.symlinks` of hftp.toml(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// Followed while they stay within the root.
    Inside,
    /// Never.
    Never,
}

/// What is published. A reload makes a new one.
#[derive(Debug)]
pub struct Policy {
    /// The root, absolute.
    pub root: PathBuf,
    /// Whether symbolic links are followed.
    pub symlinks: Symlinks,
    /// Whether names that start with a dot are served.
    pub hidden: bool,
    /// Which names a listing shows.
    pub listed: fn(&[u8]) -> bool,
    /// What follows each name in the text of a listing.
    pub separator: &'static [u8],
    /// What its listings share.
    pub listings: Listings,
}

impl Policy {
    /// Whether a file of this name would be served. It is one in the root itself, not below.
    fn is_served(&self, name: &[u8]) -> bool {
        !name.contains(&b'/') && (self.hidden || !name.starts_with(b"."))
    }
}

/// What a name is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To tell its size.
    Size,
    /// To read it too.
    Read,
}

/// A regular file that was found.
#[derive(Debug, Clone)]
pub struct FoundFile {
    /// Bytes, when it was looked at.
    pub size: u64,
    /// The file, if it was looked up to be read; an error where that is not permitted.
    pub file: Result<Arc<OpenFile>, Fault>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No regular file of that name is published.
    NotFound,
    /// The root cannot be reached.
    Root(Errno),
    /// The file or the directory cannot be read.
    Unreadable(Errno),
}

impl Fault {
    /// Whether the process or the system has no descriptor left.
    fn is_shortage(&self) -> bool {
        match self {
            Fault::Root(errno) | Fault::Unreadable(errno) => limits::is_fd_exhausted(&(*errno).into()),
            Fault::NotFound => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotFound => write!(f, "no such file"),
            Fault::Root(errno) => write!(f, "the root: {}", std::io::Error::from(*errno)),
            Fault::Unreadable(errno) => write!(f, "{}", std::io::Error::from(*errno)),
        }
    }
}
