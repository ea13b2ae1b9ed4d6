//! Connects to a host by whichever of its addresses answers first.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::address::Address;
use super::error::Error;

/// After this time the next address is tried beside those that have not answered (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address of the host that accepts. IPv6 and IPv4 take turns.
pub(super) fn connect(server: &Address, timeout: Duration) -> Result<TcpStream, Error> {
    let addresses = resolve(server, timeout).map_err(|error| Error::Resolve { server: server.clone(), error })?;
    let stream = match alternate(addresses)[..] {
        [only] => TcpStream::connect_timeout(&only, timeout),
        ref several => race(several, timeout),
    };
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|error| Error::Connect { server: server.clone(), error })
}

/// The addresses of the host, within the timeout. The resolver itself has none, so it is left behind in its thread.
fn resolve(server: &Address, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
    let host = (server.host.clone(), server.port);
    if let Ok(address) = host.0.parse() {
        return Ok(vec![SocketAddr::new(address, host.1)]);
    }
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let _ = sender.send(host.to_socket_addrs().map(Iterator::collect));
    })?;
    let found: Vec<SocketAddr> = receiver.recv_timeout(timeout).unwrap_or_else(|_| Err(late()))?;
    if found.is_empty() { Err(io::Error::from(io::ErrorKind::NotFound)) } else { Ok(found) }
}

/// Puts an address of the other family after each.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut own, mut other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    own.reverse();
    other.reverse();
    let mut ordered = Vec::new();
    while let Some(address) = own.pop() {
        ordered.push(address);
        ordered.extend(other.pop());
    }
    other.reverse();
    ordered.extend(other);
    ordered
}

/// Starts an attempt for each address, the next one as soon as one fails or [`HEAD_START`] has passed.
fn race(addresses: &[SocketAddr], timeout: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + timeout;
    let (sender, receiver) = mpsc::channel();
    let (mut started, mut failed) = (0, 0);
    let mut last = late();
    while failed < addresses.len() {
        if let Some(&address) = addresses.get(started) {
            let sender = sender.clone();
            started += 1;
            thread::Builder::new().spawn(move || {
                let _ = sender.send(TcpStream::connect_timeout(&address, timeout));
            })?;
        }
        let left = end.saturating_duration_since(Instant::now());
        let patience = if started < addresses.len() { left.min(HEAD_START) } else { left };
        match receiver.recv_timeout(patience) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                failed += 1;
                last = error;
            }
            Err(RecvTimeoutError::Timeout) if left > patience => {}
            Err(_) => return Err(late()),
        }
    }
    Err(last)
}

fn late() -> io::Error {
    io::Error::from(io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn families_take_turns() {
        let [a, b, c] = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);
        let [x, y] = ["1.1.1.1:1", "2.2.2.2:1"].map(address);
        assert_eq!(alternate(vec![a, b, c, x, y]), [a, x, b, y, c]);
        assert_eq!(alternate(vec![x, y, a]), [x, a, y]);
        assert_eq!(alternate(vec![x, a, b, c]), [x, a, b, c]);
    }

    #[test]
    fn next_address_is_tried_when_one_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let open = listener.local_addr().expect("its address");
        let closed = TcpListener::bind("127.0.0.2:0").and_then(|gone| gone.local_addr()).expect("a port");
        let stream = race(&[closed, open], Duration::from_secs(10)).expect("the second accepts");
        assert_eq!(stream.peer_addr().expect("its peer"), open);
        let error = race(&[closed, closed], Duration::from_secs(10)).expect_err("nobody accepts");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
