//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::failure::Failure;
use crate::config;
use crate::exit::Exit;
use crate::os::listen_fds::InheritedSocket;
use crate::os::{limits, sockets};
use crate::wire::Framing;

/// A listening socket with its configuration.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The address in the configuration: port 0 is any port.
    pub(super) wanted: SocketAddr,
    /// Where it listens.
    pub(super) address: SocketAddr,
    pub(super) framing: Framing,
    pub(super) socket: Arc<TcpListener>,
    /// Whether it is a socket unit's: the service manager listens there as well.
    pub(super) from_socket_unit: bool,
}

impl Endpoint {
    fn new(wanted: &config::Listener, socket: TcpListener, from_socket_unit: bool) -> io::Result<Endpoint> {
        let address = socket.local_addr()?;
        let (wanted, framing) = (wanted.address, wanted.framing());
        Ok(Endpoint { wanted, address, framing, socket: Arc::new(socket), from_socket_unit })
    }

    /// Whether both are the same socket.
    pub(super) fn is(&self, other: &Endpoint) -> bool {
        Arc::ptr_eq(&self.socket, &other.socket)
    }
}

/// Why the daemon cannot listen at `address`.
fn bind_failure(address: SocketAddr, error: &io::Error) -> Failure {
    let (exit, cure) = match error.kind() {
        io::ErrorKind::AddrInUse => (Exit::System, " (another program has it; `ss -ltnp` shows which)"),
        io::ErrorKind::PermissionDenied => {
            (Exit::Permission, " (a port below 1024 needs CAP_NET_BIND_SERVICE or a start as root)")
        }
        io::ErrorKind::AddrNotAvailable => (Exit::System, " (no interface has this address)"),
        _ if limits::is_fd_exhausted(error) => (Exit::System, " (raise LimitNOFILE)"),
        _ => (Exit::System, ""),
    };
    Failure { exit, message: format!("cannot listen on {address}: {error}{cure}") }
}

/// Listeners for all of `wanted`: those of `held` that have the same address in the configuration, those of `inherited`
/// that listen at it, and new ones for the rest, which do not listen before [`listen`] is called. Also returns what is left
/// of `inherited`.
pub(super) fn bind_all(
    wanted: &[config::Listener],
    held: &[Endpoint],
    mut inherited: Vec<InheritedSocket>,
) -> Result<(Vec<Endpoint>, Vec<InheritedSocket>), Failure> {
    let mut unused: Vec<&Endpoint> = held.iter().collect();
    let mut endpoints = Vec::with_capacity(wanted.len());
    for listener in wanted {
        if let Some(at) = unused.iter().position(|endpoint| endpoint.wanted == listener.address) {
            endpoints.push(Endpoint { framing: listener.framing(), ..unused.swap_remove(at).clone() });
            continue;
        }
        let has_address = |inherited: &InheritedSocket| {
            sockets::local_address(&inherited.socket).is_ok_and(|address| address == listener.address)
        };
        let (socket, from_socket_unit) = match inherited.iter().position(has_address) {
            Some(at) => {
                let InheritedSocket { socket, name } = inherited.remove(at);
                (sockets::adopt(socket), !is_stored_name(&name))
            }
            None => (bind(listener.address, held), false),
        };
        let endpoint = socket.and_then(|socket| Endpoint::new(listener, socket, from_socket_unit));
        endpoints.push(endpoint.map_err(|error| bind_failure(listener.address, &error))?);
    }
    Ok((endpoints, inherited))
}

/// Binds a socket to an address. It may overlap that of a listener in `held`, as when `port` is replaced by one address of
/// it.
fn bind(address: SocketAddr, held: &[Endpoint]) -> io::Result<TcpListener> {
    match sockets::bind(address, false) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            sharing(held.iter().filter(|held| held.address.port() == address.port()), || sockets::bind(address, true))
        }
        result => result,
    }
}

/// Has all of `endpoints` listen. To be called when nothing else of a reload can fail: a connection that a new listener has
/// taken would be reset if it had to be closed again.
///
/// # Errors
///
/// Another program has bound one of the addresses, too, and began to listen first.
pub(super) fn listen(endpoints: &[Endpoint], held: &[Endpoint]) -> Result<(), Failure> {
    for endpoint in endpoints.iter().filter(|new| !new.from_socket_unit && !held.iter().any(|held| held.is(new))) {
        let overlapping = held.iter().filter(|held| held.address.port() == endpoint.address.port());
        sharing(overlapping.chain([endpoint]), || sockets::listen(&endpoint.socket))
            .map_err(|error| bind_failure(endpoint.address, &error))?;
    }
    Ok(())
}

/// Does something while sockets of this process may have overlapping addresses.
fn sharing<'a, T>(endpoints: impl Iterator<Item = &'a Endpoint> + Clone, action: impl FnOnce() -> T) -> T {
    let allow = |allowed| endpoints.clone().for_each(|endpoint| drop(sockets::share(&endpoint.socket, allowed)));
    allow(true);
    let done = action();
    allow(false);
    done
}

/// A descriptor of each endpoint, for a worker.
pub(super) fn duplicate(endpoints: &[Endpoint]) -> Result<Vec<(Endpoint, TcpListener)>, Failure> {
    let duplicate = |endpoint: &Endpoint| match endpoint.socket.try_clone() {
        Ok(socket) => Ok((endpoint.clone(), socket)),
        Err(error) => Err(bind_failure(endpoint.address, &error)),
    };
    endpoints.iter().map(duplicate).collect()
}

/// The endpoints in one line: `127.0.0.1:19500 (fragments), [::1]:19501 (plain)`.
pub(super) fn describe(endpoints: &[Endpoint]) -> String {
    let each: Vec<String> = endpoints
        .iter()
        .map(|endpoint| format!("{} ({})", endpoint.address, endpoint.framing.encoding.name()))
        .collect();
    each.join(", ")
}

/// The name under which the service manager stores a listener. It has no colon (sd_pid_notify_with_fds(3)).
pub(super) fn store_name(endpoint: &Endpoint) -> String {
    format!("{STORE_PREFIX}{}", endpoint.address).replace(':', "_")
}

/// Whether a socket of this name is one that the daemon had stored.
pub(super) fn is_stored_name(name: &str) -> bool {
    name.starts_with(STORE_PREFIX)
}

const STORE_PREFIX: &str = "listen-";
