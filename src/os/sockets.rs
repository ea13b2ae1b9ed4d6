#![expect(unsafe_code, reason = "neither socket2 nor rustix has a safe call for this")]
//! Sockets: sendfile(2), send(2) with MSG_MORE, and the listening socket as hftpd wants it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::SendFlags;
use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted; the kernel cuts it to net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Sends `bytes`; with `more` they wait in the socket for those that follow at once.
pub fn send(socket: impl AsFd, bytes: &[u8], more: bool) -> io::Result<usize> {
    let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
    Ok(rustix::io::retry_on_intr(|| rustix::net::send(&socket, bytes, flags))?)
}

/// Sends up to `length` bytes of `file` from `offset`. 0 is the end of the file.
pub fn send_file(socket: impl AsFd, file: impl AsFd, mut offset: u64, length: usize) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::sendfile(&socket, &file, Some(&mut offset), length))?)
}

/// Holds back what does not fill a segment until it is called with `false` (TCP_CORK of tcp(7)); 200 ms at most.
pub fn cork(socket: impl AsFd, corked: bool) {
    // It fails for nothing but a socket that is not TCP's, and then nothing is held back.
    let _ = rustix::net::sockopt::set_tcp_cork(socket, corked);
}

/// Bytes that were sent and are not acknowledged yet (SIOCOUTQ of tcp(7)); 0 if that is unknown.
pub fn unsent(socket: impl AsFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ, which is the same number as SIOCOUTQ, writes one int, and `bytes` is one.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Binds a socket that does not block to `address`, for [`listen`]. An unspecified IPv6 address takes IPv4 too, and where the machine has no IPv6
/// it is the unspecified IPv4 address.
///
/// With `share` the address may overlap that of another socket of ours that allows it ([`share`]).
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
    // Accepted sockets inherit it: an answer's last bytes do not wait for an acknowledgement (tcp(7)).
    socket.set_tcp_nodelay(true)?;
    socket.set_reuse_port(false)?;
    Ok(socket.into())
}

/// Begins to listen: from now on the kernel completes handshakes. On a socket that listens it changes nothing.
pub fn listen(socket: &TcpListener) -> io::Result<()> {
    socket2::SockRef::from(socket).listen(BACKLOG)
}

/// Makes a listening socket that another process opened behave like one of [`bind`].
pub fn adopt(socket: OwnedFd) -> io::Result<TcpListener> {
    let socket = Socket::from(socket);
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// Whether accepting failed for a single connection, which is removed from the queue by that: the client or the network
/// failed (accept(2)). Any other error would happen again at once.
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

/// Where a socket is bound.
pub fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let address = socket2::SockRef::from(socket).local_addr()?;
    address.as_socket().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Gives a socket to another user: two sockets may [`share`] an address only if they have the same owner.
pub fn chown_socket(socket: &TcpListener, uid: u32, gid: u32) -> io::Result<()> {
    std::os::unix::fs::fchown(socket, Some(uid), Some(gid))
}

/// Allows, or no longer allows, another socket of this process to listen at an overlapping address.
pub fn share(socket: &TcpListener, share: bool) -> io::Result<()> {
    socket2::SockRef::from(socket).set_reuse_port(share)
}

/// Ends listening for all processes that hold the socket. Connections in its queue are reset.
pub fn shutdown_listener(socket: &TcpListener) {
    // It fails for nothing but a socket that does not listen.
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
}
