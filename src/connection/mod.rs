//! The connection of one client, from accept to close. Its input is bytes and the time, its output bytes and [`Event`]s.
//!
//! A connection does not use the poll, the configuration or the log. The server calls [`Connection::drive`] when something
//! has happened, waits for [`Connection::awaits`] and [`Connection::deadline`], and removes the connection when it is
//! [`Connection::closed`]. Only `Connection::enter` changes the state.
//!
//! ```text
//!            first byte              line ends; small answers are sent at once
//!  Idle ───────────────▶ Reading ─────────────────────────────────────────────▶ Idle
//!                           │ a name is not      │ the socket is full
//!                           ▼ in memory          ▼                        all was sent
//!                        Waiting ─────────▶ Sending ────▶ Idle, Lingering or Closed
//!                                             ▲  │ large, or the file is not in memory
//!                                             │  ▼
//!                                           OnThread
//! ```
//!
//! * Input is read in pieces of [`INPUT`] bytes. An incomplete line is stored as a
//!   [`RequestReader`](crate::wire::RequestReader), whose size does not depend on the length of the line.
//! * While an answer is incomplete, nothing is read (back-pressure).
//! * Answers are encoded in a buffer of the event loop. If the client does not accept all bytes, the connection keeps only
//!   the position in the current answer (`answer.rs`) and the requests after it. The other bytes are encoded again later.
//! * Large answers, and those whose bytes may have to be read from a disk, are sent by a thread. The connection lends its
//!   answers and its stream in a [`SendTask`] until the client accepts no more bytes.
//! * If bytes of an answer cannot be read (the file was truncated, a disk fails), the connection is closed with the answer
//!   incomplete.

mod answer;
mod buffer;
mod chunk_size;
mod context;
mod deliver;
mod events;
mod input;
mod output;
mod rate_limiter;
mod request;
mod send_task;
mod sending;
mod slice;
mod transport;

use std::time::{Duration, Instant};

use crate::handle::JobResult;
use crate::wire::{Code, Encoding, Framing};

use answer::Answer;
use rate_limiter::RateLimiter;
use request::{Partial, Waiting};
use sending::Sending;

pub use context::{Context, INPUT, Scratch, Settings, Task};
pub use events::{Answered, CloseReason, Event, Phase, Refusal};
pub use send_task::{SendMemory, SendTask};
pub use transport::{Sink, Transport};

/// The time for which input is discarded after the last answer. Closing with unread input would send a reset, which could
/// destroy the answer.
pub const LINGER: Duration = Duration::from_secs(2);

/// The time within which a connection that was new at the start of a drain may send its first request.
pub const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// Why [`Connection::drive`] is called.
pub enum Cause {
    /// What it [awaits](Connection::awaits) may have happened.
    Ready,
    /// [`Connection::deadline`] was reached.
    Deadline,
    /// The result of [`Task::LookUp`]. `None` if no thread could be started.
    LookedUp(Option<JobResult>),
    /// A thread returns [`Task::Send`]. If no thread could be started, the task was not run.
    Sent(Box<SendTask>),
    /// The server starts to drain.
    Drain,
    /// The poll reports a reset of the socket.
    Reset,
    /// The server closes the connection.
    Abort(CloseReason),
}

/// What a connection waits for, apart from its [deadline](Connection::deadline).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    /// A further call: received requests, or the end of the input, are pending.
    Turn,
    /// The socket to become readable.
    Input,
    /// The socket to become writable.
    Output,
    /// Nothing on the socket: a thread or the rate limit is pending, or the connection is closed.
    Nothing,
}

/// One client.
pub struct Connection {
    framing: Framing,
    /// Changed only by [`Connection::enter`].
    state: State,
    /// The client has shut down its write side.
    input_ended: bool,
    /// Input that has not been parsed.
    received: Box<[u8]>,
    /// Set if the rate is limited.
    rate_limiter: Option<Box<RateLimiter>>,
}

enum State {
    Idle {
        since: Instant,
        next: NextRequest,
    },
    Reading(Box<Partial>),
    Waiting(Box<Waiting>),
    Sending(Box<Sending>),
    /// A thread sends the answers.
    OnThread {
        /// The time of the last check at which the thread had sent more bytes.
        since: Instant,
        /// The number of bytes that threads had sent then.
        sent: u64,
    },
    Lingering {
        until: Instant,
        reason: CloseReason,
    },
    Closed(CloseReason),
}

