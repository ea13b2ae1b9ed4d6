//! Open files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::os::files::{self, Stat, Storage, Wait};

/// A regular file, open for reading. It remains the same file if its name is removed or replaced.
#[derive(Debug)]
pub struct OpenFile {
    fd: OwnedFd,
    stat: Stat,
    storage: Storage,
    /// Whether the file system supports RWF_NOWAIT. True until a read returns EOPNOTSUPP.
    nowait_supported: AtomicBool,
}

impl OpenFile {
    pub(super) fn new(fd: OwnedFd, stat: Stat, storage: Storage) -> OpenFile {
        OpenFile { fd, stat, storage, nowait_supported: AtomicBool::new(true) }
    }

    /// The attributes when the file was opened.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Whether an event loop can read the file: a read with [`Wait::Never`] does not wait for a disk.
    ///
    /// If the data is not in memory, a read with RWF_NOWAIT starts read-ahead, which needs the extents of the file. The
    /// extents of a small file are in its inode. Those of a large file may have to be read from the disk, and the kernel
    /// waits for that despite RWF_NOWAIT.
    pub fn is_readable_nowait(&self) -> bool {
        self.storage == Storage::Memory
            || (self.stat.size <= SMALL_FILE && self.nowait_supported.load(Ordering::Relaxed))
    }

    /// Whether reads can hang although other files of the same device can be read.
    pub fn is_remote(&self) -> bool {
        self.storage == Storage::Remote
    }

    /// Reads at `offset` until the buffer is full, the file ends, or a read fails or would wait. Returns the number of
    /// bytes, at least 1.
    pub fn read(&self, offset: u64, buffer: &mut [u8], wait: Wait) -> Result<usize, ReadError> {
        let mut have = 0;
        while have < buffer.len() {
            match self.read_once(offset + have as u64, &mut buffer[have..], wait) {
                Ok(0) if have == 0 => return Err(ReadError::Truncated),
                Ok(0) => break,
                Ok(count) => have += count,
                Err(_) if have > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(have)
    }

    fn read_once(&self, offset: u64, buffer: &mut [u8], wait: Wait) -> Result<usize, ReadError> {
        let wait = if self.storage == Storage::Memory { Wait::Allowed } else { wait };
        if wait == Wait::Never && !self.nowait_supported.load(Ordering::Relaxed) {
            return Err(ReadError::WouldBlock);
        }
        match files::read_at(&self.fd, buffer, offset, wait) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN) => Err(ReadError::WouldBlock),
            Err(Errno::OPNOTSUPP) if wait == Wait::Never => {
                self.nowait_supported.store(false, Ordering::Relaxed);
                Err(ReadError::WouldBlock)
            }
            Err(errno) => Err(ReadError::Failed(errno)),
        }
    }

    /// Whether the file is now shorter than `end` bytes. True if statx(2) fails.
    pub fn is_shorter_than(&self, end: u64) -> bool {
        files::stat(&self.fd, Wait::Never).map_or(true, |stat| stat.size < end)
    }
}

/// The maximum size of a file whose extents are in memory once it is open. On ext4 an inode has room for four extents;
/// other file systems are similar.
const SMALL_FILE: u64 = 64 * 1024;

/// Why bytes of a file could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The bytes are not in memory.
    WouldBlock,
    /// The file ends before the offset.
    Truncated,
    /// preadv2(2) failed.
    Failed(Errno),
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// The ten digits, and their attributes, with another size if one is given.
    fn digits(storage: Storage, size: Option<u64>) -> OpenFile {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"0123456789").expect("ten bytes");
        let stat = files::stat(&file, Wait::Allowed).expect("its attributes");
        let size = size.unwrap_or(stat.size);
        OpenFile::new(file.into(), Stat { size, ..stat }, storage)
    }

    #[test]
    fn event_loop_reads_small_files_and_files_in_memory() {
        for (storage, size, expected) in [
            (Storage::Disk, 0, true),
            (Storage::Disk, 65_536, true),
            (Storage::Disk, 65_537, false),
            (Storage::Remote, 65_536, true),
            (Storage::Remote, 65_537, false),
            (Storage::Memory, 65_537, true),
            (Storage::Memory, u64::MAX, true),
        ] {
            let file = digits(storage, Some(size));
            assert_eq!(file.is_readable_nowait(), expected, "{size} bytes, {storage:?}");
            file.nowait_supported.store(false, Ordering::Relaxed);
            let in_memory = storage == Storage::Memory;
            assert_eq!(file.is_readable_nowait(), in_memory, "{size} bytes, {storage:?}, which cannot tell");
            assert_eq!(file.is_remote(), storage == Storage::Remote, "{storage:?}");
        }
    }

    #[test]
    fn bytes_are_read_up_to_the_end_of_the_file() {
        let file = digits(Storage::Memory, None);
        let mut buffer = [b'-'; 4];
        for (offset, result, bytes) in [
            (0, Ok(4), "0123"),
            (6, Ok(4), "6789"),
            (7, Ok(3), "789-"),
            (9, Ok(1), "9---"),
            (10, Err(ReadError::Truncated), "----"),
            (11, Err(ReadError::Truncated), "----"),
        ] {
            buffer.fill(b'-');
            assert_eq!(file.read(offset, &mut buffer, Wait::Never), result, "at {offset}");
            assert_eq!(buffer, bytes.as_bytes(), "at {offset}");
        }
        let shorter = [0, 9, 10, 11, u64::MAX].map(|end| file.is_shorter_than(end));
        assert_eq!(shorter, [false, false, false, true, true]);
    }

    #[test]
    fn a_file_system_that_cannot_tell_what_is_in_memory_is_not_asked_again() {
        let file = digits(Storage::Disk, None);
        file.nowait_supported.store(false, Ordering::Relaxed);
        assert_eq!(file.read(0, &mut [0; 4], Wait::Never), Err(ReadError::WouldBlock));
        assert_eq!(file.read(0, &mut [0; 4], Wait::Allowed), Ok(4));
    }
}
