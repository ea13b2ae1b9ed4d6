//! Accepts connections.
//!
//! A new connection wakes one worker. A worker that accepts has every listener in its poll, with EPOLLEXCLUSIVE
//! ([`epoll::add_exclusive`]): the kernel wakes the first worker that waits, and none that is busy. As many workers
//! accept as can run at once; the others have no listeners.
//!
//! Without an exclusive wake-up each connection would wake all workers: with 64 workers on one processor that cost five
//! times as much as the answer. With an exclusive wake-up and all 64 workers waiting, a connection that arrives while
//! the first worker is busy would wake a second one in vain, because both need the same processor.
//!
//! Only one worker gets a wake-up, so it must not be lost:
//!
//! * A worker that is woken accepts in the same round, before it serves its queue, until no connection is left. After a
//!   batch it remembers that there may be more (`ready`), and its next poll does not wait.
//! * A busy worker consumes no wake-up: the kernel wakes the next worker that waits. If none waits, every poll keeps the
//!   event, and the first worker that polls accepts.
//! * A worker that cannot accept takes the listeners out of its poll: for the time of a pause, and before it empties a
//!   listener's queue for the last time, in a reload or a drain. A later connection wakes another worker; those that
//!   the worker could not accept wait for the end of its pause. Closing the descriptor is not enough: the socket has
//!   other descriptors, so it would stay in the poll (epoll(7)).
//! * A listener that is put into a poll is reported at once if a connection is in its queue.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Registry, Token};

use crate::connection::Refusal;
use crate::metrics::Counters;
use crate::os::{epoll, limits, sockets};
use crate::server::descriptors::SpareDescriptor;
use crate::server::listener::Endpoint;
use crate::server::shared::WorkerShared;
use crate::server::slots::LISTENER_BIT;
use crate::wire::Framing;

/// Connections that are accepted from a listener before clients are served.
const BATCH: usize = 64;

/// Batches that are accepted from a listener that is closed then. 4,096 wait at most in its queue.
const LAST_BATCHES: usize = 64;

/// How long accepting pauses when the system has no descriptor or no memory. No event reports that it has some again.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections from the listeners of a worker.
pub(super) struct Acceptor {
    listeners: Vec<ActiveListener>,
    /// No accepting until then.
    paused_until: Option<Instant>,
    /// Released to accept a client and refuse it when the process has no descriptor.
    spare: SpareDescriptor,
    /// When opening the spare descriptor is tried again.
    spare_at: Option<Instant>,
    shared: Arc<WorkerShared>,
    pub(super) counters: Counters,
}

/// A listener in the hands of a worker.
struct ActiveListener {
    endpoint: Endpoint,
    socket: TcpListener,
    /// Whether it is in the worker's poll.
    watched: bool,
    /// Whether a connection may be in its queue.
    ready: bool,
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) framing: Framing,
}

impl Acceptor {
    pub(super) fn new(shared: Arc<WorkerShared>) -> Acceptor {
        Acceptor {
            listeners: Vec::new(),
            paused_until: None,
            spare: SpareDescriptor::default(),
            spare_at: None,
            shared,
            counters: Counters::default(),
        }
    }

    /// Accepts from these listeners from now on. Those that are not among them are closed once their queues are empty.
    pub(super) fn set_listeners(
        &mut self,
        listeners: Vec<(Endpoint, std::net::TcpListener)>,
        registry: &Registry,
        now: Instant,
        admit: &mut dyn FnMut(Accepted),
    ) {
        let mut old = std::mem::take(&mut self.listeners);
        for (endpoint, socket) in listeners {
            let listener = match old.iter().position(|listener| listener.endpoint.is(&endpoint)) {
                Some(at) => ActiveListener { endpoint, ..old.swap_remove(at) },
                None => ActiveListener { endpoint, socket: TcpListener::from_std(socket), watched: false, ready: true },
            };
            self.listeners.push(listener);
        }
        self.restore_spare(now);
        if self.paused_until.is_none() {
            self.watch(registry, now);
        }
        for listener in old {
            let endpoint = self.close(listener, registry, now, admit);
            if !endpoint.from_socket_unit {
                // Other workers and the service manager may have further descriptors: refuse connections from now on.
                sockets::shutdown_listener(&endpoint.socket);
            }
        }
    }

    /// Accepts what is in the queues, and closes all listeners.
    pub(super) fn close_all(&mut self, registry: &Registry, now: Instant, admit: &mut dyn FnMut(Accepted)) {
        for listener in std::mem::take(&mut self.listeners) {
            self.close(listener, registry, now, admit);
        }
    }

