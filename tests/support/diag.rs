//! The size of a receive queue of the daemon, by sock_diag(7).

use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const STATE_LISTEN: u8 = 10;

/// A netlink socket for queries.
pub(crate) struct Diag {
    netlink: Option<Socket>,
}

impl Diag {
    pub(crate) fn new() -> Diag {
        let family = Domain::from(libc::AF_NETLINK);
        let protocol = Protocol::from(libc::NETLINK_SOCK_DIAG);
        Diag { netlink: Socket::new(family, Type::from(libc::SOCK_DGRAM), Some(protocol)).ok() }
    }

    /// Waits until the daemon has read all bytes of this connection, or has closed it. Returns after a second at the
    /// latest: the daemon reads nothing while it sends an answer.
    pub(crate) fn wait_until_read(&self, daemon: SocketAddr, client: SocketAddr) {
        let start = Instant::now();
        while self.unread(daemon, client).is_some_and(|bytes| bytes > 0) && start.elapsed() < Duration::from_secs(1) {
            std::thread::yield_now();
        }
    }

    /// Bytes in the daemon's receive queue. None if the connection does not exist or the query fails.
    pub(crate) fn unread(&self, daemon: SocketAddr, client: SocketAddr) -> Option<u32> {
        let (SocketAddr::V4(daemon), SocketAddr::V4(client)) = (daemon, client) else { return None };
        let mut netlink = self.netlink.as_ref()?;
        netlink.write_all(&request(daemon, client)).ok()?;
        let mut reply = [0_u8; 1024];
        let length = netlink.read(&mut reply).ok()?;
        let reply = reply.get(..length)?;
        let kind = u16::from_ne_bytes(reply.get(4..6)?.try_into().ok()?);
        // A header of 16 bytes, then struct inet_diag_msg: family and state, 48 bytes of addresses, expiry, queues.
        let state = *reply.get(17)?;
        if kind != SOCK_DIAG_BY_FAMILY || state == STATE_LISTEN {
            return None;
        }
        Some(u32::from_ne_bytes(reply.get(72..76)?.try_into().ok()?))
    }
}

/// A header and struct inet_diag_req_v2 for the daemon's end of this connection.
fn request(daemon: SocketAddrV4, client: SocketAddrV4) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(72_u32.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([libc::AF_INET as u8, libc::IPPROTO_TCP as u8, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(daemon.port().to_be_bytes());
    bytes.extend(client.port().to_be_bytes());
    for address in [daemon.ip(), client.ip()] {
        bytes.extend(address.octets());
        bytes.extend([0; 12]);
    }
    bytes.extend([0; 4]);
    bytes.extend([0xFF; 8]);
    bytes
}
