//! The messages that threads send each other.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use mio::Token;

use super::admission::Permit;
use super::failure::Failure;
use super::mailbox::Mailbox;
use super::prepare::Prepared;
use super::stream::Stream;
use super::worker_config::WorkerConfig;
use crate::connection::{Phase, SendTask};
use crate::handle::{JobResult, Policy};
use crate::metrics::Counters;
use crate::wire::Framing;

/// To a worker.
pub(super) enum WorkerCommand {
    /// Serve a client that another worker has accepted.
    AddClient(AdmittedClient),
    /// The result of a look-up; none if no thread could be started.
    LookedUp { token: Token, policy: Arc<Policy>, result: Option<JobResult> },
    /// A pool thread returns answers.
    Sent(Vec<LentAnswers>),
    /// Apply another configuration, and confirm it.
    Reconfigure { serial: u64, config: Box<WorkerConfig> },
    /// Report counters and connections.
    ReportStatus(u64),
    /// Confirm that the event loop makes progress.
    Ping(u64),
    /// Stop accepting, and stop when the last client has gone.
    Drain,
    /// Close the connections that are left.
    CloseAll,
}

/// To the supervisor.
pub(super) enum SupervisorEvent {
    /// A worker has applied the configuration of this serial number; its removed listeners are closed.
    Reconfigured { serial: u64 },
    /// The status of one worker.
    WorkerStatus { worker: usize, serial: u64, status: Box<WorkerStatus> },
    /// The answer to a ping.
    Pong { worker: usize, serial: u64 },
    /// A worker has drained and stopped.
    WorkerStopped,
    /// A new configuration is prepared, or is refused.
    Prepared { serial: u64, result: Result<Box<Prepared>, Failure> },
}

/// A client that was accepted and admitted, on its way to its worker.
pub(super) struct AdmittedClient {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) framing: Framing,
    pub(super) permit: Permit,
}

/// Counters and connections of a worker, or the sum over workers.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkerStatus {
    pub(super) counters: Counters,
    /// Clients by phase, in the order of [`Phase::OPEN`].
    pub(super) phases: [u64; Phase::OPEN.len()],
}

impl WorkerStatus {
    pub(super) fn add(&mut self, other: &WorkerStatus) {
        self.counters += &other.counters;
        self.phases.iter_mut().zip(other.phases).for_each(|(sum, count)| *sum += count);
    }
}

/// A client's answers and its stream, lent to a pool thread.
pub(super) struct LentAnswers {
    pub(super) token: Token,
    pub(super) peer: SocketAddr,
    pub(super) stream: Arc<Stream>,
    pub(super) task: Box<SendTask>,
}

/// Returns the result of a look-up to the client's worker when it is dropped. Without a result it reports that no
/// thread could be started.
pub(super) struct LookupReply {
    pub(super) worker: Mailbox<WorkerCommand>,
    pub(super) token: Token,
    pub(super) policy: Arc<Policy>,
    pub(super) stream: Arc<Stream>,
    pub(super) result: Option<JobResult>,
}

impl LookupReply {
    /// Whether the client was removed.
    pub(super) fn is_cancelled(&self) -> bool {
        self.stream.is_removed()
    }
}

impl Drop for LookupReply {
    fn drop(&mut self) {
        if self.result.is_some() || !self.is_cancelled() {
            let (token, policy, result) = (self.token, self.policy.clone(), self.result.take());
            self.worker.send(WorkerCommand::LookedUp { token, policy, result });
        }
    }
}
