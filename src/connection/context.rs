//! The arguments of a connection's calls: its stream, its settings and the buffers of the event loop.

use std::time::{Duration, Instant};

use super::events::Event;
use super::output::{Output, SendBuffers};
use super::request::Partial;
use super::send_task::SendTask;
use super::slice::Encoder;
use crate::handle::{Job, RootView, Wait};
use crate::wire::NameCharset;

/// The maximum number of bytes per read. Large enough for pipelined requests, small enough to store for each client that
/// does not read its answers.
pub const INPUT: usize = 1024;

/// Work for a thread, because it may wait for a disk.
pub enum Task {
    /// A look-up. Return its result with [`LookedUp`](super::Cause::LookedUp).
    LookUp(Job),
    /// Answers to send. Return the task with [`Sent`](super::Cause::Sent).
    Send(Box<SendTask>),
}

/// Settings of the configuration, hftp.toml(5). A change of `names` and `request_line` applies to the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `files.names`
    pub names: NameCharset,
    /// `limits.request-line`, in bytes
    pub request_line: u64,
    /// `limits.rate-per-connection`, in bytes per second; 0 is unlimited
    pub rate: u64,
    /// `timeouts.idle`
    pub idle: Duration,
    /// `timeouts.request`
    pub request: Duration,
    /// `timeouts.stall`
    pub stall: Duration,
}

/// Memory of an event loop that its connections share.
pub struct Scratch {
    /// The bytes of one read.
    pub(super) input: Vec<u8>,
    /// Answers to send.
    pub(super) output: Output,
    pub(super) buffers: SendBuffers,
    /// The reader of lines that are complete in one read.
    pub(super) partial: Option<Box<Partial>>,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch {
            input: vec![0; INPUT],
            output: Output::default(),
            buffers: SendBuffers { out: Default::default(), encoder: Encoder::new(Wait::Never) },
            partial: None,
        }
    }
}

/// The arguments of one call.
pub struct Context<'a, T> {
    /// The stream.
    pub transport: &'a mut T,
    /// The root.
    pub files: &'a mut RootView,
    /// The settings.
    pub settings: &'a Settings,
    /// The time.
    pub now: Instant,
    /// Whether the server drains. Then no further request is parsed.
    pub draining: bool,
    /// Whether [`super::Answered::request`] is needed.
    pub record: bool,
    /// Shared memory.
    pub scratch: &'a mut Scratch,
    /// Output: events to count and log.
    pub events: &'a mut Vec<Event>,
    /// Output: work for a thread.
    pub task: Option<Task>,
    /// The number of bytes that may be read and sent in this round, for fairness.
    pub budget: usize,
}

impl<T> Context<'_, T> {
    pub(super) fn spend(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(bytes);
    }
}
