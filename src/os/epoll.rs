//! epoll(7) calls that mio does not have.

use std::io;
use std::os::fd::AsFd;

use rustix::event::epoll::{self, EventData, EventFlags};

/// Adds a listening socket to an epoll instance, edge-triggered and with EPOLLEXCLUSIVE. A new connection wakes only one
/// of the instances with a waiting thread. An instance without one stores the event for its next wait, and another
/// instance is woken.
///
/// Only threads that wait in the instance itself count as waiting. Nested instances would all be woken, so the socket
/// must be added to the instance of mio's poll. `data` is the token of mio's event.
pub fn add_exclusive(poll: impl AsFd, socket: impl AsFd, data: u64) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::ET | EventFlags::EXCLUSIVE;
    Ok(epoll::add(poll, socket, EventData::new_u64(data), flags)?)
}

/// Removes a socket from an epoll instance. Closing a descriptor does not remove it while a duplicate is open.
pub fn remove(poll: impl AsFd, socket: impl AsFd) -> io::Result<()> {
    Ok(epoll::delete(poll, socket)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    /// The tokens of the events within `wait`.
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
        // A connection that is already in the queue is reported when the socket is added again.
        add_exclusive(poll.registry(), &listener, TOKEN.0 as u64).expect("added again");
        assert_eq!(tokens(&mut poll, Duration::ZERO), [TOKEN]);
    }

    #[test]
    fn instances_without_a_waiting_thread_keep_the_event() {
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
