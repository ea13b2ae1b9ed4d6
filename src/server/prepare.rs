//! The new configuration, ready to be put into force.
//!
//! All that can fail happens here: reading and checking the file, reaching the root, binding listeners, making the
//! descriptors that workers need. It runs on a thread of its own, for any of it may wait for a disk; what comes of it
//! is a [`Prepared`], which only has to be handed out, or a [`Failure`], and then nothing has changed.

use std::sync::Arc;

use super::listener::BindError;
use super::listener::{self, Endpoint};
use super::start::Failure;
use super::worker::balance::acceptors;
use super::worker_config::WorkerConfig;
use crate::config::{self, Changes, Config, LoadError, Overrides, Source};
use crate::exit::Exit;
use crate::handle::Directory;
use crate::os::limits;

/// A configuration that can be put into force.
pub(super) struct Prepared {
    /// What is in force then: the settings that need a restart are still the old ones.
    pub(super) config: Config,
    pub(super) changes: Changes,
    pub(super) endpoints: Vec<Endpoint>,
    /// For each worker.
    pub(super) setups: Vec<WorkerConfig>,
}

/// Prepares what the file says now, in place of `old`.
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
    let setups = setups(&new, &endpoints, workers)?;
    let config = Config {
        user: old.user.clone(),
        group: old.group.clone(),
        workers: old.workers,
        control: old.control.clone(),
        ..new
    };
    Ok(Prepared { config, changes, endpoints, setups })
}

/// What each of `workers` needs to work by `config`.
pub(super) fn setups(config: &Config, endpoints: &[Endpoint], workers: usize) -> Result<Vec<WorkerConfig>, BindError> {
    let policy = Arc::new(WorkerConfig::policy(config));
    let acceptors = acceptors(workers);
    let setup = |worker| {
        Ok(WorkerConfig {
            settings: WorkerConfig::settings(config),
            limits: config.limits.clone(),
            policy: policy.clone(),
            listeners: listener::share(if worker < acceptors { endpoints } else { &[] })?,
        })
    };
    (0..workers).map(setup).collect()
}

/// Whether the root can be served by who we are.
pub(super) fn check_root(config: &Config) -> Result<(), Failure> {
    let checked = Directory::open(&config.root).and_then(|directory| directory.check());
    checked.map_err(|errno| {
        let root = config.root.display();
        let error = std::io::Error::from(errno);
        let without_descriptor = limits::is_fd_exhausted(&error);
        let cure = match error.kind() {
            std::io::ErrorKind::NotFound => "make the directory, or set another root",
            std::io::ErrorKind::NotADirectory => "set root to a directory",
            std::io::ErrorKind::PermissionDenied => {
                "give the daemon's user r-x on it, and --x on each directory above it"
            }
            _ if without_descriptor => "raise LimitNOFILE, or lower limits.connections",
            _ => "see whether its file system is mounted",
        };
        let exit = if without_descriptor { Exit::System } else { Exit::Root };
        Failure { exit, message: format!("root {root}: {error}; {cure}") }
    })
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        Failure { exit: Exit::from(&error), message: error.to_string() }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Failure {
        let exit = match error.error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::System,
        };
        Failure { exit, message: error.to_string() }
    }
}
