//! Names that are known to be regular files.
//!
//! Such a name can be opened at once. What any other name is has to be looked at first, which costs a second open, for
//! opening a FIFO or a device does something to whoever is at its other end.
//!
//! What is known holds for one version of the directory: any creation, removal or rename of an entry changes the time
//! stamps of the directory, and then all is forgotten. Time stamps are coarse, so nothing is learned while a change could
//! leave the same ones. What remains is the time between a look at the root and the opens that follow it: a name that is
//! replaced in it may be opened as what it has become. It is not served then, for its type is looked at once more.

use super::settled::Moment;
use crate::os::files::Stat;

/// How many names are known at most: 256 KiB of memory, of which only the pages that are used are taken.
const CAPACITY: usize = 1 << 16;

/// How many places there are for a name.
const WAYS: usize = 4;

/// Names of one version of a directory.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    /// The directory, as it was when it was looked at last.
    directory: Option<Stat>,
    /// How many versions there were.
    versions: u64,
    /// Whether a change would be seen.
    settled: bool,
    /// A time after the last look and before the next, while this version is not settled.
    looked: Option<Moment>,
    /// Fingerprints, of which 0 is none; no memory until there is one. The place is chosen by one part of a hash that
    /// nobody can foresee, and the fingerprint is another, so a name is taken for one that is known once in 2^30 times.
    names: Vec<u32>,
}

/// A version of a directory of which every change is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version(u64);

impl KnownNames {
    /// Takes note of what the directory looks like now.
    pub(super) fn see(&mut self, directory: &Stat) {
        if self.directory != Some(*directory) {
            self.forget();
            self.directory = Some(*directory);
            self.versions += 1;
        } else if self.settled {
            return;
        } else {
            // The directory is as it was, at a time that was too late for any change to leave the same time stamps.
            self.settled = self.looked.is_some_and(|looked| looked.is_long_after(directory));
        }
        self.looked = Some(Moment::now());
    }

    /// Forgets every name and what the directory looked like.
    pub(super) fn forget(&mut self) {
        *self = KnownNames { versions: self.versions, ..KnownNames::default() };
    }

    /// The version that was seen last, if every change to it is going to be seen.
    pub(super) fn version(&self) -> Option<Version> {
        self.settled.then_some(Version(self.versions))
    }

    /// Whether the name of this hash is known.
    pub(super) fn holds(&self, hash: u64) -> bool {
        self.names.chunks_exact(WAYS).nth(place(hash)).is_some_and(|names| names.contains(&fingerprint(hash)))
    }

    /// The name of this hash was seen to be a regular file, after [`KnownNames::see`].
    pub(super) fn learn(&mut self, hash: u64) {
        if !self.settled || self.holds(hash) {
            return;
        }
        if self.names.is_empty() {
            self.names = vec![0; CAPACITY];
        }
        if let Some(names) = self.names.chunks_exact_mut(WAYS).nth(place(hash)) {
            names.rotate_right(1);
            names[0] = fingerprint(hash);
        }
    }
}

fn place(hash: u64) -> usize {
    hash as usize % (CAPACITY / WAYS)
}

/// A part of the hash that does not choose the place; never 0.
pub(super) fn fingerprint(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}
