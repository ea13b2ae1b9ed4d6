//! What a configuration means to a worker.

use std::sync::Arc;

use super::listener::Endpoint;
use crate::config::{Config, Limits};
use crate::connection::Settings;
use crate::handle::Policy;

/// What a configuration means to a worker.
pub(super) struct WorkerConfig {
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) policy: Arc<Policy>,
    /// The listeners, each with a descriptor for this worker; none for one that does not accept.
    pub(super) listeners: Vec<(Endpoint, std::net::TcpListener)>,
}

impl WorkerConfig {
    /// What `config` says of connections.
    pub(super) fn settings(config: &Config) -> Settings {
        Settings {
            names: config.files.names,
            request_line: config.limits.request_line,
            rate: config.limits.rate_per_connection,
            idle: config.timeouts.idle,
            request: config.timeouts.request,
            stall: config.timeouts.stall,
        }
    }

    /// What `config` says of files.
    pub(super) fn policy(config: &Config) -> Policy {
        use crate::wire::{CRLF, Names};
        let listed: fn(&[u8]) -> bool = match config.files.names {
            Names::Portable => |name| Names::Portable.allow_name(name),
            Names::Printable => |name| Names::Printable.allow_name(name),
        };
        Policy {
            root: config.root.clone(),
            symlinks: config.files.symlinks,
            hidden: config.files.hidden,
            listed,
            separator: CRLF,
        }
    }
}
