//! A cache of open files that were requested repeatedly.
//!
//! An entry is revalidated before it is used: the name must still have the same inode, owner, permissions and time
//! stamps. [`FileCache::expire_unused`] closes unused files, so that the cache does not keep a deleted file or a mount
//! busy for long.
//!
//! A name that is requested once among many others is not added, because that would cost more than it saves.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::OpenFile;
use super::known_names::{Version, fingerprint};
use crate::os::files::Stat;

/// The maximum number of cached files of one event loop.
pub const MAX_CACHED: usize = 256;

/// The number of slots for each name: the cache is set-associative.
const WAYS: usize = 4;

/// A name is added if about this many other names, or fewer, were requested since its last request.
const RECENT: usize = 256;

/// Cached files by name.
#[derive(Debug)]
pub(super) struct FileCache {
    /// Empty, or [`MAX_CACHED`] slots. The hash of a name selects [`WAYS`] of them.
    entries: Vec<Option<CachedFile>>,
    /// Fingerprints of requested names. The hash of a name selects the index.
    recent: [u32; RECENT],
}

/// A cached file.
#[derive(Debug)]
pub(super) struct CachedFile {
    pub(super) name: Box<[u8]>,
    pub(super) content: Content,
    /// The attributes at the last check.
    pub(super) stat: Stat,
    /// The epoch of [`super::RootView`] at the last check.
    pub(super) checked_at: u64,
    /// The version of the directory at the last check.
    pub(super) version: Option<Version>,
    /// Whether the file was requested since the last [`FileCache::expire_unused`].
    pub(super) used: bool,
}

/// The descriptor of a cached file.
#[derive(Debug)]
pub(super) enum Content {
    /// An O_PATH descriptor, for requests of the size.
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
    /// Whether no file is cached.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.iter().flatten().next().is_none()
    }

    /// The cached file with this name.
    pub(super) fn get(&mut self, hash: u64, name: &[u8]) -> Option<&mut CachedFile> {
        let entry = self.slots(hash).iter_mut().flatten().find(|entry| *entry.name == *name)?;
        entry.used = true;
        Some(entry)
    }

    /// Records a request for the name with this hash. Returns whether the name was requested recently.
    pub(super) fn is_repeated(&mut self, hash: u64) -> bool {
        let fingerprint = fingerprint(hash);
        std::mem::replace(&mut self.recent[hash as usize % RECENT], fingerprint) == fingerprint
    }

    /// Adds a file. It replaces an entry with the same name, otherwise uses an empty slot, otherwise replaces the entry
    /// with the oldest check.
    pub(super) fn insert(&mut self, hash: u64, entry: CachedFile) {
        if self.entries.is_empty() {
            self.entries.resize_with(MAX_CACHED, || None);
        }
        let worth = |slot: &Option<CachedFile>| match slot {
            Some(slot) if slot.name == entry.name => 0,
            None => 1,
            Some(slot) => slot.checked_at + 2,
        };
        if let Some(slot) = self.slots(hash).iter_mut().min_by_key(|slot| worth(slot)) {
            *slot = Some(entry);
        }
    }

    pub(super) fn remove(&mut self, hash: u64, name: &[u8]) {
        for slot in self.slots(hash) {
            slot.take_if(|entry| *entry.name == *name);
        }
    }

    /// Closes the files that were not requested since the last call. Returns whether the cache is empty.
    pub(super) fn expire_unused(&mut self) -> bool {
        for slot in &mut self.entries {
            slot.take_if(|entry| !std::mem::take(&mut entry.used));
        }
        let empty = self.is_empty();
        if empty {
            self.entries = Vec::new();
        }
        empty
    }

    /// The slots for names with this hash.
    fn slots(&mut self, hash: u64) -> &mut [Option<CachedFile>] {
        let first = hash as usize % (MAX_CACHED / WAYS) * WAYS;
        self.entries.get_mut(first..first + WAYS).unwrap_or_default()
    }
}
