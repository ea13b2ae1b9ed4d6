//! Feeds the service manager's watchdog as long as all workers make progress.

use std::time::{Duration, Instant};

/// Feeds the service manager's watchdog as long as all workers make progress.
#[derive(Debug)]
pub(super) struct Watchdog {
    period: Duration,
    next: Instant,
    serial: u64,
    /// For each worker, the last ping that it answered.
    answered: Vec<u64>,
}

impl Watchdog {
    /// `timeout` is the service manager's.
    pub(super) fn new(timeout: Duration, workers: usize, now: Instant) -> Watchdog {
        Watchdog { period: timeout / 4, next: now, serial: 0, answered: vec![0; workers] }
    }

    /// When [`Watchdog::step`] has something to do.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn answered(&mut self, worker: usize, serial: u64) {
        self.answered[worker] = serial;
    }

    /// Returns the number of the next ping if it is due and all workers have answered the last one, or need not.
    pub(super) fn step(&mut self, draining: bool, now: Instant) -> Option<u64> {
        if self.next > now {
            return None;
        }
        self.next = now + self.period;
        if !draining && self.answered.iter().any(|&answered| answered != self.serial) {
            return None;
        }
        self.serial += 1;
        Some(self.serial)
    }
}
