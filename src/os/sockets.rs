#![expect(unsafe_code, reason = "neither socket2 nor rustix has a safe call for this")]
//! TCP sockets: sendfile(2), send(2) with MSG_MORE, and the options of listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::SendFlags;
use socket2::{Domain, Protocol, Socket, Type};

/// The length of the accept queue. The kernel limits it to net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Sends `bytes`. With `more` (MSG_MORE), the kernel delays a partial segment, because further bytes follow immediately.
pub fn send(socket: impl AsFd, bytes: &[u8], more: bool) -> io::Result<usize> {
    let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
    Ok(rustix::io::retry_on_intr(|| rustix::net::send(&socket, bytes, flags))?)
}

/// Sends up to `length` bytes of `file` from `offset`. Returns 0 at the end of the file.
pub fn send_file(socket: impl AsFd, file: impl AsFd, mut offset: u64, length: usize) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::sendfile(&socket, &file, Some(&mut offset), length))?)
}

/// Delays partial segments until a call with `false`, at most 200 ms (TCP_CORK, tcp(7)).
pub fn cork(socket: impl AsFd, corked: bool) {
    // Fails only if the socket is not a TCP socket. Then nothing is delayed.
    let _ = rustix::net::sockopt::set_tcp_cork(socket, corked);
}

/// The number of bytes in the send queue that are not acknowledged (SIOCOUTQ, tcp(7)). 0 if unknown.
pub fn unsent(socket: impl AsFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ, the same number as SIOCOUTQ, writes one int to `bytes`.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Binds a non-blocking socket to `address`, for [`listen`]. An unspecified IPv6 address includes IPv4. If the machine has
/// no IPv6, the unspecified IPv4 address is used instead.
///
/// With `share` the address may overlap that of another socket of this user that allows it ([`share`]).
pub fn bind(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    match bind_exactly(address, share) {
        Err(error)
            if error.raw_os_error() == Some(libc::EAFNOSUPPORT)
                && address.is_ipv6()
                && address.ip().is_unspecified() =>
        {
            bind_exactly(SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, address.port())), share)
        }
        result => result,
    }
}

fn bind_exactly(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.bind(&address.into())?;
    // Accepted sockets inherit TCP_NODELAY. The last bytes of an answer do not wait for an acknowledgement (tcp(7)).
    socket.set_tcp_nodelay(true)?;
    socket.set_reuse_port(false)?;
    Ok(socket.into())
}

/// Starts listening: the kernel completes handshakes. Has no effect on a listening socket.
pub fn listen(socket: &TcpListener) -> io::Result<()> {
    socket2::SockRef::from(socket).listen(BACKLOG)
}

/// Sets the options of [`bind`] on a listening socket that another process opened.
pub fn adopt(socket: OwnedFd) -> io::Result<TcpListener> {
    let socket = Socket::from(socket);
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// Whether an error of accept(2) applies to a single connection, which the kernel has removed from the queue. Other
/// errors would be repeated immediately.
pub fn is_transient_accept_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
        )
    )
}

/// The address to which a socket is bound.
pub fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let address = socket2::SockRef::from(socket).local_addr()?;
    address.as_socket().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Changes the owner of a socket. Two sockets can [`share`] an address only if they have the same owner.
pub fn chown_socket(socket: &TcpListener, uid: u32, gid: u32) -> io::Result<()> {
    std::os::unix::fs::fchown(socket, Some(uid), Some(gid))
}

/// Sets whether another socket of the same owner can bind an overlapping address (SO_REUSEPORT).
pub fn share(socket: &TcpListener, share: bool) -> io::Result<()> {
    socket2::SockRef::from(socket).set_reuse_port(share)
}

/// Stops listening, in all processes with this socket. The kernel resets the connections in the queue.
pub fn shutdown_listener(socket: &TcpListener) {
    // Fails only if the socket does not listen.
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
}
