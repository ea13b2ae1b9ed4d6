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

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::os::files::{self, Wait};

    fn file(name: &str, checked_at: u64) -> CachedFile {
        let fd = OwnedFd::from(File::open("/dev/null").expect("/dev/null"));
        let stat = files::stat(&fd, Wait::Allowed).expect("its attributes");
        let name = name.as_bytes().into();
        CachedFile { name, content: Content::PathOnly(fd), stat, checked_at, version: None, used: true }
    }

    /// The cached ones of these names, which have the same hash.
    fn kept<'a>(cache: &mut FileCache, hash: u64, names: &[&'a str]) -> Vec<&'a str> {
        names.iter().copied().filter(|name| cache.get(hash, name.as_bytes()).is_some()).collect()
    }

    #[test]
    fn insert_replaces_the_same_name_or_an_empty_slot_or_the_oldest_entry() {
        let mut cache = FileCache::default();
        for (name, checked_at) in [("a", 2), ("b", 0), ("c", 1), ("d", 3)] {
            cache.insert(5, file(name, checked_at));
        }
        assert_eq!(kept(&mut cache, 5, &["a", "b", "c", "d"]), ["a", "b", "c", "d"], "each has a place");
        cache.insert(5, file("d", 9));
        assert_eq!(kept(&mut cache, 5, &["a", "b", "c", "d"]), ["a", "b", "c", "d"], "d was kept already");
        cache.insert(5, file("e", 4));
        assert_eq!(kept(&mut cache, 5, &["a", "b", "c", "d", "e"]), ["a", "c", "d", "e"]);
        cache.insert(5, file("f", 4));
        assert_eq!(kept(&mut cache, 5, &["a", "c", "d", "e", "f"]), ["a", "d", "e", "f"]);
        cache.remove(5, b"d");
        cache.insert(5, file("g", 0));
        assert_eq!(kept(&mut cache, 5, &["a", "d", "e", "f", "g"]), ["a", "e", "f", "g"]);
    }

    #[test]
    fn capacity_is_256_files_in_sets_of_4() {
        let mut cache = FileCache::default();
        let names = ["a", "b", "c", "d"];
        for hash in 0..64 {
            names.iter().for_each(|name| cache.insert(hash, file(name, 0)));
        }
        for hash in 0..64 {
            assert_eq!(kept(&mut cache, hash, &names), names, "hash {hash}");
        }
        assert_eq!(cache.entries.iter().flatten().count(), 256);
    }

    #[test]
    fn unused_file_is_removed_after_a_period() {
        let mut cache = FileCache::default();
        assert!(cache.is_empty() && cache.expire_unused());
        ["a", "b"].iter().for_each(|name| cache.insert(1, file(name, 0)));
        assert!(!cache.expire_unused(), "both were kept in this period");
        assert_eq!(kept(&mut cache, 1, &["a"]), ["a"]);
        assert!(!cache.expire_unused() && !cache.is_empty(), "a was asked for");
        assert!(cache.get(1, b"b").is_none());
        assert!(cache.expire_unused() && cache.is_empty());
    }
}
