//! From answers to bytes on their way.

use std::io::ErrorKind;
use std::time::Instant;

use rustix::io::Errno;

use super::body::{Body, CHUNK, Coder, LARGEST_CHUNK, Step};
use super::sending::{After, Hold, Sending, Sent, tell};
use super::{Call, CloseReason, Connection, Context, Event, Pace, Record, State, Transport};
use crate::handle::{Fault, Job};
use crate::wire::Code;

impl Connection {
    /// An answer whose head stands in `pending` from `before` on begins. A small one is complete at once.
    pub(super) fn begin<T: Transport>(
        &mut self,
        before: usize,
        mut body: Body,
        record: Record,
        cx: &mut Context<'_, T>,
    ) {
        if body.is_small() {
            loop {
                let coder = Coder { plain: &mut cx.scratch.plain, base64: &cx.scratch.base64 };
                match body.step(CHUNK, &mut self.pending, coder) {
                    Step::Made => {}
                    Step::End => {
                        let made = self.pending.len() - before;
                        cx.spend(made);
                        return self.tell_and_go_on(Code::Ok, made, record, cx);
                    }
                    // Found again by the same step, in `send`.
                    _ => break,
                }
            }
        }
        let mut sending = Sending::new(Code::Ok, body, After::Next, Some(record), cx.now);
        sending.made = (self.pending.len() - before) as u64;
        self.state = State::Sending(sending);
    }

    /// An answer that is complete in `pending` is the last.
    pub(super) fn finish_with<T>(
        &mut self,
        code: Code,
        reason: CloseReason,
        made: usize,
        record: Record,
        cx: &mut Context<'_, T>,
    ) {
        tell(code, made as u64, true, record, cx);
        self.state = State::Sending(Sending::farewell(reason, cx.now));
    }

