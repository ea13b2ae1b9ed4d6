//! Acceptor clients, and turning away whom the limits or the system do not allow.
//!
//! A new connection wakes one worker. A worker that accepts has every listener in its poll, with EPOLLEXCLUSIVE
//! ([`epoll::add_exclusive`]): the kernel wakes the first worker that waits, and none that is busy. As many workers
//! accept as can run at once ([`acceptors`](super::sharing::acceptors)); the others have no listeners. The worker that
//! accepts a client gives it to the worker with the fewest clients, or keeps it where clients come and go ([`Share`]).
//!
//! If all workers had the listeners and no exclusive wake-up, each connection would wake all of them: with 64 workers on
//! one processor that cost five times what the answer does. If all 64 had them with it, a connection that arrives while
//! the first is busy would wake a second that finds nobody, because both need the same processor.
//!
//! Only one worker gets a wake-up, so it must not be lost:
//!
//! * A worker that is woken accepts in the same round, before it serves its queue, until nobody is left. After a batch
//!   it remembers that there may be more (`ready`), and its next poll does not wait.
//! * A worker that is busy when a connection arrives uses up no wake-up: the kernel goes on to the next that waits. If
//!   none waits, every poll keeps the event, and the first worker that polls accepts.
//! * A worker that cannot accept takes the listeners out of its poll: for the time of a pause, and before it empties a
//!   listener's queue for the last time, in a reload or a drain. A later connection wakes another worker; those
//!   whom it could not accept wait for the end of its pause. To close the descriptor is not enough: the socket has
//!   others, so it stays in the poll (epoll(7)).
//! * A listener that is put into a poll is reported at once if a connection is in its queue.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Registry, Token};

use super::Worker;
use super::balance::Share;
use super::client::Client;
use crate::connection::{Connection, Refusal};
use crate::os::{epoll, limits, sockets};
use crate::server::listener::Endpoint;
use crate::server::messages::{NewClient, WorkerCommand};
use crate::server::slots::LISTENER_BIT;
use crate::wire::Encoding;

/// Clients that are accepted from a listener before others are served.
const BATCH: usize = 64;

/// How many clients may be told at a time why they are not served; more are closed without a word.
const MAX_REJECTIONS: usize = 256;

/// How long acceptor pauses when the system has no descriptor or no memory. The poll would not tell when it has again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a listener that the configuration no longer names is kept for those who were already connecting.
pub(crate) const RETIRE: Duration = Duration::from_millis(250);

/// A listener of a worker.
pub(crate) struct ActiveListener {
    pub(crate) endpoint: Endpoint,
    socket: TcpListener,
    /// Whether it is in the worker's poll.
    watched: bool,
    /// Whether somebody may wait there.
    ready: bool,
    /// When it is closed, if it is to be.
    pub(crate) until: Option<Instant>,
}

/// What a worker remembers of acceptor.
pub(crate) struct Acceptor {
    pub(crate) listeners: Vec<ActiveListener>,
    /// No acceptor before this.
    pub(crate) paused: Option<Instant>,
    /// InheritedSocket up for a moment, so that a client can be accepted and told that there is no room.
    spare: Option<File>,
    /// When it is tried again to get a spare descriptor.
    spare_at: Option<Instant>,
    /// Whether the worker keeps whom it accepts.
    share: Share,
    /// Clients that are being told why they are not served.
    pub(crate) rejected: usize,
    /// Whether the supervisor is to be told once all listeners that were given up are closed.
    pub(crate) reports: bool,
}

impl Acceptor {
    pub(crate) fn new() -> Acceptor {
        Acceptor {
            listeners: Vec::new(),
            paused: None,
            spare: None,
            spare_at: None,
            share: Share::new(),
            rejected: 0,
            reports: false,
        }
    }

    /// Gets a descriptor to give up, where there are listeners. If the system has none, it is tried again later.
    fn keep_spare(&mut self, now: Instant) {
        if self.spare.is_none() && !self.listeners.is_empty() {
            self.spare = File::open("/dev/null").ok();
        }
        self.spare_at = (self.spare.is_none() && !self.listeners.is_empty()).then_some(now + PAUSE);
    }

