//! Answers for a thread to send, because they are large or reading their bytes may wait for a disk.

use super::events::Event;
use super::output::{Output, Progress, SendBuffers, SendOutcome};
use super::slice::Encoder;
use super::transport::Sink;
use crate::handle::Wait;

/// Answers for a thread to send. The thread may wait for a disk, but not for the client. Return the task to its connection,
/// also if it was not run ([`super::Cause::Sent`]).
pub struct SendTask {
    pub(super) output: Output,
    /// The number of bytes that may be sent.
    pub(super) allowed: usize,
    /// The number of bytes sent.
    pub(super) count: usize,
    /// The previous progress of the client, if it had to be waited for.
    pub(super) before: Option<Progress>,
    /// The outcome of the last run.
    pub(super) sent: Option<SendOutcome>,
    /// The events of all runs.
    pub(super) events: Vec<Event>,
}

/// The buffers of a thread for [`SendTask::run`].
pub struct SendMemory(SendBuffers);

impl Default for SendMemory {
    fn default() -> SendMemory {
        SendMemory(SendBuffers { out: Default::default(), encoder: Encoder::new(Wait::Allowed) })
    }
}

impl SendTask {
    /// Sends until all is sent, the socket is not writable, an error occurs, or the turn ends. If it
    /// [can continue](SendTask::can_continue), it may be run again.
    pub fn run<T: Sink>(&mut self, sink: &mut T, memory: &mut SendMemory) {
        let allowed = self.allowed - self.count;
        let (count, sent) = self.output.send(allowed, &mut memory.0, sink, &mut self.events);
        self.count += count;
        self.sent = Some(sent);
    }

    /// Whether the last run stopped only because its turn ended.
    pub fn can_continue(&self) -> bool {
        self.sent == Some(SendOutcome::Spent) && self.count < self.allowed
    }

    /// Whether the socket may be writable.
    pub(super) fn is_writable(&self) -> bool {
        self.sent != Some(SendOutcome::Blocked)
    }

    /// The device of the file of the current answer.
    pub fn device(&self) -> u64 {
        self.output.device()
    }

    /// Whether all answers fit into a buffer.
    pub fn is_small(&self) -> bool {
        self.output.is_small()
    }

    /// Whether one thread may run it after other tasks for the same device: it is small, and reading its file hangs only if
    /// the others hang.
    pub fn may_share_thread(&self) -> bool {
        self.is_small() && !self.output.is_remote()
    }

    /// Returns the events of a task whose connection was removed.
    pub fn abandon(mut self) -> Vec<Event> {
        self.output.abort(&mut self.events);
        self.events
    }
}
