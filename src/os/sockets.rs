//! Sockets: sendfile(2), send(2) with MSG_MORE, and the listening socket as hftpd wants it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

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

/// Listens at `address`, not blocking. An unspecified IPv6 address takes IPv4 too, and where the machine has no IPv6
/// it is the unspecified IPv4 address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match listen_exactly(address) {
        Err(error)
            if error.raw_os_error() == Some(libc::EAFNOSUPPORT)
                && address.is_ipv6()
                && address.ip().is_unspecified() =>
        {
            listen_exactly(SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, address.port())))
        }
        result => result,
    }
}

fn listen_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
