//! The control socket: `hftpd reload` and `hftpd status` talk to the daemon through it.
//!
//! A client sends one word and a newline; the daemon answers with an exit code and a newline, then a text, and closes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::os::limits;
use crate::server::slots::{LISTENER_BIT, Slots};

/// Clients at a time; more wait in the socket's queue.
const CLIENTS: usize = 64;

/// How long a client may take to ask, and then to read its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long until acceptor is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRequest {
    /// Reload.
    Reload,
    /// Tell how things stand.
    Status,
}

impl ControlRequest {
    const ALL: [ControlRequest; 2] = [ControlRequest::Reload, ControlRequest::Status];

    fn word(self) -> &'static str {
        match self {
            ControlRequest::Reload => "reload\n",
            ControlRequest::Status => "status\n",
        }
    }
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlReply {
    /// How the process that asked is to end: a code of [`crate::exit::Exit`].
    pub exit: u8,
    /// What it is to print.
    pub text: String,
}

/// Asks the daemon behind the socket at `path`, and waits for its answer.
///
/// # Errors
///
/// Nobody is there, permission is missing, or the daemon ends before it has answered.
pub fn ask(path: &Path, question: ControlRequest) -> io::Result<ControlReply> {
    let mut stream = StdStream::connect(path)?;
    stream.write_all(question.word().as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (exit, text) = answer.split_once('\n').ok_or(io::ErrorKind::UnexpectedEof)?;
    let exit = exit.parse().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(ControlReply { exit, text: text.to_owned() })
}

/// The daemon's end.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    clients: Slots<ControlClient>,
    /// Whether somebody may wait in the socket's queue.
    ready: bool,
    /// When acceptor is tried again after the system had no room.
    again: Option<Instant>,
    /// InheritedSocket up for a client when the system has no descriptor for it, and taken back when one goes.
    spare: Option<File>,
}

struct ControlClient {
    stream: UnixStream,
    state: State,
    /// When it is given up, unless the daemon owes it an answer.
    until: Instant,
}

enum State {
    /// It has said this much.
    Asks(Vec<u8>),
    /// It waits.
    Waits,
    /// It is told this.
    IsTold(Vec<u8>),
}

/// The token of the socket itself. Clients have those of [`Slots`], which this bit tells apart.
const LISTENER: Token = Token(LISTENER_BIT);

/// Whether an event of `token` is for [`Control::notice`].
pub(crate) fn is_control(token: Token) -> bool {
    token == LISTENER || token.0 & LISTENER_BIT == 0
}

impl Control {
    /// Binds the socket, for `owner` alone; none is who we are. One that a dead daemon left behind is removed.
    pub(crate) fn bind(path: &Path, owner: Option<(u32, u32)>) -> io::Result<Control> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if StdStream::connect(path).is_ok() {
                    return Err(io::Error::new(error.kind(), "another daemon uses it"));
                }
                std::fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))?;
        }
        let path = path.to_owned();
        Ok(Control { listener, path, clients: Slots::new(), ready: false, again: None, spare: spare() })
    }

    /// Has the poll of `registry` tell of clients.
    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.listener, LISTENER, Interest::READABLE)
    }

    /// Something happened. Returns who asks what.
    pub(crate) fn notice(&mut self, token: Token, registry: &Registry, now: Instant) -> Vec<(Token, ControlRequest)> {
        let mut asked = Vec::new();
        if token == LISTENER {
            self.ready = true;
        } else {
            self.serve(token, &mut asked);
        }
        self.accept(registry, now, &mut asked);
        asked
    }

    fn accept(&mut self, registry: &Registry, now: Instant, asked: &mut Vec<(Token, ControlRequest)>) {
        while self.ready && self.clients.len() < CLIENTS {
            let mut stream = match self.accept_one() {
                Ok(stream) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = false;
                    break;
                }
                // The poll tells of the client once, so whoever waits is looked for again without it.
                Err(_) => {
                    self.again = Some(now + AGAIN);
                    break;
                }
            };
            let token = self.clients.next_token();
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                self.clients.insert(ControlClient { stream, state: State::Asks(Vec::new()), until: now + PATIENCE });
                self.serve(token, asked);
            }
        }
    }

    /// An operator wants to know how things stand above all when descriptors have run out.
    fn accept_one(&mut self) -> io::Result<UnixStream> {
        let accepted = match self.listener.accept() {
            Err(error) if limits::is_fd_exhausted(&error) && self.spare.take().is_some() => self.listener.accept(),
            accepted => accepted,
        };
        accepted.map(|(stream, _)| stream)
    }

    fn remove(&mut self, token: Token) {
        self.clients.remove(token);
        if self.spare.is_none() {
            self.spare = spare();
        }
    }

    /// Answers who asked.
    pub(crate) fn answer(&mut self, token: Token, verdict: &ControlReply, now: Instant) {
        if let Some(asking) = self.clients.get_mut(token) {
            asking.state = State::IsTold(format!("{}\n{}", verdict.exit, verdict.text).into_bytes());
            asking.until = now + PATIENCE;
            self.serve(token, &mut Vec::new());
        }
    }

    /// When [`Control::expire`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = |asking: &&ControlClient| !matches!(asking.state, State::Waits);
        self.clients.iter().filter(waiting).map(|asking| asking.until).chain(self.again).min()
    }

    /// Gives up clients that take too long.
    pub(crate) fn expire(&mut self, registry: &Registry, now: Instant) -> Vec<(Token, ControlRequest)> {
        for token in self.clients.tokens() {
            let late = |asking: &mut ControlClient| !matches!(asking.state, State::Waits) && asking.until <= now;
            if self.clients.get_mut(token).is_some_and(late) {
                self.remove(token);
            }
        }
        let mut asked = Vec::new();
        if self.again.is_some_and(|again| again <= now) {
            self.again = None;
        }
        if self.again.is_none() {
            self.accept(registry, now, &mut asked);
        }
        asked
    }

    fn serve(&mut self, token: Token, asked: &mut Vec<(Token, ControlRequest)>) {
        let Some(asking) = self.clients.get_mut(token) else { return };
        match asking.step() {
            Ok(Some(question)) => asked.push((token, question)),
            Ok(None) => {}
            Err(_) => self.remove(token),
        }
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl ControlClient {
    /// Does what can be done. An error is the end, also where nothing was wrong.
    fn step(&mut self) -> io::Result<Option<ControlRequest>> {
        loop {
            let step = match &mut self.state {
                State::Asks(said) => {
                    let mut buffer = [0; 64];
                    match self.stream.read(&mut buffer) {
                        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(count) => {
                            said.extend_from_slice(&buffer[..count]);
                            if let Some(question) =
                                ControlRequest::ALL.into_iter().find(|q| q.word().as_bytes() == said)
                            {
                                self.state = State::Waits;
                                return Ok(Some(question));
                            }
                            if said.len() < 64 { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
                        }
                        Err(error) => Err(error),
                    }
                }
                State::Waits => {
                    // It has nothing more to say, so what can be read is the end.
                    return match self.stream.read(&mut [0]) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                        _ => Err(io::ErrorKind::UnexpectedEof.into()),
                    };
                }
                State::IsTold(text) => match self.stream.write(text) {
                    Ok(_) if text.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        text.drain(..count);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            match step {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}
