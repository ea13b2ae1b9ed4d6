//! Counters. Each event loop has its own, without sharing; the supervisor adds them up.

use std::ops::AddAssign;

use crate::connection::{Answered, CloseReason, Refusal};
use crate::wire::Code;

/// Counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Accepted connections, including refused ones.
    pub accepted: u64,
    /// Answers by code, in the order of [`Code::ALL`].
    pub answers: [u64; Code::ALL.len()],
    /// Incomplete answers; they are included in `answers`.
    pub incomplete: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Closed connections, in the order of [`CloseReason::ALL`].
    pub closed: [u64; CloseReason::ALL.len()],
    /// Refused connections, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Pauses of accepting after an error of the system.
    pub accept_pauses: u64,
}

impl Counters {
    /// Counts an answer.
    pub fn answered(&mut self, answered: &Answered) {
        self.answers[answered.code.index()] += 1;
        self.bytes += answered.bytes;
        self.incomplete += u64::from(!answered.complete);
    }

    /// Counts a closed connection.
    pub fn closed(&mut self, reason: CloseReason) {
        self.closed[reason.index()] += 1;
    }

    /// Counts a refused connection.
    pub fn refused(&mut self, refusal: Refusal) {
        self.refused[refusal.index()] += 1;
    }
}

impl AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        let Counters { accepted, answers, incomplete, bytes, closed, refused, accept_pauses } = other;
        self.accepted += accepted;
        add(&mut self.answers, answers);
        self.incomplete += incomplete;
        self.bytes += bytes;
        add(&mut self.closed, closed);
        add(&mut self.refused, refused);
        self.accept_pauses += accept_pauses;
    }
}

fn add(sums: &mut [u64], others: &[u64]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += other;
    }
}
