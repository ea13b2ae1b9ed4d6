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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn answers_are_counted_by_code_with_their_bytes() {
        let mut counters = Counters::default();
        for (code, bytes, complete) in [
            (Code::Ok, 45, true),
            (Code::Ok, 1000, false),
            (Code::FileNotFound, 20, true),
            (Code::OffsetExceedsSize, 30, true),
            (Code::Ok, 5, false),
        ] {
            counters.answered(&Answered { code, bytes, since: Instant::now(), complete, request: None });
        }
        let expected =
            Counters { answers: [3, 0, 0, 0, 0, 0, 1, 1], incomplete: 2, bytes: 1100, ..Counters::default() };
        assert_eq!(counters, expected);
    }

    #[test]
    fn connections_are_counted_by_the_reason_for_their_end_or_refusal() {
        let mut counters = Counters::default();
        for reason in [CloseReason::Client, CloseReason::Quit, CloseReason::Client, CloseReason::Refused] {
            counters.closed(reason);
        }
        for refusal in [Refusal::Address, Refusal::Full, Refusal::Address, Refusal::Address] {
            counters.refused(refusal);
        }
        let closed = [2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(counters, Counters { closed, refused: [1, 3, 0, 0], ..Counters::default() });
    }

    #[test]
    fn the_counters_of_two_workers_are_added_one_by_one() {
        let first = Counters {
            accepted: 7,
            answers: [1, 2, 3, 4, 5, 6, 7, 8],
            incomplete: 9,
            bytes: 1 << 40,
            closed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            refused: [2, 3, 4, 5],
            accept_pauses: 6,
        };
        let second = Counters {
            accepted: 10,
            answers: [10, 20, 30, 40, 50, 60, 70, 80],
            incomplete: 20,
            bytes: 100,
            closed: [20; 12],
            refused: [10, 0, 10, 0],
            accept_pauses: 30,
        };
        let mut sum = Counters::default();
        sum += &first;
        assert_eq!(sum, first, "added to nothing");
        sum += &second;
        let expected = Counters {
            accepted: 17,
            answers: [11, 22, 33, 44, 55, 66, 77, 88],
            incomplete: 29,
            bytes: (1 << 40) + 100,
            closed: [21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32],
            refused: [12, 3, 14, 5],
            accept_pauses: 36,
        };
        assert_eq!(sum, expected);
    }
}
