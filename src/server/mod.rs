//! The server: poll, accept, dispatch.
//!
//! ```text
//!  main thread            supervisor: signals, control socket, reloads, drain, service manager
//!  one thread a core      worker: an event loop with its clients, its view of the root, its buffers
//!  a few threads          pool: look-ups that may wait for a disk, and large answers
//!  one thread a reload    the new configuration is read, checked and prepared
//!  one thread             the log
//! ```
//!
//! Threads talk by messages: an `Order` goes to a worker's mailbox, a `Notice` to the supervisor's. As many workers as
//! there are processors, and at least two, accept clients. A new connection wakes one of them; that gives the client to
//! the worker with the fewest, or keeps it where clients come and go. Nothing that a worker does waits for anything but
//! its poll.

mod accept;
mod client;
mod control;
mod early;
mod gate;
mod listener;
mod mailbox;
mod pool;
mod reload;
mod service;
mod sharing;
mod slots;
mod start;
mod status;
mod supervisor;
mod timers;
mod worker;

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use mio::Token;

use crate::config::{Config, Limits};
use crate::connection::Settings;
use crate::handle::{JobResult, Policy};
use crate::log::Every;
use crate::metrics::Tally;
use crate::wire::Encoding;

use client::Stream;
use gate::Gate;
use listener::Endpoint;
use mailbox::Mailbox;
use pool::{Lent, Pool};

pub use control::{Question, Verdict, ask};
pub use listener::BindError;
pub use start::{Failure, Start, run};
pub use status::text as status_text;

/// What workers share.
struct Shared {
    gate: Gate,
    /// Clients of each worker.
    loads: Vec<AtomicUsize>,
    /// Whether the root could not be reached when it was needed last.
    root_is_lost: AtomicBool,
    /// When it was said last that nobody can be accepted.
    complaint: Mutex<Every>,
    pool: Pool,
}

/// What a configuration means to a worker.
struct Setup {
    settings: Settings,
    limits: Limits,
    policy: Arc<Policy>,
    /// The listeners, each with a descriptor for this worker; none for one that does not accept.
    listeners: Vec<(Endpoint, std::net::TcpListener)>,
}

impl Setup {
    /// What `config` says of connections.
    fn settings(config: &Config) -> Settings {
        Settings {
            names: config.files.names,
            request_line: config.limits.request_line,
            rate: config.limits.rate_per_connection,
            idle: config.timeouts.idle,
            request: config.timeouts.request,
            stall: config.timeouts.stall,
        }
    }

    /// What `config` says of files.
    fn policy(config: &Config) -> Policy {
        use crate::wire::{CRLF, Names};
        let listed: fn(&[u8]) -> bool = match config.files.names {
            Names::Portable => |name| Names::Portable.allow_name(name),
            Names::Printable => |name| Names::Printable.allow_name(name),
        };
        Policy {
            root: config.root.clone(),
            symlinks: config.files.symlinks,
            hidden: config.files.hidden,
            listed,
            separator: CRLF,
        }
    }
}

/// To a worker.
enum Order {
    /// A client that another worker has accepted.
    Client(NewClient),
    /// A thread has looked something up for a client; none if it had to give up.
    Found { token: Token, policy: Option<Arc<Policy>>, done: Option<JobResult> },
    /// A thread gives answers back.
    Sent(Vec<Lent>),
    /// Go over to another configuration, and say so.
    Setup(Box<Setup>),
    /// Tell how things stand.
    Report(u64),
    /// Say that you are alive.
    Ping(u64),
    /// Accept nobody any more, and end when the last client has gone.
    Drain,
    /// Give up the clients that are left.
    Cut,
}

/// A client on its way to its worker.
struct NewClient {
    stream: TcpStream,
    peer: SocketAddr,
    encoding: Encoding,
}

/// To the supervisor.
enum Notice {
    /// This worker works by the new configuration.
    SetUp,
    /// A worker tells how things stand.
    Report { serial: u64, report: Box<Report> },
    /// This worker is alive.
    Pong { worker: usize, serial: u64 },
    /// This worker has no clients left, and has ended.
    Ended,
    /// The new configuration is ready, or will not do.
    Prepared { serial: u64, result: Result<Box<reload::Prepared>, Failure> },
}

/// How things stand with a worker.
#[derive(Debug, Clone, Default)]
struct Report {
    tally: Tally,
    /// Clients by phase, in the order of [`crate::connection::Phase::OPEN`].
    phases: [u64; crate::connection::Phase::OPEN.len()],
}

/// The way back to a client of the answer from a thread. One that is dropped unused tells it that there is none.
struct Reply {
    worker: Mailbox<Order>,
    token: Token,
    policy: Option<Arc<Policy>>,
    /// Says whether the client has gone.
    stream: Arc<Stream>,
    sent: bool,
}

impl Reply {
    /// Whether the client is still there.
    fn is_wanted(&self) -> bool {
        !self.stream.is_gone()
    }

    fn send(mut self, done: JobResult) {
        self.sent = true;
        self.worker.send(Order::Found { token: self.token, policy: self.policy.take(), done: Some(done) });
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.sent && self.is_wanted() {
            self.worker.send(Order::Found { token: self.token, policy: None, done: None });
        }
    }
}
