//! The listeners in force, and their copies in the service manager.

use super::sd_notify;
use crate::os::sockets;
use crate::server::listener::{self, Endpoint};

/// The listeners in force.
#[derive(Debug)]
pub(in crate::server) struct Listeners {
    in_force: Vec<Endpoint>,
    /// Listeners of a socket unit. The unit's copy listens even if the configuration does not name it, so it can only be
    /// taken up again, never bound again.
    from_socket_unit: Vec<Endpoint>,
}

impl Listeners {
    pub(in crate::server) fn new(endpoints: Vec<Endpoint>) -> Listeners {
        let from_socket_unit = endpoints.iter().filter(|endpoint| endpoint.from_socket_unit).cloned().collect();
        Listeners { in_force: endpoints, from_socket_unit }
    }

    pub(super) fn in_force(&self) -> &[Endpoint] {
        &self.in_force
    }

    /// Those that a new configuration can keep.
    pub(super) fn held(&self) -> Vec<Endpoint> {
        let unused = self.from_socket_unit.iter().filter(|endpoint| !is_among(endpoint, &self.in_force));
        self.in_force.iter().chain(unused).cloned().collect()
    }

    /// Stores all in the service manager, which keeps them during a restart.
    pub(super) fn store(&self) {
        self.in_force.iter().for_each(sd_notify::store_fd);
    }

    /// Replaces those in force.
    pub(super) fn replace(&mut self, endpoints: Vec<Endpoint>) {
        let old = std::mem::replace(&mut self.in_force, endpoints);
        for removed in old.iter().filter(|old| !is_among(old, &self.in_force)) {
            if removed.from_socket_unit {
                ::log::warn!(
                    "{} is no longer configured, but its socket unit still listens: stop the unit",
                    removed.address
                );
            } else {
                sd_notify::remove_fd(&listener::store_name(removed));
            }
        }
        self.in_force.iter().filter(|new| !is_among(new, &old)).for_each(sd_notify::store_fd);
    }

    /// Closes all. Clients are refused when the workers have closed their descriptors too, unless the service manager has
    /// copies. `shared` says that a thread that may hang has descriptors as well; then the sockets are shut down.
    pub(super) fn close(&mut self, shared: bool) {
        if shared && !sd_notify::is_available() {
            self.in_force.iter().for_each(|endpoint| sockets::shutdown_listener(&endpoint.socket));
        }
        self.in_force.clear();
        self.from_socket_unit.clear();
    }
}

fn is_among(endpoint: &Endpoint, others: &[Endpoint]) -> bool {
    others.iter().any(|other| other.is(endpoint))
}
