//! The root: look-ups, listings and the bytes of files. Independent of the protocol.
//!
//! A look-up has one or two steps. An event loop calls [`RootView`], which answers immediately if the kernel has the data
//! in memory, or returns a [`Job`]. A thread that may wait calls [`Job::run`] and returns the [`JobResult`] to the
//! connection.
//!
//! **The root is a path.** [`RootView`] holds a descriptor of the directory at that path, and checks the path again in
//! each epoch. A connection calls [`RootView::begin_epoch`] when it has received bytes. So a request that was sent after
//! the root was replaced sees the new root. All requests received together need one check, also those of several clients,
//! because an event loop first receives from many clients and then answers them. If the kernel cannot resolve the path
//! from memory, for example because of a link on FUSE or NFS, each check is a job.
//!
//! **System calls per name** in an event loop, besides that check: none if the file was already checked in this epoch;
//! one statx(2) if it is in the cache of open files (`file_cache.rs`); one openat2(2) if it is known to be a regular file
//! (`known_names.rs`); otherwise two openat2(2), of which the first determines the file type (`directory.rs`).

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
    /// Followed if the target is within the root.
    Inside,
    /// Not followed.
    Never,
}

/// The settings of the published root. A reload creates a new one.
#[derive(Debug)]
pub struct Policy {
    /// The absolute path of the root.
    pub root: PathBuf,
    /// Whether symbolic links are followed.
    pub symlinks: Symlinks,
    /// Whether names that start with a dot are served.
    pub hidden: bool,
    /// Whether listings include a name.
    pub listed: fn(&[u8]) -> bool,
    /// Follows each name in the text of a listing.
    pub separator: &'static [u8],
    /// The memory of its listings.
    pub listings: Listings,
}

impl Policy {
    /// Whether the policy allows this name. Files below the root directory itself are not served.
    fn is_served(&self, name: &[u8]) -> bool {
        !name.contains(&b'/') && (self.hidden || !name.starts_with(b"."))
    }
}

/// The purpose of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The size of the file.
    Size,
    /// The size and the contents of the file.
    Read,
}

/// The regular file that a look-up found.
#[derive(Debug, Clone)]
pub struct FoundFile {
    /// The size in bytes at the time of the look-up.
    pub size: u64,
    /// The open file, or why it cannot be read. [`Fault::NotFound`] after a look-up for [`Purpose::Size`].
    pub file: Result<Arc<OpenFile>, Fault>,
}

/// Why a look-up or a listing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No regular file with this name is published.
    NotFound,
    /// The root cannot be opened.
    Root(Errno),
    /// The file or the directory cannot be read.
    Unreadable(Errno),
}

impl Fault {
    /// Whether the process or the system has no free descriptor.
    fn is_fd_exhausted(&self) -> bool {
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
