#![expect(unsafe_code, reason = "descriptors come as numbers in the environment")]
//! Sockets that the service manager hands over: sd_listen_fds(3).

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// A socket that the service manager held for this process.
#[derive(Debug)]
pub struct InheritedSocket {
    /// The socket.
    pub socket: OwnedFd,
    /// Its name there: that of the socket unit, or the one under which it was stored.
    pub name: String,
}

/// Takes over the descriptors that the service manager hands to this process; a second call returns none.
///
/// # Errors
///
/// The environment that names them is malformed, or a descriptor is not open.
pub fn listen_fds() -> io::Result<Vec<InheritedSocket>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let inherited = sd_notify::listen_fds_with_names()?.map(|(fd, name)| {
        // SAFETY: sd_listen_fds(3) gives these descriptors to this process, whose number the environment named, and
        // the flag above makes sure that they are taken once.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        InheritedSocket { socket, name }
    });
    Ok(inherited.collect())
}

impl InheritedSocket {
    /// Whether it is a TCP socket that listens.
    pub fn is_tcp_listener(&self) -> bool {
        sockopt::socket_type(&self.socket) == Ok(SocketType::STREAM)
            && sockopt::socket_acceptconn(&self.socket) == Ok(true)
            && matches!(sockopt::socket_domain(&self.socket), Ok(AddressFamily::INET | AddressFamily::INET6))
    }
}
