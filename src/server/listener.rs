//! Sockets that listen.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::config;
use crate::os::listen_fds::InheritedSocket;
use crate::os::{limits, sockets};
use crate::wire::Encoding;

/// A socket that listens, for what the configuration wants there.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// As the configuration has it: port 0 is any port.
    pub(super) wanted: SocketAddr,
    /// Where it listens in fact.
    pub(super) address: SocketAddr,
    pub(super) encoding: Encoding,
    pub(super) socket: Arc<TcpListener>,
    /// Whether the service manager listens there too, by a socket unit.
    pub(super) from_socket_unit: bool,
}

impl Endpoint {
    fn new(wanted: &config::Listener, socket: TcpListener, from_socket_unit: bool) -> io::Result<Endpoint> {
        let address = socket.local_addr()?;
        let (wanted, encoding) = (wanted.address, wanted.encoding);
        Ok(Endpoint { wanted, address, encoding, socket: Arc::new(socket), from_socket_unit })
    }

    /// Whether both are the same socket.
    pub(super) fn is(&self, other: &Endpoint) -> bool {
        Arc::ptr_eq(&self.socket, &other.socket)
    }
}

/// An address that cannot be listened at.
#[derive(Debug)]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub error: io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.error)?;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => write!(f, " (another program has it; `ss -ltnp` tells which)"),
            io::ErrorKind::PermissionDenied => {
                write!(f, " (a port below 1024 needs CAP_NET_BIND_SERVICE or a start as root)")
            }
            io::ErrorKind::AddrNotAvailable => write!(f, " (no interface has this address)"),
            _ if limits::is_fd_exhausted(&self.error) => write!(f, " (raise LimitNOFILE)"),
            _ => Ok(()),
        }
    }
}

/// Sockets for all of `wanted`: those of `held` and `given` that fit, and new ones for the rest. What is left of
/// `given` is returned too.
///
/// A socket of `held` fits what has the same address in the configuration, one of `given` what it really listens at.
pub(super) fn bind_all(
    wanted: &[config::Listener],
    held: &[Endpoint],
    mut given: Vec<InheritedSocket>,
) -> Result<(Vec<Endpoint>, Vec<InheritedSocket>), BindError> {
    let all = held;
    let mut held: Vec<&Endpoint> = held.iter().collect();
    let mut endpoints = Vec::with_capacity(wanted.len());
    for listener in wanted {
        if let Some(at) = held.iter().position(|endpoint| endpoint.wanted == listener.address) {
            endpoints.push(Endpoint { encoding: listener.encoding, ..held.swap_remove(at).clone() });
            continue;
        }
        let fits =
            |given: &InheritedSocket| sockets::local_address(&given.socket).is_ok_and(|at| at == listener.address);
        let (socket, from_socket_unit) = match given.iter().position(fits) {
            Some(at) => {
                let InheritedSocket { socket, name } = given.remove(at);
                (sockets::adopt(socket), !is_stored_name(&name))
            }
            None => (listen(listener.address, all), false),
        };
        let endpoint = socket.and_then(|socket| Endpoint::new(listener, socket, from_socket_unit));
        endpoints.push(endpoint.map_err(|error| BindError { address: listener.address, error })?);
    }
    Ok((endpoints, given))
}

/// Listens at an address; also at one that overlaps what we hold ourselves, as when `port` becomes one address of it.
fn listen(address: SocketAddr, held: &[Endpoint]) -> io::Result<TcpListener> {
    match sockets::listen(address, false) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        result => return result,
    }
    let same_port = || held.iter().filter(|endpoint| endpoint.address.port() == address.port());
    let share = |share| same_port().for_each(|endpoint| drop(sockets::share(&endpoint.socket, share)));
    share(true);
    let socket = sockets::listen(address, true);
    share(false);
    socket
}

/// A descriptor of each endpoint for a worker.
pub(super) fn share(endpoints: &[Endpoint]) -> Result<Vec<(Endpoint, TcpListener)>, BindError> {
    let share = |endpoint: &Endpoint| {
        let shared = endpoint.socket.try_clone();
        shared.map(|socket| (endpoint.clone(), socket)).map_err(|error| BindError { address: endpoint.address, error })
    };
    endpoints.iter().map(share).collect()
}

/// The endpoints in one line: `127.0.0.1:19500 (fragments), [::1]:19501 (plain)`.
pub(super) fn describe(endpoints: &[Endpoint]) -> String {
    let each: Vec<String> =
        endpoints.iter().map(|endpoint| format!("{} ({})", endpoint.address, endpoint.encoding.name())).collect();
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
