//! The drain: from the first SIGTERM to the end.

use std::time::{Duration, Instant};

/// How often the drain reports how many connections are left.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// How long workers may take to stop when all connections are to be closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A drain under way.
#[derive(Debug)]
pub(super) struct Drain {
    /// When the connections that are left are closed, and then, when their workers are not waited for any more.
    deadline: Instant,
    report_at: Instant,
    closing: bool,
    /// Workers that have not stopped.
    workers: usize,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DrainStep {
    Wait,
    /// Tell the service manager how many are left, and that it may take so much longer.
    Report(Duration),
    /// Close the connections that are left.
    CloseAll,
    /// All workers have stopped.
    Complete,
    /// A worker does not stop. Its clients see the end of the process.
    WorkerStuck,
}

impl Drain {
    pub(super) fn new(timeout: Duration, workers: usize, now: Instant) -> Drain {
        Drain { deadline: now + timeout, report_at: now + REPORT_PERIOD, closing: false, workers }
    }

    /// Closes the connections that are left now.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.deadline = now;
    }

    pub(super) fn worker_stopped(&mut self) {
        self.workers -= 1;
    }

    /// When [`Drain::step`] has something to do.
    pub(super) fn next(&self) -> Instant {
        self.deadline.min(self.report_at)
    }

    pub(super) fn step(&mut self, now: Instant) -> DrainStep {
        if self.workers == 0 {
            DrainStep::Complete
        } else if self.deadline <= now && self.closing {
            DrainStep::WorkerStuck
        } else if self.deadline <= now {
            self.closing = true;
            self.deadline = now + CLOSE_TIMEOUT;
            DrainStep::CloseAll
        } else if self.report_at <= now {
            self.report_at = now + REPORT_PERIOD;
            DrainStep::Report(REPORT_PERIOD * 5)
        } else {
            DrainStep::Wait
        }
    }
}
