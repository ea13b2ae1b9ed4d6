//! The daemon's end of the control socket.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::os::limits;
use crate::os::unix_socket::{BoundPath, bind_private};
use crate::server::control::{ControlReply, ControlRequest};
use crate::server::descriptors::SpareDescriptor;
use crate::server::slots::{LISTENER_BIT, Slots};

/// Clients at a time; more wait in the socket's queue.
const MAX_CLIENTS: usize = 64;

/// How long a client may take to send its request, and then to read the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long until it is tried again to bind the socket where another daemon listens, which may be about to end.
const REBIND: Duration = Duration::from_secs(1);

/// How long until accepting is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// The token of the socket itself. Its clients have those of [`Slots`], which lack this bit.
const LISTENER: Token = Token(LISTENER_BIT);

/// Requests, with the clients that sent them.
pub(super) type Requests = Vec<(Token, ControlRequest)>;

/// The daemon's end of the control socket.
pub(in crate::server) struct ControlSocket {
    path: PathBuf,
    /// None while another daemon has the socket.
    socket: Option<BoundSocket>,
    bind_at: Option<Instant>,
    clients: Slots<ControlClient>,
    /// Whether a client may be in the socket's queue.
    ready: bool,
    /// When accepting is tried again after the system had no room.
    retry_at: Option<Instant>,
    /// Released for a client when the process has no descriptor, and restored when one leaves.
    spare: SpareDescriptor,
}

struct BoundSocket {
    listener: UnixListener,
    /// Removes the path in the end.
    _path: BoundPath,
}

struct ControlClient {
    stream: UnixStream,
    state: ControlState,
    /// When it is closed, unless it waits for the answer.
    deadline: Instant,
}

enum ControlState {
    /// It has sent this much of its request.
    Reading(Vec<u8>),
    /// It waits for the answer.
    Waiting,
    /// This is left to be sent.
    Writing(Vec<u8>),
}

/// Whether an event of `token` is for [`ControlSocket::on_event`].
pub(super) fn is_control(token: Token) -> bool {
    token == LISTENER || token.0 & LISTENER_BIT == 0
}

