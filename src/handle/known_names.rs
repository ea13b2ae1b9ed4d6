//! Names that are known to be regular files.
//!
//! A known name is opened with one system call. For other names a first call determines the file type, because opening a
//! FIFO or a device has side effects.
//!
//! The names are valid for one version of the directory. Creating, removing or renaming an entry changes the time stamps
//! of the directory, and then all names are cleared. Time stamps are coarse, so no name is added while a change could
//! leave the same time stamps. A race remains: a file that is replaced between the check of the root and the open is
//! opened whatever its type. It is not served, because the type is checked after the open.

use super::settled::Timestamp;
use crate::os::files::Stat;

/// The maximum number of known names: 256 KiB of memory, of which the kernel allocates only the used pages.
const CAPACITY: usize = 1 << 16;

/// The number of slots for each name: the table is set-associative.
const WAYS: usize = 4;

/// Known names of one version of a directory.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    /// The attributes of the directory at the last check.
    directory: Option<Stat>,
    /// The number of versions so far.
    versions: u64,
    /// Whether every further change would change the time stamps.
    settled: bool,
    /// The time of the last check while `settled` was false.
    checked_at: Option<Timestamp>,
    /// Empty, or [`CAPACITY`] fingerprints, 0 for a free slot. One part of a keyed hash selects the slots, another is the
    /// fingerprint, so the probability that an unknown name is found is 2^-30.
    names: Vec<u32>,
}

/// A version of a directory all of whose changes are detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version(u64);

impl KnownNames {
    /// Checks the current attributes of the directory. Clears the names if they have changed.
    pub(super) fn update(&mut self, directory: &Stat) {
        if self.directory != Some(*directory) {
            self.clear();
            self.directory = Some(*directory);
            self.versions += 1;
        } else if self.settled {
            return;
        } else {
            // Unchanged since a check that was late enough: any change after it would have changed the time stamps.
            self.settled = self.checked_at.is_some_and(|checked_at| checked_at.detects_changes_to(directory));
        }
        self.checked_at = Some(Timestamp::now());
    }

    /// Removes all names and the attributes of the directory.
    pub(super) fn clear(&mut self) {
        *self = KnownNames { versions: self.versions, ..KnownNames::default() };
    }

    /// The current version, if every change to it is detected.
    pub(super) fn version(&self) -> Option<Version> {
        self.settled.then_some(Version(self.versions))
    }

    /// Whether the name with this hash is known.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.names.chunks_exact(WAYS).nth(set_index(hash)).is_some_and(|set| set.contains(&fingerprint(hash)))
    }

    /// Adds the name with this hash. It must have been found to be a regular file after [`KnownNames::update`].
    pub(super) fn insert(&mut self, hash: u64) {
        if !self.settled || self.contains(hash) {
            return;
        }
        if self.names.is_empty() {
            self.names = vec![0; CAPACITY];
        }
        if let Some(names) = self.names.chunks_exact_mut(WAYS).nth(set_index(hash)) {
            names.rotate_right(1);
            names[0] = fingerprint(hash);
        }
    }
}

fn set_index(hash: u64) -> usize {
    hash as usize % (CAPACITY / WAYS)
}

/// A part of the hash that does not select the slots. Not 0.
pub(super) fn fingerprint(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a directory that has settled.
    fn settled() -> KnownNames {
        KnownNames { settled: true, ..KnownNames::default() }
    }

    /// A hash with this set and this fingerprint.
    fn hash(place: u64, fingerprint: u64) -> u64 {
        fingerprint << 32 | place
    }

    #[test]
    fn names_differ_in_any_bit_of_the_upper_half_of_their_hashes() {
        let mut names = settled();
        let known = hash(7, 0x1234_5678);
        names.insert(known);
        assert!(names.contains(known));
        for bit in 32..64 {
            assert!(!names.contains(known ^ 1 << bit), "bit {bit}");
        }
        for place in [6, 8, 0, 16_383] {
            assert!(!names.contains(hash(place, 0x1234_5678)), "place {place}");
        }
    }

    #[test]
    fn fifth_name_of_a_set_replaces_the_first() {
        let mut names = settled();
        let hashes: Vec<u64> = (1..=5).map(|fingerprint| hash(9, fingerprint)).collect();
        hashes[..4].iter().for_each(|&hash| names.insert(hash));
        // A repeated name takes no further slot.
        (0..4).for_each(|_| names.insert(hashes[3]));
        assert!(hashes[..4].iter().all(|&hash| names.contains(hash)));
        names.insert(hashes[4]);
        let held: Vec<bool> = hashes.iter().map(|&hash| names.contains(hash)).collect();
        assert_eq!(held, [false, true, true, true, true]);
    }

    #[test]
    fn capacity_is_65536_names() {
        let mut names = settled();
        assert!(!names.contains(0), "nothing is known");
        for place in 0..16_384 {
            assert!(!names.contains(hash(place, 0)), "an empty place is a name");
            (0..4).for_each(|fingerprint| names.insert(hash(place, fingerprint * 1000)));
        }
        assert_eq!(names.names.len(), 65_536);
        for place in 0..16_384 {
            assert!((0..4).all(|fingerprint| names.contains(hash(place, fingerprint * 1000))), "place {place}");
        }
    }
}
