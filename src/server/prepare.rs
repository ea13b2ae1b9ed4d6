//! Prepares a new configuration.
//!
//! All steps that can fail are here: reading and checking the file, opening the root, binding listeners, creating the
//! descriptors of workers. They run on a thread of their own, because each may wait for a disk. The result is
//! [`Prepared`], or a [`Failure`] after which nothing has changed.

use std::io;

use super::failure::Failure;
use super::listener::{self, Endpoint};
use super::worker_config::WorkerConfig;
use crate::config::{self, Changes, Config, Overrides, Source};
use crate::exit::Exit;
use crate::handle::Directory;
use crate::os::limits;

/// A configuration that can be applied.
pub(super) struct Prepared {
    /// The new configuration, with the old values of the settings that need a restart.
    pub(super) config: Config,
    pub(super) changes: Changes,
    pub(super) endpoints: Vec<Endpoint>,
    /// For each worker.
    pub(super) worker_configs: Vec<WorkerConfig>,
}

/// Loads and prepares the configuration that replaces `old`. It reuses listeners of `held`.
pub(super) fn prepare(
    source: &Source,
    overrides: &Overrides,
    old: &Config,
    held: &[Endpoint],
    workers: usize,
) -> Result<Prepared, Failure> {
    let new = config::load(source, overrides)?;
    let changes = config::diff(old, &new);
    check_root(&new)?;
    let (endpoints, _) = listener::bind_all(&new.listeners, held, Vec::new())?;
    let worker_configs = WorkerConfig::for_all(&new, &endpoints, workers)?;
    let config = Config {
        user: old.user.clone(),
        group: old.group.clone(),
        workers: old.workers,
        control: old.control.clone(),
        ..new
    };
    Ok(Prepared { config, changes, endpoints, worker_configs })
}

/// Checks that the process may read the root.
pub(super) fn check_root(config: &Config) -> Result<(), Failure> {
    let checked = Directory::open(&config.root).and_then(|directory| directory.check());
    checked.map_err(|errno| {
        let root = config.root.display();
        let error = io::Error::from(errno);
        let fd_exhausted = limits::is_fd_exhausted(&error);
        let cure = match error.kind() {
            io::ErrorKind::NotFound => "make the directory, or set another root",
            io::ErrorKind::NotADirectory => "set root to a directory",
            io::ErrorKind::PermissionDenied => "give the daemon's user r-x on it, and --x on each directory above it",
            _ if fd_exhausted => "raise LimitNOFILE, or lower limits.connections",
            _ => "see whether its file system is mounted",
        };
        let exit = if fd_exhausted { Exit::System } else { Exit::Root };
        Failure { exit, message: format!("root {root}: {error}; {cure}") }
    })
}