    /// The next time that something is to be done without an event.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let retires = || self.listeners.iter().filter_map(|listening| listening.until).min();
        // While it pauses, a listener whose time has come cannot be emptied either.
        self.paused.or_else(retires).into_iter().chain(self.spare_at).min()
    }

    /// Somebody may wait at a listener.
    pub(crate) fn notice(&mut self, Token(token): Token) {
        if let Some(listening) = self.listeners.iter_mut().find(|listening| listening.token() == Token(token)) {
            listening.ready = true;
        }
    }

    /// Whether somebody may wait whom nobody has looked at.
    pub(crate) fn is_ready(&self) -> bool {
        self.paused.is_none() && self.listeners.iter().any(|listening| listening.ready)
    }
}

impl ActiveListener {
    /// A listener's descriptor is its token: no two that are open have the same.
    fn token(&self) -> Token {
        use std::os::fd::AsRawFd as _;
        Token(LISTENER_BIT | self.socket.as_raw_fd() as usize)
    }

    /// Puts it into a poll, if it is not there.
    fn watch(&mut self, registry: &Registry) -> io::Result<()> {
        if !self.watched {
            epoll::add_exclusive(registry, &self.socket, self.token().0 as u64)?;
            self.watched = true;
        }
        Ok(())
    }

    /// Takes it out of the poll: it gets no wake-up that is meant for another worker.
    fn unwatch(&mut self, registry: &Registry) {
        if std::mem::take(&mut self.watched) {
            // It fails for nothing but a socket that is not there.
            let _ = epoll::remove(registry, &self.socket);
        }
    }
}

impl Worker {
    /// Listens at `endpoints` and nowhere else.
    pub(crate) fn listen(&mut self, endpoints: Vec<(Endpoint, std::net::TcpListener)>, now: Instant) {
        for listening in &mut self.acceptor.listeners {
            listening.until.get_or_insert(now + RETIRE);
        }
        for (endpoint, socket) in endpoints {
            let held = self.acceptor.listeners.iter_mut().find(|listening| listening.endpoint.is(&endpoint));
            if let Some(listening) = held {
                listening.endpoint = endpoint;
                listening.until = None;
                continue;
            }
            let socket = TcpListener::from_std(socket);
            let listening = ActiveListener { endpoint, socket, watched: false, ready: true, until: None };
            self.acceptor.listeners.push(listening);
        }
        self.acceptor.keep_spare(now);
        if self.acceptor.paused.is_none() {
            self.watch(now);
        }
    }

    /// Puts all listeners into the poll. If that fails, it is tried again after a pause.
    fn watch(&mut self, now: Instant) {
        let registry = self.poll.registry();
        let watched = self.acceptor.listeners.iter_mut().try_for_each(|listening| listening.watch(registry));
        if let Err(error) = watched {
            self.acceptor.paused = Some(now + PAUSE);
            self.unwatch();
            self.complain("cannot wait for clients", &error, now);
        }
    }

    /// Takes all listeners out of the poll.
    fn unwatch(&mut self) {
        let registry = self.poll.registry();
        self.acceptor.listeners.iter_mut().for_each(|listening| listening.unwatch(registry));
    }

    /// Accepts who waits, as far as a round allows, and closes listeners whose time has come.
    pub(crate) fn accept(&mut self, now: Instant) {
        let paused = self.acceptor.paused.is_some_and(|until| now < until);
        if !paused && self.acceptor.paused.take().is_some() {
            self.watch(now);
        }
        self.acceptor.keep_spare(now);
        for at in (0..self.acceptor.listeners.len()).rev() {
            if self.acceptor.listeners[at].until.is_some_and(|until| until <= now) {
                self.acceptor.listeners[at].unwatch(self.poll.registry());
                // Who connected before the listener was given up is still in its queue.
                self.empty(at, now);
                self.acceptor.listeners.swap_remove(at);
            } else if !paused && self.acceptor.listeners[at].ready {
                self.accept_from(at, now);
            }
        }
        if self.acceptor.reports && self.acceptor.listeners.iter().all(|listening| listening.until.is_none()) {
            self.acceptor.reports = false;
            self.reconfigured();
        }
    }

    /// Accepts who waits at a listener that is given up, within reason.
    fn empty(&mut self, at: usize, now: Instant) {
        self.acceptor.listeners[at].ready = true;
        for _ in 0..16 {
            if !self.acceptor.listeners[at].ready || !self.accept_from(at, now) {
                break;
            }
        }
    }

    /// Accepts who has connected already, and gives up all listeners.
    pub(crate) fn accept_last(&mut self, now: Instant) {
        self.unwatch();
        for at in 0..self.acceptor.listeners.len() {
            self.empty(at, now);
        }
        self.acceptor.listeners.clear();
    }

