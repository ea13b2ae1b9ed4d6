//! The messages that threads send each other.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use mio::Token;

use super::mailbox::Mailbox;
use super::pool::Lent;
use super::prepare::Prepared;
use super::start::Failure;
use super::worker::client::Stream;
use super::worker_config::WorkerConfig;
use crate::connection::Phase;
use crate::handle::{JobResult, Policy};
use crate::metrics::Tally;
use crate::wire::Encoding;

/// To a worker.
pub(super) enum WorkerCommand {
    /// A client that another worker has accepted.
    AddClient(NewClient),
    /// A thread has looked something up for a client; none if it had to give up.
    LookedUp { token: Token, policy: Option<Arc<Policy>>, done: Option<JobResult> },
    /// A thread gives answers back.
    Sent(Vec<Lent>),
    /// Go over to another configuration, and say so.
    Reconfigure(Box<WorkerConfig>),
    /// Tell how things stand.
    ReportStatus(u64),
    /// Say that you are alive.
    Ping(u64),
    /// Accept nobody any more, and end when the last client has gone.
    Drain,
    /// Give up the clients that are left.
    CloseAll,
}

/// A client on its way to its worker.
pub(super) struct NewClient {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) encoding: Encoding,
}

/// To the supervisor.
pub(super) enum SupervisorEvent {
    /// This worker works by the new configuration.
    Reconfigured,
    /// A worker tells how things stand.
    WorkerStatus { serial: u64, report: Box<WorkerStatus> },
    /// This worker is alive.
    Pong { worker: usize, serial: u64 },
    /// This worker has no clients left, and has ended.
    WorkerStopped,
    /// The new configuration is ready, or will not do.
    Prepared { serial: u64, result: Result<Box<Prepared>, Failure> },
}

/// How things stand with a worker.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkerStatus {
    pub(super) tally: Tally,
    /// Clients by phase, in the order of [`Phase::OPEN`].
    pub(super) phases: [u64; Phase::OPEN.len()],
}

/// The way back to a client of the answer from a thread. One that is dropped unused tells it that there is none.
pub(super) struct Reply {
    pub(super) worker: Mailbox<WorkerCommand>,
    pub(super) token: Token,
    pub(super) policy: Option<Arc<Policy>>,
    /// Says whether the client has gone.
    pub(super) stream: Arc<Stream>,
    pub(super) sent: bool,
}

impl Reply {
    /// Whether the client is still there.
    pub(super) fn is_wanted(&self) -> bool {
        !self.stream.is_gone()
    }

    pub(super) fn send(mut self, done: JobResult) {
        self.sent = true;
        self.worker.send(WorkerCommand::LookedUp { token: self.token, policy: self.policy.take(), done: Some(done) });
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.sent && self.is_wanted() {
            self.worker.send(WorkerCommand::LookedUp { token: self.token, policy: None, done: None });
        }
    }
}