impl ControlSocket {
    /// Binds the socket, for `owner` alone; none is the user of this process. Where another daemon listens, it is bound
    /// once that has ended.
    pub(in crate::server) fn bind(path: &Path, owner: Option<(u32, u32)>) -> io::Result<ControlSocket> {
        let socket = match BoundSocket::bind(path, owner) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                ::log::warn!(
                    "no control socket at {} yet: {error}; `hftpd reload` and `hftpd status` ask that one until it ends",
                    path.display()
                );
                None
            }
            bound => Some(bound?),
        };
        let mut spare = SpareDescriptor::default();
        spare.restore();
        let bind_at = socket.is_none().then(|| Instant::now() + REBIND);
        let (path, clients) = (path.to_owned(), Slots::new());
        Ok(ControlSocket { path, socket, bind_at, clients, ready: false, retry_at: None, spare })
    }

    /// Adds it to a poll.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.socket.as_mut().map_or(Ok(()), |socket| socket.register(registry))
    }

    /// Binds the socket if the other daemon has ended.
    fn rebind(&mut self, registry: &Registry, now: Instant) {
        let bound = BoundSocket::bind(&self.path, None).and_then(|mut socket| {
            socket.register(registry)?;
            Ok(socket)
        });
        self.bind_at = match bound {
            Ok(socket) => {
                ::log::info!("control socket at {}: the other daemon has ended", self.path.display());
                self.socket = Some(socket);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Some(now + REBIND),
            Err(error) => {
                ::log::warn!("no control socket at {}: {error}; SIGHUP reloads", self.path.display());
                None
            }
        };
    }

    /// The poll reports the socket or a client.
    pub(super) fn on_event(&mut self, token: Token, registry: &Registry, now: Instant) -> Requests {
        let mut requests = Vec::new();
        if token == LISTENER {
            self.ready = true;
        } else {
            self.serve(token, &mut requests);
        }
        self.accept(registry, now, &mut requests);
        requests
    }

    /// When [`ControlSocket::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clients.iter().filter_map(ControlClient::deadline).chain(self.retry_at).chain(self.bind_at).min()
    }

    /// Closes clients that take too long, and accepts again after a failure.
    pub(super) fn expire(&mut self, registry: &Registry, now: Instant) -> Requests {
        for token in self.clients.tokens() {
            let deadline = self.clients.get(token).and_then(ControlClient::deadline);
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.remove(token);
            }
        }
        if self.bind_at.is_some_and(|at| at <= now) {
            self.rebind(registry, now);
        }
        let mut requests = Vec::new();
        if self.retry_at.is_none_or(|at| at <= now) {
            self.retry_at = None;
            self.accept(registry, now, &mut requests);
        }
        requests
    }

    /// Sends a client the answer that it waits for.
    pub(super) fn reply(&mut self, token: Token, reply: &ControlReply, now: Instant) {
        if let Some(client) = self.clients.get_mut(token) {
            client.state = ControlState::Writing(format!("{}\n{}", reply.exit, reply.text).into_bytes());
            client.deadline = now + CLIENT_TIMEOUT;
            self.serve(token, &mut Vec::new());
        }
    }

    fn accept(&mut self, registry: &Registry, now: Instant, requests: &mut Requests) {
        while self.ready && self.clients.len() < MAX_CLIENTS {
            let mut stream = match self.accept_one() {
                Ok(stream) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = false;
                    break;
                }
                // The poll reports a client once, so accepting is tried again without an event.
                Err(_) => {
                    self.retry_at = Some(now + RETRY);
                    break;
                }
            };
            let token = self.clients.next_token();
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                let state = ControlState::Reading(Vec::new());
                self.clients.insert(ControlClient { stream, state, deadline: now + CLIENT_TIMEOUT });
                self.serve(token, requests);
            }
        }
    }

    /// An operator needs the status most when descriptors have run out.
    fn accept_one(&mut self) -> io::Result<UnixStream> {
        let Some(BoundSocket { listener, .. }) = &self.socket else { return Err(io::ErrorKind::WouldBlock.into()) };
        let accepted = match listener.accept() {
            Err(error) if limits::is_fd_exhausted(&error) && self.spare.release() => listener.accept(),
            accepted => accepted,
        };
        accepted.map(|(stream, _)| stream)
    }

    fn remove(&mut self, token: Token) {
        self.clients.remove(token);
        self.spare.restore();
    }

    /// Does for a client what can be done now.
    fn serve(&mut self, token: Token, requests: &mut Requests) {
        let Some(client) = self.clients.get_mut(token) else { return };
        loop {
            match client.step() {
                Ok(None) => {}
                Ok(Some(request)) => requests.push((token, request)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.remove(token),
            }
        }
    }
}

impl BoundSocket {
    fn bind(path: &Path, owner: Option<(u32, u32)>) -> io::Result<BoundSocket> {
        let (listener, path) = bind_private(path, owner)?;
        Ok(BoundSocket { listener: UnixListener::from_std(listener), _path: path })
    }

    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.listener, LISTENER, Interest::READABLE)
    }
}

impl ControlClient {
    fn deadline(&self) -> Option<Instant> {
        (!matches!(self.state, ControlState::Waiting)).then_some(self.deadline)
    }

    /// Reads or writes once. An error is the end of the client, also after the last byte of its answer.
    fn step(&mut self) -> io::Result<Option<ControlRequest>> {
        match &mut self.state {
            ControlState::Reading(received) => {
                let mut buffer = [0; ControlRequest::MAX_LENGTH];
                let count = self.stream.read(&mut buffer)?;
                received.extend_from_slice(&buffer[..count]);
                let request = ControlRequest::parse(received);
                if request.is_some() {
                    self.state = ControlState::Waiting;
                } else if count == 0 || received.len() >= ControlRequest::MAX_LENGTH {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Ok(request)
            }
            ControlState::Waiting => {
                // A client that waits sends nothing more, so this is its end.
                let _ = self.stream.read(&mut [0])?;
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            ControlState::Writing(text) if text.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            ControlState::Writing(text) => {
                let count = self.stream.write(text)?;
                text.drain(..count);
                Ok(None)
            }
        }
    }
}
