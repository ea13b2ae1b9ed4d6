//! A connection sends its answers, or has a thread send them.

use std::time::Instant;

use super::context::{Context, Task};
use super::output::{FULL, Output, Progress, Sent};
use super::rate_limiter::RateLimiter;
use super::send_task::SendTask;
use super::sending::{BlockedOn, Sending};
use super::slice::COPIED;
use super::tell::CloseReason;
use super::transport::Transport;
use super::{Connection, NextRequest, State};

impl Connection {
    /// Sends the answers that were gathered. Returns how many bytes of the input are to be parsed again when not all of
    /// them could be sent now.
    pub(super) fn send_answers<T: Transport>(&mut self, cx: &mut Context<'_, T>) -> Option<usize> {
        let mut output = std::mem::take(&mut cx.scratch.output);
        let (_, sent) = self.send_now(&mut output, cx);
        let rest = (sent != Sent::All).then_some(output.rest());
        self.after_sending(&mut output, sent, None, cx);
        output.reset();
        cx.scratch.output = output;
        rest
    }

    /// Goes on with the answer that is being sent.
    pub(super) fn send_on<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if let State::Sending(mut sending) = self.enter(State::between(cx.now)) {
            let (count, sent) = self.send_now(&mut sending.output, cx);
            let before = (count == 0).then_some(sending.progress);
            self.after_sending(&mut sending.output, sent, before, cx);
        }
    }

    /// Sends what an event loop can send now. Returns how many bytes.
    fn send_now<T: Transport>(&mut self, output: &mut Output, cx: &mut Context<'_, T>) -> (usize, Sent) {
        // The rest of a large listing is for the next round, but no buffer is filled in vain.
        let allowed = self.allowance(cx).unwrap_or(0).min(cx.budget.max(FULL + COPIED as usize));
        let (count, sent) = output.send(allowed, &mut cx.scratch.buffers, cx.transport, cx.events);
        self.charge(count, cx);
        (count, sent)
    }

    /// What follows an attempt to send. `before` is the client's progress until now, if nothing was sent.
    fn after_sending<T: Transport>(
        &mut self,
        output: &mut Output,
        sent: Sent,
        before: Option<Progress>,
        cx: &mut Context<'_, T>,
    ) {
        if sent != Sent::All {
            // The requests behind the answer that is being sent are parsed again, and so is one that needs a look-up.
            cx.task = None;
            if matches!(self.state, State::Reading(_) | State::Waiting(_)) {
                self.enter(State::between(cx.now));
            }
        }
        match sent {
            Sent::All => match output.ended {
                Some(reason) => self.linger(reason, cx),
                None if cx.draining => self.linger(CloseReason::Drained, cx),
                None => {}
            },
            Sent::Failed(reason) => {
                output.abort(cx.events);
                self.end_incomplete(reason, cx);
            }
            Sent::NeedsThread => self.hand_over(output, before, cx),
            Sent::Blocked => {
                let mut sending = Sending::new(output.take_first(), BlockedOn::Client, cx.now);
                sending.measure(before, cx.now, cx.transport);
                self.enter(State::Sending(sending));
            }
            Sent::Spent => {
                let blocked_on = self.allowance(cx).map_or_else(BlockedOn::Rate, |_| BlockedOn::Client);
                self.enter(State::Sending(Sending::new(output.take_first(), blocked_on, cx.now)));
            }
        }
    }

    /// Has a thread send the answers.
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

    /// A thread has sent what it could.
    pub(super) fn take_back<T: Transport>(&mut self, task: SendTask, cx: &mut Context<'_, T>) {
        cx.transport.take_back(task.left_room());
        let SendTask { mut output, count, before, sent, mut events, .. } = task;
        cx.events.append(&mut events);
        if !matches!(self.state, State::OnThread { .. }) {
            return output.abort(cx.events);
        }
        self.charge(count, cx);
        let parsed = self.received.len() - output.rest().min(self.received.len());
        self.received = self.received[parsed..].into();
        self.enter(State::between(cx.now));
        match sent {
            None => {
                output.abort(cx.events);
                self.close(CloseReason::ReadFailed, cx);
            }
            // What is left may be small enough for an event loop.
            Some(Sent::Spent) => {
                self.enter(State::Sending(Sending::new(output.take_first(), BlockedOn::Client, cx.now)));
                self.send_on(cx);
            }
            Some(sent) => self.after_sending(&mut output, sent, before.filter(|_| count == 0), cx),
        }
        self.end_if_due(cx);
    }

    /// To be called when all that can be sent now was: ends what has come to its end.
    pub(super) fn end_if_due<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if let State::Idle { .. } | State::Reading(_) = self.state {
            let waits = matches!(self.state, State::Idle { next: NextRequest::Final, .. }) && !self.input_ended;
            if cx.draining && !waits {
                self.linger(CloseReason::Drained, cx);
            } else if self.input_ended && self.received.is_empty() {
                self.close(CloseReason::Client, cx);
            }
        }
    }

    /// The answer cannot be completed. The client can tell: the connection ends early, though not with a reset.
    fn end_incomplete<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        if matches!(reason, CloseReason::FileShrank | CloseReason::ReadFailed) {
            self.linger(reason, cx);
        } else {
            self.close(reason, cx);
        }
    }

    /// How many bytes the rate allows now; when to ask again if none.
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
