//! Files that were asked for a moment ago, still open.
//!
//! A kept descriptor is never believed: before it is used, the name is looked at again, and only the same file with the
//! same owner, permissions and time of last change is served from it. That look cannot wait for a disk, because the
//! descriptor holds the name and its directories in memory. What was not asked for during a period of [`Kept::age`] is
//! closed, so that nothing holds a deleted file or a mount for long.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::OpenFile;
use crate::os::files::Stat;

/// The most files that one event loop keeps, in each of two generations.
const MOST: usize = 128;

/// Kept files, by name.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Asked for in this period.
    young: HashMap<Box<[u8]>, Entry>,
    /// Asked for in the last.
    old: HashMap<Box<[u8]>, Entry>,
}

/// A file that is kept.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) hold: Hold,
    /// How it was when it was looked at last.
    pub(super) stat: Stat,
    /// When that was, in the count of [`super::Files`].
    pub(super) looked: u64,
}

/// What keeps it.
#[derive(Debug)]
pub(super) enum Hold {
    /// Its place alone, which tells its size.
    Place(#[expect(dead_code, reason = "it holds the name in the kernel's memory")] OwnedFd),
    /// The open file.
    File(Arc<OpenFile>),
}

impl Kept {
    /// The file of this name, if it is kept.
    pub(super) fn get(&mut self, name: &[u8]) -> Option<&mut Entry> {
        if !self.young.contains_key(name) {
            let (name, entry) = self.old.remove_entry(name)?;
            self.make_room();
            self.young.insert(name, entry);
        }
        self.young.get_mut(name)
    }

    pub(super) fn insert(&mut self, name: &[u8], entry: Entry) {
        self.old.remove(name);
        self.make_room();
        self.young.insert(name.into(), entry);
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        self.young.remove(name);
        self.old.remove(name);
    }

    /// A period is over: what was not asked for in it is closed. Returns whether nothing is left.
    pub(super) fn age(&mut self) -> bool {
        self.old = std::mem::take(&mut self.young);
        self.old.is_empty()
    }

    fn make_room(&mut self) {
        if self.young.len() >= MOST {
            self.age();
        }
    }
}
