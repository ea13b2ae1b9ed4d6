//! Sends the answers of a connection, or passes them to a thread.

use std::time::Instant;

use super::context::{Context, Task};
use super::events::CloseReason;
use super::output::{BATCH_SIZE, Output, Progress, SendOutcome};
use super::rate_limiter::RateLimiter;
use super::send_task::SendTask;
use super::sending::{BlockedOn, Sending};
use super::slice::COPY_MAX;
use super::transport::Transport;
use super::{Connection, NextRequest, State};

impl Connection {
    /// Sends the answers in `cx.scratch.output`. If not all were sent, returns the number of bytes at the end of the input
    /// that must be parsed again.
    pub(super) fn send_answers<T: Transport>(&mut self, cx: &mut Context<'_, T>) -> Option<usize> {
        let mut output = std::mem::take(&mut cx.scratch.output);
        let (_, sent) = self.send_now(&mut output, cx);
        let rest = (sent != SendOutcome::All).then_some(output.rest());
        self.after_sending(&mut output, sent, None, cx);
        output.reset();
        cx.scratch.output = output;
        rest
    }

    /// Continues to send the current answer.
    pub(super) fn continue_sending<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if let State::Sending(mut sending) = self.enter(State::between_requests(cx.now)) {
            let (count, sent) = self.send_now(&mut sending.output, cx);
            let before = (count == 0).then_some(sending.progress);
            self.after_sending(&mut sending.output, sent, before, cx);
        }
    }

    /// Sends what an event loop can send now. Returns the number of bytes.
    fn send_now<T: Transport>(&mut self, output: &mut Output, cx: &mut Context<'_, T>) -> (usize, SendOutcome) {
        // A large listing is sent in several rounds, but each round may send a full buffer.
        let allowed = self.allowance(cx).unwrap_or(0).min(cx.budget.max(BATCH_SIZE + COPY_MAX as usize));
        let (count, sent) = output.send(allowed, &mut cx.scratch.buffers, cx.transport, cx.events);
        self.charge(count, cx);
        (count, sent)
    }

    /// Changes the state after sending. `before` is the previous progress of the client, if no bytes were sent.
    fn after_sending<T: Transport>(
        &mut self,
        output: &mut Output,
        sent: SendOutcome,
        before: Option<Progress>,
        cx: &mut Context<'_, T>,
    ) {
        if sent != SendOutcome::All {
            // The requests after the current answer are parsed again, also one that needs a look-up or is incomplete.
            cx.task = None;
            if matches!(self.state, State::Reading(_) | State::Waiting(_)) {
                self.enter(State::between_requests(cx.now));
            }
        }
        match sent {
            SendOutcome::All => match output.close_reason {
                Some(reason) => self.linger(reason, cx),
                None if cx.draining => self.linger(CloseReason::Drained, cx),
                None => {}
            },
            SendOutcome::Failed(reason) => {
                output.abort(cx.events);
                self.close_incomplete(reason, cx);
            }
            SendOutcome::NeedsThread => self.hand_over(output, before, cx),
            SendOutcome::Blocked => {
                let mut sending = Sending::new(output.take_first(), BlockedOn::Client, cx.now);
                sending.continue_progress(before, cx.now, cx.transport);
                self.enter(State::Sending(sending));
            }
            SendOutcome::Spent => {
                let blocked_on = self.allowance(cx).map_or_else(BlockedOn::Rate, |_| BlockedOn::Client);
                self.enter(State::Sending(Sending::new(output.take_first(), blocked_on, cx.now)));
            }
        }
    }

    /// Creates a task to send the answers in a thread.
    fn hand_over<T: Transport>(&mut self, output: &mut Output, before: Option<Progress>, cx: &mut Context<'_, T>) {
        match self.allowance(cx) {
            Ok(allowed) => {
                let output = std::mem::take(output);
                let task = SendTask { output, allowed, count: 0, before, sent: None, events: Vec::new() };
                cx.task = Some(Task::Send(Box::new(task)));
                self.enter(State::OnThread { since: cx.now, sent: cx.transport.sent_by_thread() });
            }
            Err(until) => {
                self.enter(State::Sending(Sending::new(output.take_first(), BlockedOn::Rate(until), cx.now)));
            }
        }
    }

    /// Continues after a thread has returned its task.
    pub(super) fn take_back<T: Transport>(&mut self, task: SendTask, cx: &mut Context<'_, T>) {
        cx.transport.take_back(task.is_writable());
        let SendTask { mut output, count, before, sent, mut events, .. } = task;
        cx.events.append(&mut events);
        if !matches!(self.state, State::OnThread { .. }) {
            return output.abort(cx.events);
        }
        self.charge(count, cx);
        let parsed = self.received.len() - output.rest().min(self.received.len());
        self.received = self.received[parsed..].into();
        self.enter(State::between_requests(cx.now));
        match sent {
            None => {
                output.abort(cx.events);
                self.close(CloseReason::ReadFailed, cx);
            }
            // The remaining bytes may be few enough for an event loop.
            Some(SendOutcome::Spent) => {
                self.enter(State::Sending(Sending::new(output.take_first(), BlockedOn::Client, cx.now)));
                self.continue_sending(cx);
            }
            Some(sent) => self.after_sending(&mut output, sent, before.filter(|_| count == 0), cx),
        }
        self.close_if_done(cx);
    }

    /// Closes the connection if it drains or the client has shut down its write side, and nothing remains to be done. Call
    /// it after sending.
    pub(super) fn close_if_done<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if let State::Idle { .. } | State::Reading(_) = self.state {
            let waits = matches!(self.state, State::Idle { next: NextRequest::Final, .. }) && !self.input_ended;
            if cx.draining && !waits {
                self.linger(CloseReason::Drained, cx);
            } else if self.input_ended && self.received.is_empty() {
                self.close(CloseReason::Client, cx);
            }
        }
    }

    /// Closes the connection after an incomplete answer: with FIN after an error of the file, so that the client receives
    /// the bytes before it.
    fn close_incomplete<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        if matches!(reason, CloseReason::FileShrank | CloseReason::ReadFailed) {
            self.linger(reason, cx);
        } else {
            self.close(reason, cx);
        }
    }

    /// The number of bytes that the rate allows now. If none, `Err` with the time of the next attempt.
    pub(super) fn allowance<T>(&mut self, cx: &Context<'_, T>) -> Result<usize, Instant> {
        match cx.settings.rate {
            0 => {
                self.rate_limiter = None;
                Ok(usize::MAX)
            }
            rate => self.rate_limiter.get_or_insert_with(|| Box::new(RateLimiter::new(cx.now))).allows(rate, cx.now),
        }
    }

    fn charge<T>(&mut self, count: usize, cx: &mut Context<'_, T>) {
        cx.spend(count);
        if let Some(rate_limiter) = self.rate_limiter.as_mut().filter(|_| cx.settings.rate > 0) {
            rate_limiter.spend(count, cx.settings.rate, cx.now);
        }
    }
}
