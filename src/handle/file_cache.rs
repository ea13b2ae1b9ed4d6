//! Files that were asked for more than once of late, still open.
//!
//! A kept descriptor is never believed: before it is used, the name is looked at again, and only the same file with the
//! same owner, permissions and time of last change is served from it. What was not asked for during a period of
//! [`FileCache::age`] is closed, so that nothing holds a deleted file or a mount for long.
//!
//! A name that is asked for once among many others is not kept: to keep it would cost more than it saves.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::OpenFile;
use super::known_names::{Version, fingerprint};
use crate::os::files::Stat;

/// The most files that one event loop keeps open.
pub const MAX_CACHED: usize = 256;

/// How many places there are for a name.
const WAYS: usize = 4;

/// About how many other names may be asked for between two times that one is, for it to be kept.
const RECENT: usize = 256;

/// FileCache files, by name.
#[derive(Debug)]
pub(super) struct FileCache {
    /// No memory until there is one. The hash of a name chooses [`WAYS`] places.
    entries: Vec<Option<CachedFile>>,
    /// Fingerprints of names that were asked for, each in the place that its hash chooses.
    recent: [u32; RECENT],
}

/// A file that is kept.
#[derive(Debug)]
pub(super) struct CachedFile {
    pub(super) name: Box<[u8]>,
    pub(super) content: Content,
    /// How it was when it was looked at last.
    pub(super) stat: Stat,
    /// When that was, in the count of [`super::RootView`].
    pub(super) checked_at: u64,
    /// The version of the directory in which it was looked at.
    pub(super) version: Option<Version>,
    /// Whether it was asked for in this period.
    pub(super) asked: bool,
}

/// What keeps it.
#[derive(Debug)]
pub(super) enum Content {
    /// Its place alone, which tells its size.
    PathOnly(#[expect(dead_code, reason = "it holds the name in the kernel's memory")] OwnedFd),
    /// The open file.
    Open(Arc<OpenFile>),
}

impl Default for FileCache {
    fn default() -> FileCache {
        FileCache { entries: Vec::new(), recent: [0; RECENT] }
    }
}

impl FileCache {
    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.iter().flatten().next().is_none()
    }

    /// The file of this name, if it is kept.
    pub(super) fn get(&mut self, hash: u64, name: &[u8]) -> Option<&mut CachedFile> {
        let entry = self.places(hash).iter_mut().flatten().find(|entry| *entry.name == *name)?;
        entry.asked = true;
        Some(entry)
    }

    /// Whether the name of this hash was asked for a short time ago. From now on it was.
    pub(super) fn is_asked_again(&mut self, hash: u64) -> bool {
        let fingerprint = fingerprint(hash);
        std::mem::replace(&mut self.recent[hash as usize % RECENT], fingerprint) == fingerprint
    }

    /// Keeps a file, in the place of another of that name, or of the one that was not looked at for the longest time.
    pub(super) fn insert(&mut self, hash: u64, entry: CachedFile) {
        if self.entries.is_empty() {
            self.entries.resize_with(MAX_CACHED, || None);
        }
        let worth = |kept: &Option<CachedFile>| match kept {
            Some(kept) if kept.name == entry.name => 0,
            None => 1,
            Some(kept) => kept.checked_at + 2,
        };
        if let Some(place) = self.places(hash).iter_mut().min_by_key(|kept| worth(kept)) {
            *place = Some(entry);
        }
    }

    pub(super) fn remove(&mut self, hash: u64, name: &[u8]) {
        for place in self.places(hash) {
            place.take_if(|entry| *entry.name == *name);
        }
    }

    /// A period is over: what was not asked for in it is closed. Returns whether nothing is left.
    pub(super) fn age(&mut self) -> bool {
        for place in &mut self.entries {
            place.take_if(|entry| !std::mem::take(&mut entry.asked));
        }
        let empty = self.is_empty();
        if empty {
            self.entries = Vec::new();
        }
        empty
    }

    /// The places of a name.
    fn places(&mut self, hash: u64) -> &mut [Option<CachedFile>] {
        let first = hash as usize % (MAX_CACHED / WAYS) * WAYS;
        self.entries.get_mut(first..first + WAYS).unwrap_or_default()
    }
}
