//! Asks every worker for its status.

use std::time::{Duration, Instant};

use mio::Token;

use crate::server::messages::WorkerStatus;

/// How long a status waits for a worker that does not answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A query of the workers' status, and the control clients that wait for it.
#[derive(Debug)]
pub(super) struct StatusQuery {
    pub(super) serial: u64,
    pub(super) clients: Vec<Token>,
    /// The sum over the workers that have answered.
    pub(super) sum: WorkerStatus,
    /// The workers that have not answered.
    pub(super) missing: Vec<usize>,
    pub(super) deadline: Instant,
}

impl StatusQuery {
    pub(super) fn new(serial: u64, client: Token, workers: usize, now: Instant) -> StatusQuery {
        let sum = WorkerStatus::default();
        StatusQuery { serial, clients: vec![client], sum, missing: (0..workers).collect(), deadline: now + TIMEOUT }
    }

    /// A worker has answered the query of this number.
    pub(super) fn add(&mut self, worker: usize, serial: u64, status: &WorkerStatus) {
        if serial == self.serial {
            self.sum.add(status);
            self.missing.retain(|&missing| missing != worker);
        }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.missing.is_empty() || self.deadline <= now
    }
}
