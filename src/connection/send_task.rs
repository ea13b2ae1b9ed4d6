//! Answers that a thread sends, because they are large or reading their bytes may wait for a disk.

use super::output::{Output, Progress, SendBuffers, Sent};
use super::slice::Encoder;
use super::tell::Event;
use super::transport::Sink;
use crate::handle::Wait;

/// Answers to be sent by a thread, which may wait for a disk but not for the client. Whether it was run or not, it is to
/// be given back to its connection ([`super::Cause::Sent`]).
pub struct SendTask {
    pub(super) output: Output,
    /// Bytes that may be sent.
    pub(super) allowed: usize,
    /// Bytes that were.
    pub(super) count: usize,
    /// The client's progress before, if it had to be waited for.
    pub(super) before: Option<Progress>,
    /// What came of it, once it was run.
    pub(super) sent: Option<Sent>,
    /// What happened meanwhile.
    pub(super) events: Vec<Event>,
}

/// The memory that a thread needs for [`SendTask::run`].
pub struct SendMemory(SendBuffers);

impl Default for SendMemory {
    fn default() -> SendMemory {
        SendMemory(SendBuffers { out: Default::default(), encoder: Encoder::new(Wait::Allowed) })
    }
}

impl SendTask {
    /// Sends until everything was sent, the client takes no more, or its turn is over. It may be run again then, if it
    /// [wants to](SendTask::goes_on).
    pub fn run<T: Sink>(&mut self, sink: &mut T, memory: &mut SendMemory) {
        let allowed = self.allowed - self.count;
        let (count, sent) = self.output.send(allowed, &mut memory.0, sink, &mut self.events);
        self.count += count;
        self.sent = Some(sent);
    }

    /// Whether nothing but its turn made it end.
    pub fn goes_on(&self) -> bool {
        self.sent == Some(Sent::Spent) && self.count < self.allowed
    }

    /// Whether the client may take more.
    pub(super) fn left_room(&self) -> bool {
        self.sent != Some(Sent::Blocked)
    }

    /// The device that it reads from.
    pub fn device(&self) -> u64 {
        self.output.device()
    }

    /// Whether it is small.
    pub fn is_small(&self) -> bool {
        self.output.is_small()
    }

    /// Whether it is small and may be run after others of its device: where one of them hangs, so does it.
    pub fn may_follow(&self) -> bool {
        self.is_small() && !self.output.is_remote()
    }

    /// The connection has gone: what is to be counted of its answers.
    pub fn abandon(mut self) -> Vec<Event> {
        self.output.abort(&mut self.events);
        self.events
    }
}
