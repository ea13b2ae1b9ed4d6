//! What a connection is given: its stream, its rules, the event loop's buffers.

use std::time::{Duration, Instant};

use super::output::{Output, SendBuffers};
use super::request::Partial;
use super::send_task::SendTask;
use super::slice::Encoder;
use super::tell::Event;
use crate::handle::{Job, RootView, Wait};
use crate::wire::NameCharset;

/// Bytes that are read at a time: room for the requests of a client that pipelines, and what a client costs that does not
/// take its answers.
pub const INPUT: usize = 1024;

/// What a connection needs a thread for, because it may wait for a disk.
pub enum Task {
    /// A question; its answer goes to [`LookedUp`](super::Cause::LookedUp).
    LookUp(Job),
    /// Answers to be sent; they go back to [`Sent`](super::Cause::Sent).
    Send(Box<SendTask>),
}

/// What a connection is told by the configuration. A change is seen by its next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `files.names`
    pub names: NameCharset,
    /// `limits.request-line`, bytes
    pub request_line: u64,
    /// `limits.rate-per-connection`, bytes a second; 0 is no limit
    pub rate: u64,
    /// `timeouts.idle`
    pub idle: Duration,
    /// `timeouts.request`
    pub request: Duration,
    /// `timeouts.stall`
    pub stall: Duration,
}

/// Memory that an event loop lends to the connection it serves.
pub struct Scratch {
    /// What was received.
    pub(super) input: Vec<u8>,
    /// Answers that are to be sent.
    pub(super) output: Output,
    pub(super) buffers: SendBuffers,
    /// Reads the line that is complete in what was received.
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

/// What a connection is given for one call.
pub struct Context<'a, T> {
    /// The stream.
    pub transport: &'a mut T,
    /// The root.
    pub files: &'a mut RootView,
    /// What the configuration says.
    pub settings: &'a Settings,
    /// The time.
    pub now: Instant,
    /// Whether the server is draining: then no request is begun.
    pub draining: bool,
    /// Whether [`super::Answered::request`] is wanted.
    pub record: bool,
    /// Memory.
    pub scratch: &'a mut Scratch,
    /// What happened; for the server to count and to log.
    pub events: &'a mut Vec<Event>,
    /// What a thread is to do.
    pub task: Option<Task>,
    /// Bytes that may still be handled in this round, so that others get their turn.
    pub budget: usize,
}

impl<T> Context<'_, T> {
    pub(super) fn spend(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(bytes);
    }
}