    /// Accepts a batch; whether the system had room for it.
    fn accept_from(&mut self, at: usize, now: Instant) -> bool {
        for _ in 0..BATCH {
            let listening = &mut self.acceptor.listeners[at];
            let encoding = listening.endpoint.encoding;
            let retires = listening.until.is_some();
            match listening.socket.accept() {
                Ok((stream, peer)) => {
                    if retires {
                        let _ = sockets::hear_everybody(&stream);
                    }
                    self.admit(stream.into(), peer, encoding, now);
                }
                // Nobody is there, or the socket has been [stopped](sockets::shutdown_listener) and nobody will be.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::InvalidInput) => {
                    listening.ready = false;
                    return true;
                }
                Err(error) if sockets::is_transient_accept_error(&error) => {
                    ::log::debug!("a client went before it was accepted: {error}");
                }
                Err(error) => {
                    self.pause(at, &error, now);
                    return false;
                }
            }
        }
        true
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, encoding: Encoding, now: Instant) {
        self.tally.accepted += 1;
        if let Err(refusal) = self.shared.admission.admit(peer.ip(), &self.limits) {
            return self.reject(stream, peer, refusal, now);
        }
        let loads = &self.shared.loads;
        let load = |worker: usize| loads[worker].load(Ordering::Relaxed);
        let least = (0..loads.len()).min_by_key(|&worker| load(worker)).unwrap_or(self.id);
        if self.draining || self.acceptor.share.keeps(load(self.id), load(least), now) {
            loads[self.id].fetch_add(1, Ordering::Relaxed);
            self.add_client(NewClient { stream, peer, encoding }, now);
        } else {
            loads[least].fetch_add(1, Ordering::Relaxed);
            self.peers[least].send(WorkerCommand::AddClient(NewClient { stream, peer, encoding }));
        }
    }

    /// A client that the admission let in has gone.
    pub(crate) fn count_out(&mut self, address: IpAddr) {
        let inside = self.shared.admission.release(address);
        self.shared.loads[self.id].fetch_sub(1, Ordering::Relaxed);
        self.acceptor.share.leave(inside);
    }

    /// Takes in a client that is counted already.
    pub(crate) fn add_client(&mut self, client: NewClient, now: Instant) {
        let NewClient { stream, peer, encoding } = client;
        self.insert(Client::new(stream, peer, Connection::new(encoding, now), true));
    }

    /// Tells a client why it is not served. In a flood most are told nothing.
    fn reject(&mut self, stream: TcpStream, peer: SocketAddr, refusal: Refusal, now: Instant) {
        self.tally.refused(refusal);
        ::log::debug!("{peer} is refused: {}", refusal.name());
        if self.acceptor.rejected < MAX_REJECTIONS {
            self.acceptor.rejected += 1;
            self.insert(Client::new(stream, peer, Connection::refused(refusal.line(), now), false));
        } else {
            let _ = sockets::send(&stream, refusal.line().as_bytes(), false);
        }
    }

    /// Says that no clients come in, once a minute.
    fn complain(&self, what: &str, error: &io::Error, now: Instant) {
        let complaint = self.shared.complaint.lock().unwrap_or_else(PoisonError::into_inner).tick(now);
        if let Some(suppressed) = complaint {
            let cure = match limits::is_fd_exhausted(error) {
                true => "raise LimitNOFILE or lower limits.connections",
                false => "it is tried again until the system allows it",
            };
            ::log::error!(
                "{what}: {error}; {cure} ({} are connected, {suppressed} like messages were left out)",
                self.shared.admission.connected()
            );
        }
    }

    /// Nobody can be accepted, most likely because the system has no room. Those who wait are told so with the help of
    /// the spare descriptor, and after a while it is tried again.
    fn pause(&mut self, at: usize, error: &io::Error, now: Instant) {
        self.tally.accept_pauses += 1;
        self.acceptor.paused = Some(now + PAUSE);
        self.unwatch();
        self.complain("cannot accept clients", error, now);
        for _ in 0..BATCH {
            if self.acceptor.spare.take().is_none() {
                break;
            }
            let accepted = self.acceptor.listeners[at].socket.accept();
            if let Ok((stream, _)) = &accepted {
                self.tally.accepted += 1;
                self.tally.refused(Refusal::NoDescriptor);
                let _ = sockets::send(stream, Refusal::NoDescriptor.line().as_bytes(), false);
            }
            let more = accepted.is_ok();
            drop(accepted);
            self.acceptor.keep_spare(now);
            if !more {
                break;
            }
        }
    }
}
