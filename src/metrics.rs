//! What is counted. An event loop counts for itself, without sharing; who wants the sum adds up.

use std::ops::AddAssign;

use crate::connection::{Answered, CloseReason, Refusal};
use crate::wire::Code;

/// What happened since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were accepted, refused ones included.
    pub accepted: u64,
    /// Answers by code, in the order of [`Code::ALL`].
    pub answers: [u64; Code::ALL.len()],
    /// Of these, answers that were broken off.
    pub incomplete: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Connections that ended, in the order of [`CloseReason::ALL`].
    pub closed: [u64; CloseReason::ALL.len()],
    /// Connections that were refused, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Times that accepting had to pause because the system refused.
    pub accept_pauses: u64,
}

impl Tally {
    /// A request was answered.
    pub fn answered(&mut self, answered: &Answered) {
        self.answers[answered.code.index()] += 1;
        self.bytes += answered.bytes;
        self.incomplete += u64::from(!answered.complete);
    }

    /// A connection ended.
    pub fn closed(&mut self, reason: CloseReason) {
        self.closed[reason.index()] += 1;
    }

    /// A connection was refused.
    pub fn refused(&mut self, refusal: Refusal) {
        self.refused[refusal.index()] += 1;
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        let Tally { accepted, answers, incomplete, bytes, closed, refused, accept_pauses } = other;
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
