//! The limit of open files, and a descriptor in reserve for when it is reached.

use std::fs::File;

use crate::config::Config;
use crate::handle;
use crate::os::limits;

/// Descriptors that are needed in addition to two for each client (its socket and the file of its answer): listeners
/// in every worker that accepts, the pool's threads.
const BASE: u64 = 512;

/// What a worker needs in addition: its poll and its cached files.
const WORKER: u64 = handle::MAX_CACHED as u64 + 4;

/// Raises the limit of open files to what `limits.connections` may need, as far as the system allows.
pub(super) fn raise_limit(config: &Config, workers: usize) {
    let needed = 2 * u64::from(config.limits.connections) + WORKER * workers as u64 + BASE;
    match limits::raise_nofile_limit(needed) {
        Ok(possible) if possible >= needed => {}
        Ok(possible) => ::log::warn!(
            "limits.connections = {} needs {needed} open files, and the system allows {possible}: clients beyond that \
             are refused; raise LimitNOFILE in the unit",
            config.limits.connections
        ),
        Err(error) => ::log::warn!("cannot raise the limit of open files: {error}"),
    }
}

/// A descriptor that is closed to accept one more client when the process has none left.
#[derive(Debug, Default)]
pub(super) struct SpareDescriptor(Option<File>);

impl SpareDescriptor {
    /// Closes it. Returns whether there was one.
    pub(super) fn release(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Opens it if it is closed. Returns whether it is open.
    pub(super) fn restore(&mut self) -> bool {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
        self.0.is_some()
    }
}
