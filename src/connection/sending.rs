//! A connection whose answers are being sent.

use std::time::Instant;

use super::answer::Answer;
use super::output::{FULL, Output, Sent};
use super::pace::Pace;
use super::send_task::SendTask;
use super::slice::COPIED;
use super::{Call, CloseReason, Connection, Context, Settings, State, Task, Transport};

/// An answer that waits.
pub(super) struct Sending {
    pub(super) output: Output,
    pub(super) hold: Hold,
    /// When the client last took something, as far as that was seen.
    moved: Instant,
    /// Bytes that the kernel still had to send when the client was last seen to take nothing.
    unsent: usize,
}

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// The client.
    Client,
    /// Its rate: nothing is sent before this.
    Rate(Instant),
}

impl Sending {
    fn new(output: Output, hold: Hold, now: Instant) -> Box<Sending> {
        Box::new(Sending { output, hold, moved: now, unsent: 0 })
    }

    pub(super) fn of(answer: Answer, now: Instant) -> Box<Sending> {
        let mut output = Output::default();
        output.push(answer);
        Sending::new(output, Hold::Client, now)
    }

    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match self.hold {
            Hold::Client => self.moved.checked_add(settings.stall),
            Hold::Rate(until) => Some(until),
        }
    }

    /// Whether the client took something since it had to be waited for: the kernel makes room known only when there is
    /// plenty, which may be long after.
    pub(super) fn took_something(&mut self, now: Instant, transport: &impl Transport) -> bool {
        let unsent = transport.unsent();
        let took = unsent < self.unsent;
        if took {
            (self.unsent, self.moved) = (unsent, now);
        }
        took
    }

    /// Goes on, if it was its own rate that it waited for.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        let resumed = matches!(self.hold, Hold::Rate(_));
        if resumed {
            (self.hold, self.moved) = (Hold::Client, now);
        }
        resumed
    }
}

impl Connection {
    /// Sends the answers that were gathered. Returns how many bytes of the input are to be looked at again when not all of
    /// them could be sent now.
    pub(super) fn send_answers<T: Transport>(&mut self, cx: &mut Context<'_, T>) -> Option<usize> {
        let mut output = std::mem::take(&mut cx.scratch.output);
        let (sent, moved) = self.send_now(&mut output, cx);
        let rest = output.rest();
        let all = sent == Sent::All;
        self.after_sending(&mut output, sent, moved, None, cx);
        output.reset();
        cx.scratch.output = output;
        (!all).then_some(rest)
    }

    /// Goes on with the answer that is being sent.
    pub(super) fn send_on<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        match std::mem::replace(&mut self.state, State::Idle { since: cx.now, call: Call::Next }) {
            State::Sending(mut sending) => {
                let (sent, moved) = self.send_now(&mut sending.output, cx);
                let Sending { mut output, moved: before, unsent, .. } = *sending;
                self.after_sending(&mut output, sent, moved, Some((before, unsent)), cx);
            }
            state => self.state = state,
        }
    }

    /// Sends what an event loop can send now. Returns whether anything was sent.
    fn send_now<T: Transport>(&mut self, output: &mut Output, cx: &mut Context<'_, T>) -> (Sent, bool) {
        // The rest of a large listing is for the next round, but no buffer is made in vain.
        let allowed = self.allowance(cx).unwrap_or(0).min(cx.budget.max(FULL + COPIED as usize));
        let (count, sent) = output.send(allowed, &mut cx.scratch.workshop, cx.transport, cx.events);
        self.pay(count, cx);
        (sent, count > 0)
    }

    /// What follows an attempt to send. `before` tells when the client last took something, and what was unsent then.
    fn after_sending<T: Transport>(
        &mut self,
        output: &mut Output,
        sent: Sent,
        moved: bool,
        before: Option<(Instant, usize)>,
        cx: &mut Context<'_, T>,
    ) {
        match sent {
            Sent::All => match output.ended {
                Some(reason) => self.linger(reason, cx),
                None if cx.draining => self.linger(CloseReason::Drained, cx),
                None => {}
            },
            Sent::Failed(reason) => {
                output.break_off(cx.events);
                self.break_off(reason, cx);
                cx.task = None;
            }
            Sent::NeedsThread => self.hand_over(output, before.filter(|_| !moved), cx),
            Sent::Blocked => {
                let mut sending = Sending::new(output.take_first(), Hold::Client, cx.now);
                if let Some((before, unsent)) = before.filter(|_| !moved) {
                    (sending.moved, sending.unsent) = (before, unsent);
                    sending.took_something(cx.now, cx.transport);
                }
                sending.unsent = cx.transport.unsent();
                self.state = State::Sending(sending);
                cx.task = None;
            }
            Sent::Spent => {
                let hold = self.allowance(cx).map_or_else(Hold::Rate, |_| Hold::Client);
                self.state = State::Sending(Sending::new(output.take_first(), hold, cx.now));
                cx.task = None;
            }
        }
    }

    /// Has a thread send the answers.
    fn hand_over<T>(&mut self, output: &mut Output, before: Option<(Instant, usize)>, cx: &mut Context<'_, T>) {
        match self.allowance(cx) {
            Ok(allowed) => {
                let output = std::mem::take(output);
                let task = SendTask { output, allowed, count: 0, before, sent: None, events: Vec::new() };
                cx.task = Some(Task::Send(Box::new(task)));
                self.state = State::OnThread;
            }
            Err(until) => {
                self.state = State::Sending(Sending::new(output.take_first(), Hold::Rate(until), cx.now));
                cx.task = None;
            }
        }
    }

    /// A thread has sent what it could.
    pub(super) fn take_back<T: Transport>(&mut self, task: SendTask, cx: &mut Context<'_, T>) {
        let SendTask { mut output, count, before, sent, .. } = task;
        self.pay(count, cx);
        let kept = self.unread.len() - output.rest().min(self.unread.len());
        self.unread = self.unread[kept..].into();
        self.state = State::Idle { since: cx.now, call: Call::Next };
        match sent {
            None => {
                output.break_off(cx.events);
                self.close(CloseReason::ReadFailed, cx);
            }
            // What is left may be small enough for an event loop.
            Some(Sent::Spent) => {
                self.state = State::Sending(Sending::new(output.take_first(), Hold::Client, cx.now));
                self.send_on(cx);
            }
            Some(sent) => self.after_sending(&mut output, sent, count > 0, before, cx),
        }
    }

    /// To be called when all that can be sent now was: ends what has come to its end.
    pub(super) fn end_if_due<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if let State::Idle { .. } | State::Reading(_) = self.state {
            let waits = matches!(self.state, State::Idle { call: Call::Last, .. }) && !self.input_ended;
            if cx.draining && !waits {
                self.linger(CloseReason::Drained, cx);
            } else if self.input_ended && self.unread.is_empty() {
                self.close(CloseReason::Client, cx);
            }
        }
    }

    /// The answer cannot be completed. The client can tell: the connection ends early, though not with a reset.
    fn break_off<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
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
                self.pace = None;
                Ok(usize::MAX)
            }
            rate => self.pace.get_or_insert_with(|| Box::new(Pace::new(cx.now))).allows(rate, cx.now),
        }
    }

    fn pay<T>(&mut self, count: usize, cx: &mut Context<'_, T>) {
        cx.spend(count);
        if let Some(pace) = self.pace.as_mut().filter(|_| cx.settings.rate > 0) {
            pace.spend(count, cx.settings.rate, cx.now);
        }
    }
}
