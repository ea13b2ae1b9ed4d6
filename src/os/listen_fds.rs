#![expect(unsafe_code, reason = "the environment names descriptors by number")]
//! Sockets inherited from the service manager: sd_listen_fds(3).

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// A socket that the service manager passed to this process.
#[derive(Debug)]
pub struct InheritedSocket {
    /// The socket.
    pub socket: OwnedFd,
    /// The FDNAME: the name of the socket unit, or the name in the file descriptor store.
    pub name: String,
}

/// Takes ownership of the sockets that the service manager passed to this process. A second call returns none.
///
/// # Errors
///
/// The environment variables are invalid, or a descriptor is not open.
pub fn listen_fds() -> io::Result<Vec<InheritedSocket>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let inherited = sd_notify::listen_fds_with_names()?.map(|(fd, name)| {
        // SAFETY: the environment names these descriptors and the number of this process (sd_listen_fds(3)). The flag
        // above ensures that they have one owner.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        InheritedSocket { socket, name }
    });
    Ok(inherited.collect())
}

impl InheritedSocket {
    /// Whether it is a listening TCP socket.
    pub fn is_tcp_listener(&self) -> bool {
        sockopt::socket_type(&self.socket) == Ok(SocketType::STREAM)
            && sockopt::socket_acceptconn(&self.socket) == Ok(true)
            && matches!(sockopt::socket_domain(&self.socket), Ok(AddressFamily::INET | AddressFamily::INET6))
    }
}
