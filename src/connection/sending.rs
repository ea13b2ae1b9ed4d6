//! Answers whose sending is suspended.

use std::time::Instant;

use super::answer::Answer;
use super::context::Settings;
use super::output::{Output, Progress};
use super::transport::Transport;

/// Answers that wait for the client or for the rate limit.
pub(super) struct Sending {
    pub(super) output: Output,
    blocked_on: BlockedOn,
    pub(super) progress: Progress,
}

/// What the answers wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockedOn {
    Client,
    /// The rate limit, until this time.
    Rate(Instant),
}

impl Sending {
    pub(super) fn new(output: Output, blocked_on: BlockedOn, now: Instant) -> Box<Sending> {
        Box::new(Sending { output, blocked_on, progress: Progress { at: now, unsent: 0 } })
    }

    pub(super) fn of_answer(answer: Answer, now: Instant) -> Box<Sending> {
        let mut output = Output::default();
        output.push(answer);
        Sending::new(output, BlockedOn::Client, now)
    }

    /// Continues with the previous progress, if no bytes were sent since.
    pub(super) fn continue_progress(&mut self, before: Option<Progress>, now: Instant, transport: &impl Transport) {
        if let Some(before) = before {
            self.progress = before;
            self.has_progressed(now, transport);
        }
        self.progress.unsent = transport.unsent();
    }

    pub(super) fn awaits_client(&self) -> bool {
        self.blocked_on == BlockedOn::Client
    }

    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match self.blocked_on {
            BlockedOn::Client => self.progress.at.checked_add(settings.stall),
            BlockedOn::Rate(until) => Some(until),
        }
    }

    /// Whether the client has acknowledged bytes since the last call. The kernel reports a socket as writable only when
    /// much of its buffer is free, which can be much later.
    pub(super) fn has_progressed(&mut self, now: Instant, transport: &impl Transport) -> bool {
        let unsent = transport.unsent();
        let progressed = unsent < self.progress.unsent;
        if progressed {
            self.progress = Progress { at: now, unsent };
        }
        progressed
    }

    /// Stops waiting for the rate limit. Returns whether it did wait.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        let resumed = matches!(self.blocked_on, BlockedOn::Rate(_));
        if resumed {
            (self.blocked_on, self.progress.at) = (BlockedOn::Client, now);
        }
        resumed
    }
}
