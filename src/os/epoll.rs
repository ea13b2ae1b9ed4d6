//! epoll(7): calls that mio lacks.

use std::io;
use std::os::fd::AsFd;

use rustix::event::epoll::{self, EventData, EventFlags};

/// Adds a listening socket to an epoll instance, edge-triggered and with EPOLLEXCLUSIVE: a new connection wakes one of
/// the instances that hold the socket and have a thread that waits, not all of them. An instance without a waiting
/// thread keeps the event for its next wait, and does not use up the wake-up.
///
/// The kernel tells the two cases apart by threads that wait in the instance itself. It does not count one that waits
/// for an instance which holds this one, so nested instances would all be woken. That is why the socket has to stand
/// in the instance of mio's poll. `data` becomes the token of mio's event.
pub fn add_exclusive(poll: impl AsFd, socket: impl AsFd, data: u64) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::ET | EventFlags::EXCLUSIVE;
    Ok(epoll::add(poll, socket, EventData::new_u64(data), flags)?)
}

/// Takes a socket out of an epoll instance. Closing a descriptor of it does not, as long as there is another one.
pub fn remove(poll: impl AsFd, socket: impl AsFd) -> io::Result<()> {
    Ok(epoll::delete(poll, socket)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    /// The tokens of the events that are there after at most `wait`.
    fn tokens(poll: &mut Poll, wait: Duration) -> Vec<Token> {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(wait)).expect("events");
        events.iter().inspect(|event| assert!(event.is_readable())).map(mio::event::Event::token).collect()
    }

    #[test]
    fn mio_reports_the_token_until_the_socket_is_removed() {
        const TOKEN: Token = Token(1 << 63 | 7);
        let mut poll = Poll::new().expect("a poll");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let another = listener.try_clone().expect("another descriptor");
        let connect = || TcpStream::connect(another.local_addr().expect("an address")).expect("a connection");
        add_exclusive(poll.registry(), &listener, TOKEN.0 as u64).expect("added");
        let _first = connect();
        assert_eq!(tokens(&mut poll, Duration::from_secs(10)), [TOKEN]);
        assert_eq!(tokens(&mut poll, Duration::ZERO), [], "an edge is reported once");
        let _second = connect();
        assert_eq!(tokens(&mut poll, Duration::from_secs(10)), [TOKEN]);
        remove(poll.registry(), &listener).expect("removed");
        let _third = connect();
        assert_eq!(tokens(&mut poll, Duration::ZERO), []);
        // Somebody who has connected already is reported when the socket comes back.
        add_exclusive(poll.registry(), &listener, TOKEN.0 as u64).expect("added again");
        assert_eq!(tokens(&mut poll, Duration::ZERO), [TOKEN]);
    }

    #[test]
    fn an_instance_in_which_nobody_waits_keeps_the_event() {
        let mut polls = [Poll::new().expect("a poll"), Poll::new().expect("a poll")];
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        for poll in &polls {
            add_exclusive(poll.registry(), &listener, 7).expect("added");
        }
        let _client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        for poll in &mut polls {
            assert_eq!(tokens(poll, Duration::from_secs(10)), [Token(7)]);
        }
    }
}
