#![expect(unsafe_code, reason = "descriptors come as numbers in the environment")]
//! What the service manager hands over: sd_listen_fds(3).

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// A socket that the service manager held for us.
#[derive(Debug)]
pub struct InheritedSocket {
    /// The socket.
    pub socket: OwnedFd,
    /// Its name there: that of the socket unit, or the one under which it was stored.
    pub name: String,
}

/// Takes over the sockets that the service manager hands to this process; a second call returns none. Anything that is
/// not a listening TCP socket is closed.
pub fn listen_fds() -> Vec<InheritedSocket> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let Ok(given) = sd_notify::listen_fds_with_names() else { return Vec::new() };
    let given = given.map(|(fd, name)| {
        // SAFETY: sd_listen_fds(3) gives these descriptors to this process, whose number the environment named, and
        // the flag above sees to it that they are taken once.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        InheritedSocket { socket, name }
    });
    given.filter(|given| is_tcp_listener(&given.socket)).collect()
}

fn is_tcp_listener(socket: &OwnedFd) -> bool {
    sockopt::socket_type(socket) == Ok(SocketType::STREAM)
        && sockopt::socket_acceptconn(socket) == Ok(true)
        && matches!(sockopt::socket_domain(socket), Ok(AddressFamily::INET | AddressFamily::INET6))
}
