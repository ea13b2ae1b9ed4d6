//! The state that the start passes to the supervisor.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::control_socket::ControlSocket;
use super::listeners::Listeners;
use crate::config::{Config, Overrides, Source};
use crate::log;
use crate::os::privileges;
use crate::os::sandbox::Sandbox;
use crate::server::listener;
use crate::server::mailbox::Mailbox;
use crate::server::messages::WorkerCommand;
use crate::server::shared::WorkerShared;

/// The configuration, and the resources created by the start.
pub(in crate::server) struct Daemon {
    pub(in crate::server) config: Config,
    pub(in crate::server) source: Source,
    pub(in crate::server) overrides: Overrides,
    pub(in crate::server) listeners: Listeners,
    pub(in crate::server) control: Option<ControlSocket>,
    pub(in crate::server) workers: Vec<Mailbox<WorkerCommand>>,
    pub(in crate::server) shared: Arc<WorkerShared>,
    /// From [`protection`].
    pub(in crate::server) protection: Value,
    pub(in crate::server) log: log::Handle,
    pub(in crate::server) started: Instant,
}

impl Daemon {
    /// The root and the listeners, in one line.
    pub(in crate::server) fn serving(&self) -> String {
        format!("serving {} on {}", self.config.root.display(), listener::describe(self.listeners.in_force()))
    }
}

/// The privileges of the process and its sandbox, for the status. They do not change after the start, and the name of
/// the user is looked up only there: the name service may hang.
pub(in crate::server) fn protection(sandbox: &Sandbox) -> Value {
    let identity = privileges::current().ok();
    json!({
        "user": identity.as_ref().and_then(|identity| identity.user.clone()),
        "uid": identity.as_ref().map(|identity| identity.uid),
        "gid": identity.as_ref().map(|identity| identity.gid),
        "groups": identity.as_ref().map(|identity| identity.groups.clone()),
        "no_new_privileges": privileges::no_new_privileges(),
        "capabilities": privileges::effective_capabilities().map(|set| format!("{set:#x}")).ok(),
        "landlock": sandbox.to_string(),
    })
}
