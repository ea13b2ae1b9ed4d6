//! The tasks of pool threads.

use crate::connection::SendMemory;
use crate::handle::{self, Job};
use crate::server::mailbox::Mailbox;
use crate::server::messages::{LentAnswers, LookupReply, WorkerCommand};

/// The maximum number of threads of one lane. The lane of a listing has one.
const MAX_PER_LANE: usize = 8;

/// A class of work that waits for the same resource. A file system that hangs delays only its own lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    LookUp(handle::Lane),
    /// Small answers from one device.
    Small(u64),
    /// Large answers from one device.
    Large(u64),
}

/// Work of one thread.
pub(super) enum Work {
    /// A look-up, and the clients that wait for its result.
    LookUp(Job, Vec<LookupReply>),
    Send(Batch),
}

/// Answers that one thread sends one after the other. Dropping it returns them to their worker, sent or not.
pub(in crate::server) struct Batch {
    pub(in crate::server) worker: Mailbox<WorkerCommand>,
    pub(in crate::server) answers: Vec<LentAnswers>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.worker.send(WorkerCommand::Sent(std::mem::take(&mut self.answers)));
    }
}

impl Lane {
    /// The maximum number of its threads.
    pub(super) fn limit(self) -> usize {
        match self {
            Lane::LookUp(lane) if lane.is_listing() => 1,
            _ => MAX_PER_LANE,
        }
    }
}

impl Work {
    /// Does it. Returns what is left to do after other work had its turn.
    pub(super) fn run(self, memory: &mut SendMemory) -> Option<Work> {
        match self {
            Work::LookUp(job, mut replies) => {
                let result = job.run();
                replies.iter_mut().for_each(|reply| reply.result = Some(result.clone()));
                None
            }
            Work::Send(mut batch) => {
                for answers in batch.answers.iter_mut().filter(|answers| !answers.stream.is_removed()) {
                    answers.task.run(&mut &*answers.stream, memory);
                }
                let can_continue = |answers: &LentAnswers| answers.task.can_continue() && !answers.stream.is_removed();
                // Answers that have become small are sent to their end all the same.
                batch.answers.iter().any(can_continue).then_some(Work::Send(batch))
            }
        }
    }

    pub(super) fn lane(&self) -> Lane {
        match self {
            Work::LookUp(job, _) => Lane::LookUp(job.lane()),
            Work::Send(batch) => {
                let device = batch.answers.first().map_or(0, |first| first.task.device());
                if self.is_large() { Lane::Large(device) } else { Lane::Small(device) }
            }
        }
    }

    /// Whether it waits until no other work does.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Work::Send(batch) if batch.answers.first().is_some_and(|first| !first.task.is_small()))
    }

    /// The root of a look-up.
    pub(super) fn root(&self) -> Option<usize> {
        match self {
            Work::LookUp(job, _) => Some(job.root()),
            Work::Send(_) => None,
        }
    }

    /// Whether all clients that it is for were removed.
    pub(super) fn is_cancelled(&self) -> bool {
        match self {
            Work::LookUp(_, replies) => replies.iter().all(LookupReply::is_cancelled),
            Work::Send(batch) => batch.answers.iter().all(|answers| answers.stream.is_removed()),
        }
    }

    /// Adds the replies of an equal look-up; gives back work that is different.
    pub(super) fn join(&mut self, other: Work) -> Result<(), Work> {
        match (self, other) {
            (Work::LookUp(job, replies), Work::LookUp(same, others)) if job.has_same_result(&same) => {
                replies.extend(others);
                Ok(())
            }
            (_, other) => Err(other),
        }
    }
}
