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

    /// Whether an event loop reads it: no read of it waits for a disk that does not say so first.
    ///
    /// A read with RWF_NOWAIT that finds nothing in memory makes the kernel begin to read ahead, and for that it looks up
    /// where the file is on the disk. Of a small file that is part of what was read to open it; of a large one it may have
    /// to be read from the disk, and the kernel waits for it whatever the flag says.
    pub fn is_read_without_waiting(&self) -> bool {
        self.medium == Medium::Memory || (self.stat.size <= SMALL && self.tells.load(Ordering::Relaxed))
    }

    /// Whether reading it may hang though other files of its device can be read.
    pub fn hangs_alone(&self) -> bool {
        self.medium == Medium::Remote
    }

    /// Reads at `offset`: as many bytes as the buffer takes, or fewer where the file ends or where the rest would have to
    /// be waited for. At least one.
    pub fn read(&self, offset: u64, buffer: &mut [u8], wait: Wait) -> Result<usize, ReadError> {
        let mut have = 0;
        while have < buffer.len() {
            match self.read_once(offset + have as u64, &mut buffer[have..], wait) {
                Ok(0) if have == 0 => return Err(ReadError::Shrank),
                Ok(0) => break,
                Ok(count) => have += count,
                Err(_) if have > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(have)
    }

    fn read_once(&self, offset: u64, buffer: &mut [u8], wait: Wait) -> Result<usize, ReadError> {
        let wait = if self.medium == Medium::Memory { Wait::Allowed } else { wait };
        if wait == Wait::Never && !self.tells.load(Ordering::Relaxed) {
            return Err(ReadError::WouldWait);
        }
        match files::read_at(&self.fd, buffer, offset, wait) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN) => Err(ReadError::WouldWait),
            Err(Errno::OPNOTSUPP) if wait == Wait::Never => {
                self.tells.store(false, Ordering::Relaxed);
                Err(ReadError::WouldWait)
            }
            Err(errno) => Err(ReadError::Failed(errno)),
        }
    }

    /// Whether the file ends before `end` now. One that cannot be looked at does.
    pub fn is_shorter_than(&self, end: u64) -> bool {
        files::stat(&self.fd, Wait::Never).map_or(true, |stat| stat.size < end)
    }
}

/// The largest file whose place on the disk is known once it is open: on ext4 four extents fit into the inode, and other
/// file systems keep as much.
const SMALL: u64 = 64 * 1024;

/// Why bytes of a file could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// They would have to be waited for.
    WouldWait,
    /// The file ends before them.
    Shrank,
    /// The system says so.
    Failed(Errno),
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
