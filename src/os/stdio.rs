//! The standard streams.
#![expect(unsafe_code, reason = "dup2 onto a descriptor that nobody owns")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Device and inode of standard error; none where it is closed.
pub fn stderr_file() -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(io::stderr()).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Writes to standard error without the standard library's lock: a thread that waits for a full pipe must not make
/// another one wait that only wants to print its panic.
///
/// # Errors
///
/// Those of write(2).
pub fn write_stderr(bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(io::stderr(), bytes)?)
}

/// Makes standard error another file from here on.
///
/// # Errors
///
/// dup2(2) fails.
pub fn replace_stderr(with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `with` is open, and the standard library knows descriptor 2 by its number alone.
    if unsafe { libc::dup2(with.as_raw_fd(), libc::STDERR_FILENO) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
