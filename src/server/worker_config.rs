//! What a configuration means to a worker.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use super::failure::Failure;
use super::listener::{Endpoint, duplicate};
use crate::config::{Config, Limits};
use crate::connection::Settings;
use crate::handle::{Listings, Policy};
use crate::wire::{CRLF, NameCharset};

/// What a configuration means to a worker.
pub(super) struct WorkerConfig {
    pub(super) rules: ClientRules,
    /// The listeners, each with a descriptor for this worker; none in a worker that does not accept.
    pub(super) listeners: Vec<(Endpoint, TcpListener)>,
}

/// The rules by which a worker admits and serves clients.
#[derive(Clone)]
pub(super) struct ClientRules {
    pub(super) limits: Limits,
    pub(super) settings: Settings,
    pub(super) policy: Arc<Policy>,
}

impl WorkerConfig {
    /// One for each of `workers`.
    pub(super) fn for_all(
        config: &Config,
        endpoints: &[Endpoint],
        workers: usize,
    ) -> Result<Vec<WorkerConfig>, Failure> {
        let policy = Arc::new(policy(config));
        let rules = ClientRules { limits: config.limits.clone(), settings: settings(config), policy };
        let acceptors = acceptors(workers);
        let config = |worker| {
            let endpoints = if worker < acceptors { endpoints } else { &[] };
            Ok(WorkerConfig { rules: rules.clone(), listeners: duplicate(endpoints)? })
        };
        (0..workers).map(config).collect()
    }
}

/// What connections need of `config`.
fn settings(config: &Config) -> Settings {
    Settings {
        names: config.files.names,
        request_line: config.limits.request_line,
        rate: config.limits.rate_per_connection,
        idle: config.timeouts.idle,
        request: config.timeouts.request,
        stall: config.timeouts.stall,
    }
}

/// What the view of the root needs of `config`.
pub(super) fn policy(config: &Config) -> Policy {
    let listed: fn(&[u8]) -> bool = match config.files.names {
        NameCharset::Portable => |name| NameCharset::Portable.allow_name(name),
        NameCharset::Printable => |name| NameCharset::Printable.allow_name(name),
    };
    Policy {
        root: config.root.clone(),
        symlinks: config.files.symlinks,
        hidden: config.files.hidden,
        listed,
        separator: CRLF,
        listings: Listings::default(),
    }
}

/// Two workers accept even on one processor, so that a worker in the middle of a long round delays no client.
const MIN_ACCEPTORS: usize = 2;

/// How many of `workers` accept clients: as many as can run at once.
///
/// A connection that arrives while all workers that accept are busy would wake one more, if there were one. If there
/// are more workers than processors, that one has to wait for a processor, and by then the client has been accepted.
fn acceptors(workers: usize) -> usize {
    workers.min(available_parallelism().map_or(1, NonZeroUsize::get).max(MIN_ACCEPTORS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_worker_accepts_and_of_many_at_least_two() {
        assert_eq!(acceptors(1), 1);
        assert_eq!(acceptors(2), 2);
        assert!(acceptors(1000) >= 2);
    }
}