    /// The next time at which something is to be done without an event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.paused_until.into_iter().chain(self.spare_at).min()
    }

    /// The poll reports a listener.
    pub(super) fn on_event(&mut self, token: Token) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.token() == token) {
            listener.ready = true;
        }
    }

    /// Whether a connection may be in a queue, and can be accepted.
    pub(super) fn is_ready(&self) -> bool {
        self.paused_until.is_none() && self.listeners.iter().any(|listener| listener.ready)
    }

    /// Accepts a batch from each listener.
    pub(super) fn accept(&mut self, registry: &Registry, now: Instant, admit: &mut dyn FnMut(Accepted)) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            self.watch(registry, now);
        }
        self.restore_spare(now);
        for at in 0..self.listeners.len() {
            if self.paused_until.is_none()
                && self.listeners[at].ready
                && let Err(error) = self.listeners[at].accept_batch(&mut self.counters, admit)
            {
                self.listeners[at].refuse(&mut self.spare, &mut self.counters);
                self.pause("cannot accept clients", &error, registry, now);
            }
        }
    }

    /// Accepts what is in the queue of a listener, and takes it out of the poll. A queue that keeps filling is not
    /// emptied for ever.
    fn close(
        &mut self,
        mut listener: ActiveListener,
        registry: &Registry,
        now: Instant,
        admit: &mut dyn FnMut(Accepted),
    ) -> Endpoint {
        listener.unwatch(registry);
        listener.ready = true;
        for _ in 0..LAST_BATCHES {
            if !listener.ready {
                break;
            }
            if let Err(error) = listener.accept_batch(&mut self.counters, admit) {
                listener.refuse(&mut self.spare, &mut self.counters);
                self.pause("cannot accept clients", &error, registry, now);
                break;
            }
        }
        listener.endpoint
    }

    /// Puts all listeners into the poll. If that fails, it is tried again after a pause.
    fn watch(&mut self, registry: &Registry, now: Instant) {
        let watched = self.listeners.iter_mut().try_for_each(|listener| listener.watch(registry));
        if let Err(error) = watched {
            self.pause("cannot register a listener with epoll", &error, registry, now);
        }
    }

    /// Accepts nothing for a while, most likely because the system has no room. Logged once a minute by all workers.
    fn pause(&mut self, what: &str, error: &io::Error, registry: &Registry, now: Instant) {
        self.counters.accept_pauses += 1;
        self.paused_until = Some(now + PAUSE);
        self.listeners.iter_mut().for_each(|listener| listener.unwatch(registry));
        let report = self.shared.accept_failures.lock().unwrap_or_else(PoisonError::into_inner).tick(now);
        if let Some(suppressed) = report {
            let cure = match limits::is_fd_exhausted(error) {
                true => "raise LimitNOFILE or lower limits.connections",
                false => "it is tried again until the system allows it",
            };
            let connected = self.shared.admission.connected();
            ::log::error!(
                "{what}: {error}; {cure} ({connected} clients connected, {suppressed} similar messages suppressed)"
            );
        }
    }

    /// Opens the spare descriptor, if there are listeners. If the system has none, it is tried again later.
    fn restore_spare(&mut self, now: Instant) {
        let missing = !self.listeners.is_empty() && !self.spare.restore();
        self.spare_at = missing.then_some(now + PAUSE);
    }
}

impl ActiveListener {
    /// A listener's descriptor is its token: no two that are open have the same.
    fn token(&self) -> Token {
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
            // It fails only for a socket that is not in the poll.
            let _ = epoll::remove(registry, &self.socket);
        }
    }

    /// Accepts connections until its queue is empty or the batch is complete. An error is the system's, and would
    /// happen again at once.
    fn accept_batch(&mut self, counters: &mut Counters, admit: &mut dyn FnMut(Accepted)) -> io::Result<()> {
        for _ in 0..BATCH {
            match self.socket.accept() {
                Ok((stream, peer)) => {
                    counters.accepted += 1;
                    admit(Accepted { stream: stream.into(), peer, framing: self.endpoint.framing });
                }
                // The queue is empty, or the socket was [shut down](sockets::shutdown_listener).
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::InvalidInput) => {
                    self.ready = false;
                    return Ok(());
                }
                Err(error) if sockets::is_transient_accept_error(&error) => {
                    ::log::debug!("client disconnected before accept: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Refuses clients with the help of the spare descriptor, so that they need not wait for the end of the pause.
    fn refuse(&self, spare: &mut SpareDescriptor, counters: &mut Counters) {
        for _ in 0..BATCH {
            if !spare.release() {
                break;
            }
            let Ok((stream, _)) = self.socket.accept() else { break };
            counters.accepted += 1;
            counters.refused(Refusal::NoDescriptor);
            let _ = sockets::send(&stream, Refusal::NoDescriptor.line().as_bytes(), false);
            drop(stream);
            spare.restore();
        }
        spare.restore();
    }
}
