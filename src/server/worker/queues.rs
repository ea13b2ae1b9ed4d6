//! What a worker has to do, in the order in which it came.

use std::collections::VecDeque;

use mio::Token;

use crate::handle::JobResult;
use crate::server::messages::LentAnswers;

/// What is taken from each queue between two polls. The requests of a batch are received before the first of them is
/// answered.
const BATCH: usize = 32;

/// What a worker has to do. A client is in one of the first two at most once.
#[derive(Default)]
pub(super) struct WorkQueues {
    /// Clients of which the poll has reported something.
    arrived: VecDeque<Token>,
    /// Clients that had their turn and have more to do. They share each round with those that have just come, so that a
    /// client with large requests does not delay one with small requests.
    unfinished: VecDeque<Token>,
    /// Results of pool threads.
    results: VecDeque<PoolResult>,
}

/// What a pool thread has done.
pub(super) enum PoolResult {
    LookedUp(Token, Option<JobResult>),
    Sent(LentAnswers),
}

impl WorkQueues {
    pub(super) fn push_arrived(&mut self, token: Token) {
        self.arrived.push_back(token);
    }

    pub(super) fn push_unfinished(&mut self, token: Token) {
        self.unfinished.push_back(token);
    }

    pub(super) fn push_results(&mut self, results: impl Iterator<Item = PoolResult>) {
        self.results.extend(results);
    }

    pub(super) fn are_empty(&self) -> bool {
        self.arrived.is_empty() && self.unfinished.is_empty() && self.results.is_empty()
    }

    /// Takes the clients whose turn it is.
    pub(super) fn take_clients(&mut self) -> Vec<Token> {
        let arrived = self.arrived.drain(..self.arrived.len().min(BATCH));
        arrived.chain(self.unfinished.drain(..self.unfinished.len().min(BATCH))).collect()
    }

    /// Takes the results whose turn it is.
    pub(super) fn take_results(&mut self) -> Vec<PoolResult> {
        self.results.drain(..self.results.len().min(BATCH)).collect()
    }
}
