//! The limit of open files, and a descriptor in reserve for when it is reached.

use std::fs::File;

use crate::config::{self, Config};
use crate::os::limits;

/// Raises the limit of open files to what `limits.connections` needs, as far as the system allows.
pub(super) fn raise_limit(config: &Config, workers: usize) {
    let connections = config.limits.connections;
    let needed = config::descriptors_for(connections, workers);
    match limits::raise_nofile_limit(needed) {
        // The default of limits.connections causes no warning.
        Ok(possible) if possible >= needed || connections <= config::connections_for(possible, workers) => {}
        Ok(possible) => ::log::warn!(
            "limits.connections = {connections} needs {needed} open files, but the system allows {possible}: further \
             clients are refused; raise LimitNOFILE in the unit"
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
