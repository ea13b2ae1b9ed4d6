//! The standard streams.
#![expect(unsafe_code, reason = "dup2 onto a descriptor that nobody owns")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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