/// Which request an idle connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextRequest {
    First,
    Further,
    /// The first and only one, because the server drains.
    Final,
}

impl Connection {
    /// A new client of a listener with this framing.
    pub fn new(framing: impl Into<Framing>, now: Instant) -> Connection {
        let state = State::Idle { since: now, next: NextRequest::First };
        Connection { framing: framing.into(), state, input_ended: false, received: Box::default(), rate_limiter: None }
    }

    /// A refused client: the connection sends `line` and closes.
    pub fn refused(line: &'static str, now: Instant) -> Connection {
        let mut connection = Connection::new(Encoding::Fragments, now);
        let mut answer = Answer::line(Code::InternalError, line, None);
        answer.close_after = Some(CloseReason::Refused);
        connection.enter(State::Sending(Sending::of_answer(answer, now)));
        connection
    }

    /// What the connection waits for, computed from the state.
    pub fn awaits(&self) -> Awaits {
        match &self.state {
            State::Idle { .. } | State::Reading(_) if !self.received.is_empty() || self.input_ended => Awaits::Turn,
            State::Idle { .. } | State::Reading(_) | State::Lingering { .. } => Awaits::Input,
            State::Sending(sending) if sending.awaits_client() => Awaits::Output,
            State::Sending(_) | State::Waiting(_) | State::OnThread { .. } | State::Closed(_) => Awaits::Nothing,
        }
    }

    /// Whether [`Connection::drive`] can make progress now.
    pub fn is_ready(&self, transport: &impl Transport) -> bool {
        match self.awaits() {
            Awaits::Turn => true,
            Awaits::Input => transport.is_readable(),
            Awaits::Output => transport.is_writable(),
            Awaits::Nothing => false,
        }
    }

