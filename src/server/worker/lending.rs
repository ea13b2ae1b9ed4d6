//! Lends answers to pool threads.

use crate::server::mailbox::Mailbox;
use crate::server::messages::{LentAnswers, WorkerCommand};
use crate::server::pool::{Batch, Pool};

/// Clients whose small answers one thread sends.
const MAX_BATCH: usize = 32;

/// Lends answers to pool threads. Small ones that the event loop cannot read share a thread with others of the same
/// round, because waking a thread costs more than sending them.
pub(super) struct Lending {
    pool: Pool,
    worker: Mailbox<WorkerCommand>,
    /// Small answers of this round.
    small: Vec<LentAnswers>,
}

impl Lending {
    pub(super) fn new(pool: Pool, worker: Mailbox<WorkerCommand>) -> Lending {
        Lending { pool, worker, small: Vec::new() }
    }

    /// Lends a client's answers, now or at [`Lending::flush`]. Answers from a file system that may hang for a single
    /// file share no thread: each would wait for those before it.
    pub(super) fn lend(&mut self, answers: LentAnswers) {
        if answers.task.may_share_thread() {
            self.small.push(answers);
        } else {
            self.send(vec![answers]);
        }
    }

    /// Lends the small answers of this round, by device.
    pub(super) fn flush(&mut self) {
        self.small.sort_by_key(|answers| answers.task.device());
        while let Some(last) = self.small.last() {
            let device = last.task.device();
            let same = self.small.iter().rev().take_while(|answers| answers.task.device() == device);
            let batch = self.small.split_off(self.small.len() - same.take(MAX_BATCH).count());
            self.send(batch);
        }
    }

    fn send(&self, answers: Vec<LentAnswers>) {
        self.pool.send(Batch { worker: self.worker.clone(), answers });
    }
}
