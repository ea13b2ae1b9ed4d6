//! An open file and the ways to its bytes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::os::files::{self, Medium, Stat, Wait};

/// A regular file, open to read. It stays the same file whatever happens to its name.
#[derive(Debug)]
pub struct OpenFile {
    fd: OwnedFd,
    stat: Stat,
    medium: Medium,
    /// Whether the file system can tell what is in memory; false once it said that it cannot.
    tells: AtomicBool,
}

impl OpenFile {
    pub(super) fn new(fd: OwnedFd, stat: Stat, medium: Medium) -> OpenFile {
        OpenFile { fd, stat, medium, tells: AtomicBool::new(true) }
    }

    /// How it was when it was opened.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Reads at `offset` without waiting for a disk: `None` when that is not possible, else the number of bytes, which
    /// is 0 at the end of the file, and may be less than there are.
    pub fn read_now(&self, buffer: &mut [u8], offset: u64) -> Result<Option<usize>, Errno> {
        if self.medium == Medium::Memory {
            return files::read_at(&self.fd, buffer, offset, Wait::Allowed).map(Some);
        }
        if !self.tells.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match files::read_at(&self.fd, buffer, offset, Wait::Never) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::OPNOTSUPP) => {
                self.tells.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Whether `length` bytes from `offset` can be sent without waiting for a disk.
    ///
    /// The file system is asked about a byte of every 64 KiB. A page that is thrown out of memory between two that
    /// are kept is missed: then the wait is for that page. Four times as many questions would take a third of the time
    /// of sending, for each fetches a byte from memory that sending itself never looks at.
    pub fn is_in_memory(&self, offset: u64, length: u64) -> bool {
        if self.medium == Medium::Memory {
            return true;
        }
        let mut byte = [0];
        let end = offset + length;
        let mut at = offset;
        while at < end {
            if !matches!(self.read_now(&mut byte, at), Ok(Some(1))) {
                return false;
            }
            at = (at / STRIDE + 1) * STRIDE;
        }
        end == offset || matches!(self.read_now(&mut byte, end - 1), Ok(Some(1)))
    }

    /// Whether the file ends before `end` now. One that cannot be looked at does.
    pub fn is_shorter_than(&self, end: u64) -> bool {
        files::stat(&self.fd, Wait::Never).map_or(true, |stat| stat.size < end)
    }

    /// Reads `length` bytes from `offset`, fewer only where the file ends. May wait for the disk.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        let mut have = 0;
        while have < length {
            match files::read_at(&self.fd, &mut bytes[have..], offset + have as u64, Wait::Allowed)? {
                0 => break,
                count => have += count,
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }
}

/// How far apart the bytes are that [`OpenFile::is_in_memory`] asks about: half of what the kernel reads ahead at a time
/// by default, so that a piece of a file that is on its way from the disk is noticed.
const STRIDE: u64 = 64 * 1024;

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