    /// When to call [`Connection::drive`] with [`Cause::Deadline`], unless another call comes first.
    pub fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match &self.state {
            State::Idle { since, next: NextRequest::Final } => Some(*since + DRAIN_GRACE),
            State::Idle { since, .. } => since.checked_add(settings.idle),
            State::Reading(partial) => partial.since.checked_add(settings.request),
            State::Sending(sending) => sending.deadline(settings),
            State::Lingering { until, .. } => Some(*until),
            State::Waiting(waiting) => waiting.since.checked_add(settings.stall),
            State::OnThread { since, .. } => since.checked_add(settings.stall),
            State::Closed(_) => None,
        }
    }

    /// Why the connection was closed. If set, the server must remove it.
    pub fn closed(&self) -> Option<CloseReason> {
        match self.state {
            State::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// The phase, for counters.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// Handles `cause`, then reads and sends until the socket blocks, a thread is needed ([`Context::task`]) or
    /// [`Context::budget`] is spent.
    pub fn drive<T: Transport>(&mut self, cause: Cause, cx: &mut Context<'_, T>) {
        match cause {
            Cause::Ready => {}
            Cause::Deadline => self.deadline_reached(cx),
            Cause::LookedUp(result) => self.looked_up(result, cx),
            Cause::Sent(task) => self.take_back(*task, cx),
            Cause::Drain => self.drain(cx),
            Cause::Reset => match self.state {
                State::Lingering { reason, .. } => self.close(reason, cx),
                _ => self.close(CloseReason::Reset, cx),
            },
            Cause::Abort(reason) => self.close(reason, cx),
        }
        while cx.budget > 0 && cx.task.is_none() && self.is_ready(cx.transport) {
            match self.state {
                State::Idle { .. } | State::Reading(_) => self.read_requests(cx),
                State::Lingering { reason, .. } => {
                    self.discard_input(reason, cx);
                }
                State::Sending(_) => {
                    self.continue_sending(cx);
                    self.close_if_done(cx);
                }
                State::Waiting(_) | State::OnThread { .. } | State::Closed(_) => {}
            }
        }
        if let Some(Task::Send(_)) = cx.task {
            cx.transport.lend();
        }
    }

    fn looked_up<T: Transport>(&mut self, result: Option<JobResult>, cx: &mut Context<'_, T>) {
        if !matches!(self.state, State::Waiting(_)) {
            return;
        }
        if let State::Waiting(waiting) = self.enter(State::between_requests(cx.now)) {
            let Waiting { pending, info, .. } = *waiting;
            let answer = match result {
                Some(result) => self.answer_found(pending, result, info, cx),
                None => Answer::code(Code::InternalError, info),
            };
            self.send_delayed_answer(answer, cx);
        }
    }

    /// Sends the answer to a request that waited for a look-up.
    fn send_delayed_answer<T: Transport>(&mut self, mut answer: Answer, cx: &mut Context<'_, T>) {
        answer.rest = self.received.len();
        cx.scratch.output.push(answer);
        self.send_answers(cx);
        self.close_if_done(cx);
    }

    fn deadline_reached<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        match &mut self.state {
            State::Idle { next: NextRequest::Final, .. } => self.linger(CloseReason::Drained, cx),
            State::Idle { .. } => self.close(CloseReason::Idle, cx),
            State::Reading(partial) => {
                let info = partial.info(cx.record);
                self.enter(State::between_requests(cx.now));
                cx.scratch.output.push(Answer::code(Code::BadRequest, info));
                self.send_answers(cx);
            }
            State::Sending(sending) => {
                if sending.resume(cx.now) {
                    self.continue_sending(cx);
                    self.close_if_done(cx);
                } else if !sending.has_progressed(cx.now, cx.transport) {
                    self.close(CloseReason::Stalled, cx);
                }
            }
            // A later result of the look-up is ignored.
            State::Waiting(_) => {
                if let State::Waiting(waiting) = self.enter(State::between_requests(cx.now)) {
                    let mut answer = Answer::code(Code::InternalError, waiting.info);
                    answer.close_after = Some(CloseReason::DiskTimeout);
                    self.send_delayed_answer(answer, cx);
                }
            }
            State::OnThread { since, sent } => {
                let before = std::mem::replace(sent, cx.transport.sent_by_thread());
                if *sent > before { *since = cx.now } else { self.close(CloseReason::DiskTimeout, cx) }
            }
            &mut State::Lingering { reason, .. } => self.close(reason, cx),
            State::Closed(_) => {}
        }
    }

    /// Closes a connection between two requests, or with an incomplete request. Others close after their answer. A new
    /// connection may still send its first request.
    fn drain<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        // The poll may not have reported all received bytes yet.
        cx.transport.assume_readable();
        match self.state {
            State::Idle { next: NextRequest::First, .. } if self.received.is_empty() => {
                self.enter(State::Idle { since: cx.now, next: NextRequest::Final });
            }
            State::Idle { .. } | State::Reading(_) => {
                self.linger(CloseReason::Drained, cx);
                if self.phase() == Phase::Lingering && self.discard_input(CloseReason::Drained, cx) == 0 {
                    // No input is unread, so closing does not send a reset.
                    self.close(CloseReason::Drained, cx);
                }
            }
            _ => {}
        }
    }

    /// Closes the connection. Reports the current answer as incomplete.
    fn close<T>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        if self.closed().is_none() {
            if let State::Sending(mut sending) = self.enter(State::Closed(reason)) {
                sending.output.abort(cx.events);
            }
            self.received = Box::default();
        }
    }

    /// Shuts down the write side and discards input for [`LINGER`].
    fn linger<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        self.received = Box::default();
        if self.input_ended || cx.transport.shut_down_write().is_err() {
            self.close(reason, cx);
        } else {
            self.enter(State::Lingering { until: cx.now + LINGER, reason });
        }
    }

    /// Changes the state. Returns the previous one.
    fn enter(&mut self, next: State) -> State {
        let (from, to) = (self.phase(), next.phase());
        debug_assert!(from.may_become(to), "{from:?} became {to:?}");
        std::mem::replace(&mut self.state, next)
    }
}

impl State {
    fn between_requests(now: Instant) -> State {
        State::Idle { since: now, next: NextRequest::Further }
    }

    fn phase(&self) -> Phase {
        match self {
            State::Idle { .. } => Phase::Idle,
            State::Reading(_) => Phase::Reading,
            State::Waiting(_) => Phase::Waiting,
            State::Sending(_) | State::OnThread { .. } => Phase::Sending,
            State::Lingering { .. } => Phase::Lingering,
            State::Closed(_) => Phase::Closed,
        }
    }
}

impl Phase {
    /// Whether this transition is valid. After an answer or a look-up the phase is idle before the next state.
    fn may_become(self, next: Phase) -> bool {
        match self {
            Phase::Idle => true,
            Phase::Reading => matches!(next, Phase::Idle | Phase::Lingering | Phase::Closed),
            Phase::Waiting | Phase::Sending => matches!(next, Phase::Idle | Phase::Closed),
            Phase::Lingering => next == Phase::Closed,
            Phase::Closed => false,
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
