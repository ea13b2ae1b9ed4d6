//! Limits of the process: getrlimit(2).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to `wanted`, at most to the hard limit. Returns how many of `wanted` are allowed.
///
/// # Errors
///
/// setrlimit(2) fails.
pub fn raise_nofile_limit(wanted: u64) -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(wanted);
    }
    let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum })?;
    Ok(possible)
}

/// The hard limit of open files.
pub fn max_nofile_limit() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Whether the process or the system has no free descriptor (EMFILE, ENFILE).
pub fn is_fd_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