    /// Sends what was answered so far; becomes [`State::Sending`] if the client does not take it all.
    pub(super) fn flush_answers<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if self.pending.is_empty() || !matches!(self.state, State::Idle { .. } | State::Reading { .. }) {
            return;
        }
        let hold = match self.flush(false, cx) {
            Sent::All => return,
            Sent::Ended(reason) => return self.close(reason, cx),
            Sent::Held(hold) => hold,
        };
        let after = match std::mem::replace(&mut self.state, State::Idle { since: cx.now, call: Call::Next }) {
            State::Reading { reader, since } => After::Resume { reader, since },
            _ => After::Next,
        };
        let mut sending = Sending::new(Code::Ok, Body::Nothing, after, None, cx.now);
        sending.hold = hold;
        sending.unsent = cx.transport.unsent();
        self.state = State::Sending(sending);
    }

    /// To be called when all requests that can be answered now have been: sends, and ends what has come to its end.
    pub(super) fn settle<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        match self.state {
            State::Idle { .. } | State::Reading { .. } => self.flush_answers(cx),
            State::Sending(_) => self.send(cx),
            State::Waiting(_) => match self.flush(false, cx) {
                Sent::All | Sent::Held(_) => {}
                Sent::Ended(reason) => self.close(reason, cx),
            },
            State::Lingering { .. } | State::Closed(_) => {}
        }
        if let State::Idle { .. } | State::Reading { .. } = self.state {
            let waits = matches!(self.state, State::Idle { call: Call::Last, .. }) && !self.input_ended;
            if cx.draining && !waits {
                self.linger(CloseReason::Drained, cx);
            } else if self.input_ended && self.unread.is_empty() {
                self.close(CloseReason::Client, cx);
            }
        }
    }

    /// Goes on with the answer, until it is complete or something has to be waited for.
    pub(super) fn send<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        let State::Sending(mut sending) =
            std::mem::replace(&mut self.state, State::Idle { since: cx.now, call: Call::Next })
        else {
            unreachable!("only an answer is sent");
        };
        match self.pump(&mut sending, cx) {
            Sent::Held(hold) => {
                sending.hold = hold;
                self.state = State::Sending(sending);
            }
            Sent::Ended(reason) => {
                self.state = State::Sending(sending);
                self.break_off(reason, cx);
            }
            Sent::All => {
                let Sending { code, after, record, made, .. } = *sending;
                if let Some(record) = record {
                    tell(code, made, true, record, cx);
                }
                match after {
                    After::Close(reason) => self.linger(reason, cx),
                    _ if cx.draining => self.linger(CloseReason::Drained, cx),
                    After::Next => self.state = State::Idle { since: cx.now, call: Call::Next },
                    After::Resume { reader, since } => self.state = State::Reading { reader, since },
                }
            }
        }
    }

    fn pump<T: Transport>(&mut self, sending: &mut Sending, cx: &mut Context<'_, T>) -> Sent {
        loop {
            let more = !matches!(sending.body, Body::Nothing);
            if !self.pending.is_empty() {
                let before = self.pending.len();
                let sent = self.flush(more, cx);
                if self.pending.len() < before {
                    sending.moved = cx.now;
                }
                match sent {
                    Sent::All => {}
                    Sent::Held(hold) => return sending.held(hold, cx.now, cx.transport),
                    ended => return ended,
                }
            }
            if cx.budget == 0 {
                return Sent::Held(Hold::Client);
            }
            let allowed = match self.allowance(cx) {
                Ok(allowed) => allowed,
                Err(until) => return Sent::Held(Hold::Rate(until)),
            };
            sending.stride.adapt(sending.made, cx.now);
            let before = self.pending.len();
            let coder = Coder { plain: &mut cx.scratch.plain, base64: &cx.scratch.base64 };
            let sent = match sending.body.step(sending.stride.chunk, &mut self.pending, coder) {
                Step::Made => {
                    sending.made += (self.pending.len() - before) as u64;
                    continue;
                }
                Step::End => return Sent::All,
                Step::Shrank => return Sent::Ended(CloseReason::FileShrank),
                Step::Failed(errno) => {
                    cx.events.push(Event::Fault { name: None, fault: Fault::Unreadable(errno) });
                    return Sent::Ended(CloseReason::ReadFailed);
                }
                Step::Fetch(job) => {
                    let Job::Read { length, .. } = job else { unreachable!("a body only reads") };
                    cx.job = Some(job);
                    return Sent::Held(Hold::Disk(length));
                }
                Step::Text(text) => {
                    let length = text.len().min(LARGEST_CHUNK).min(allowed);
                    cx.transport.write(&text[..length], true)
                }
                Step::File { file, offset, length } => {
                    // What is left of the budget may be a few bytes; a call is worth more than that.
                    let length = length.min(allowed).min(cx.budget.max(CHUNK));
                    match cx.transport.send_file(file, offset, length) {
                        Ok(0) => return Sent::Ended(CloseReason::FileShrank),
                        Err(error) if is_of_the_file(&error) => {
                            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                            cx.events.push(Event::Fault { name: None, fault: Fault::Unreadable(errno) });
                            return Sent::Ended(CloseReason::ReadFailed);
                        }
                        sent => sent,
                    }
                }
            };
            match sent {
                Ok(count) => {
                    self.paid(count, cx);
                    sending.body.advance(count);
                    sending.made += count as u64;
                    sending.moved = cx.now;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => match blocked(&error) {
                    Sent::Held(hold) => return sending.held(hold, cx.now, cx.transport),
                    ended => return ended,
                },
            }
        }
    }

    /// Sends `pending`.
    fn flush<T: Transport>(&mut self, more: bool, cx: &mut Context<'_, T>) -> Sent {
        while !self.pending.is_empty() {
            let allowed = match self.allowance(cx) {
                Ok(allowed) => allowed,
                Err(until) => return Sent::Held(Hold::Rate(until)),
            };
            let length = self.pending.len().min(allowed);
            match cx.transport.write(&self.pending.bytes()[..length], more) {
                Ok(count) => {
                    self.pending.advance(count);
                    self.paid(count, cx);
                }
                Err(error) => {
                    if error.kind() != ErrorKind::Interrupted {
                        return blocked(&error);
                    }
                }
            }
        }
        Sent::All
    }

    /// How many bytes the rate allows now; when to ask again if none.
    fn allowance<T>(&mut self, cx: &Context<'_, T>) -> Result<usize, Instant> {
        match cx.settings.rate {
            0 => {
                self.pace = None;
                Ok(usize::MAX)
            }
            rate => self.pace.get_or_insert_with(|| Box::new(Pace::new(cx.now))).allows(rate, cx.now),
        }
    }

    fn paid<T>(&mut self, count: usize, cx: &mut Context<'_, T>) {
        cx.spend(count);
        if let Some(pace) = &mut self.pace {
            pace.spend(count, cx.settings.rate, cx.now);
        }
    }

    /// The answer in the buffer is complete; the next request may come.
    pub(super) fn tell_and_go_on<T>(&mut self, code: Code, made: usize, record: Record, cx: &mut Context<'_, T>) {
        tell(code, made as u64, true, record, cx);
        self.state = State::Idle { since: cx.now, call: Call::Next };
    }

    /// The answer cannot be completed. The client can tell: the connection ends early, though not with a reset.
    pub(super) fn break_off<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        if !matches!(reason, CloseReason::FileShrank | CloseReason::ReadFailed) {
            return self.close(reason, cx);
        }
        let unsent = self.pending.len() as u64;
        self.pending.clear();
        if let State::Sending(sending) =
            std::mem::replace(&mut self.state, State::Idle { since: cx.now, call: Call::Next })
        {
            sending.broken_off(unsent, cx);
        }
        self.linger(reason, cx);
    }
}

/// Whether sending a file failed for the file's part.
fn is_of_the_file(error: &std::io::Error) -> bool {
    let client = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    !client.contains(&error.kind())
        && matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::INVAL | Errno::STALE))
}

fn blocked(error: &std::io::Error) -> Sent {
    match error.kind() {
        ErrorKind::WouldBlock => Sent::Held(Hold::Client),
        _ => Sent::Ended(CloseReason::Reset),
    }
}
