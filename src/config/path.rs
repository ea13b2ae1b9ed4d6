//! Absolute paths.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{self, Path, PathBuf};

/// Whether a path is absolute and contains no NUL, so that system calls accept it.
pub(super) fn is_absolute(path: &Path) -> bool {
    path.is_absolute() && !path.as_os_str().as_bytes().contains(&0)
}

/// Makes a path absolute; keeps its symbolic links.
///
/// # Errors
///
/// The path is empty or contains a NUL, or it is relative and the current directory does not exist.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = path::absolute(path)?;
    if is_absolute(&path) { Ok(path) } else { Err(io::Error::other("not a path")) }
}
