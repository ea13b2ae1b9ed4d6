//! The standard streams.
#![expect(unsafe_code, reason = "dup2 onto a descriptor without an owner")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Device and inode of standard error. `None` if it is closed.
pub fn stderr_file() -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(io::stderr()).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Writes to standard error without the lock of the standard library: a thread that blocks on a full pipe must not block
/// another thread that prints a panic.
///
/// # Errors
///
/// Those of write(2).
pub fn write_stderr(bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(io::stderr(), bytes)?)
}

/// Replaces standard error with another file (dup2(2)).
///
/// # Errors
///
/// dup2(2) fails.
pub fn replace_stderr(with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `with` is open, and the standard library uses descriptor 2 by its number.
    if unsafe { libc::dup2(with.as_raw_fd(), libc::STDERR_FILENO) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
