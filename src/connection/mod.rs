//! One client, from accept to close: bytes and the time go in, bytes and [`Event`]s come out.
//!
//! A connection knows no poll, no configuration and no log. Its server drives it: [`Connection::drive`] when something has
//! happened, [`Connection::awaits`] and [`Connection::deadline`] to know what to wait for, and [`Connection::closed`] to
//! know that it is to be removed. `Connection::enter` is the one place where its state changes.
//!
//! ```text
//!            first byte              line ends; small answers are sent at once
//!  Idle ───────────────▶ Reading ─────────────────────────────────────────────▶ Idle
//!                           │ a name is not      │ more than the client takes now
//!                           ▼ in memory          ▼                        all was sent
//!                        Waiting ─────────▶ Sending ────▶ Idle, Lingering or Closed
//!                                             ▲  │ large, or the file is not in memory
//!                                             │  ▼
//!                                           OnThread
//! ```
//!
//! * What is received is read in pieces of [`INPUT`] bytes; a line that is not complete is kept as a
//!   [`RequestReader`](crate::wire::RequestReader),
//!   whose size does not depend on the line's.
//! * While an answer is being sent nothing is read: a client that does not take its answers is not listened to.
//! * Answers are made in the event loop's memory. Of what the client did not take nothing is kept but the place that was
//!   reached in the answer that is being sent (`answer.rs`) and the requests after it: the rest is made again.
//! * Large answers, and those whose bytes may have to come from a disk, are sent by a thread: the connection lends it
//!   its answers and its stream in a [`SendTask`], and gets them back when the client takes no more.
//! * An answer whose bytes cannot be had (a file that became shorter, a disk that fails) ends the connection without
//!   completing the answer.

mod answer;
mod buffer;
mod chunk_size;
mod context;
mod deliver;
mod input;
mod output;
mod rate_limiter;
mod request;
mod send_task;
mod sending;
mod slice;
mod tell;
mod transport;

use std::time::{Duration, Instant};

use crate::handle::JobResult;
use crate::wire::{Code, Encoding, Framing};

use answer::Answer;
use rate_limiter::RateLimiter;
use request::{Partial, Waiting};
use sending::Sending;

pub use context::{Context, INPUT, Scratch, Settings, Task};
pub use send_task::{SendMemory, SendTask};
pub use tell::{Answered, CloseReason, Event, Phase, Refusal};
pub use transport::{Sink, Transport};

/// How long input is read and discarded after the last answer, so that no reset overtakes that answer.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that was made just before a drain may take to send its first request.
pub const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// Why [`Connection::drive`] is called.
pub enum Cause {
    /// What it [awaits](Connection::awaits) may have come.
    Ready,
    /// [`Connection::deadline`] has come.
    Deadline,
    /// A thread has done [`Task::LookUp`]; `None` if the system gave no thread for it.
    LookedUp(Option<JobResult>),
    /// A thread gives back the answers of [`Task::Send`]. A task that was not run had no thread.
    Sent(Box<SendTask>),
    /// The server begins to drain.
    Drain,
    /// The socket reports that the client is gone.
    Reset,
    /// The server closes it.
    Abort(CloseReason),
}

/// What a connection waits for, apart from its [deadline](Connection::deadline).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    /// Nothing: requests were already received.
    Turn,
    /// Bytes from the client.
    Input,
    /// Room for bytes to the client.
    Output,
    /// A thread, its rate, or to be removed.
    Nothing,
}

/// One client.
pub struct Connection {
    framing: Framing,
    /// Changed by [`Connection::enter`] alone.
    state: State,
    /// The client will send nothing more.
    input_ended: bool,
    /// Received, and not answered yet: only while an answer holds it up.
    received: Box<[u8]>,
    /// The limiter of its rate, once there is a limit.
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
    /// A thread has the answers.
    OnThread {
        /// When the thread was last seen to send something, and how much it had sent then.
        since: Instant,
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
    /// Its first and only request: the server drains.
    Final,
}

impl Connection {
    /// A client of a listener with this framing, which has sent nothing yet.
    pub fn new(framing: impl Into<Framing>, now: Instant) -> Connection {
        let state = State::Idle { since: now, next: NextRequest::First };
        Connection { framing: framing.into(), state, input_ended: false, received: Box::default(), rate_limiter: None }
    }

    /// A client that is not served: it is sent `line`, and nothing else.
    pub fn refused(line: &'static str, now: Instant) -> Connection {
        let mut connection = Connection::new(Encoding::Fragments, now);
        let mut answer = Answer::line(Code::InternalError, line, None);
        answer.last = Some(CloseReason::Refused);
        connection.enter(State::Sending(Sending::of(answer, now)));
        connection
    }

    /// What it waits for. Computed from the state at every call.
    pub fn awaits(&self) -> Awaits {
        match &self.state {
            State::Idle { .. } | State::Reading(_) if !self.received.is_empty() || self.input_ended => Awaits::Turn,
            State::Idle { .. } | State::Reading(_) | State::Lingering { .. } => Awaits::Input,
            State::Sending(sending) if sending.awaits_client() => Awaits::Output,
            State::Sending(_) | State::Waiting(_) | State::OnThread { .. } | State::Closed(_) => Awaits::Nothing,
        }
    }

    /// Whether something can be done now.
    pub fn is_ready(&self, transport: &impl Transport) -> bool {
        match self.awaits() {
            Awaits::Turn => true,
            Awaits::Input => transport.is_readable(),
            Awaits::Output => transport.is_writable(),
            Awaits::Nothing => false,
        }
    }

    /// When [`Cause::Deadline`] is due, unless something else happens first.
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

    /// Why it is to be removed, once it is.
    pub fn closed(&self) -> Option<CloseReason> {
        match self.state {
            State::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// Does what `cause` asks for, and then all that can be done until the client has to be waited for, a thread is
    /// needed ([`Context::task`]) or [`Context::budget`] is spent.
    pub fn drive<T: Transport>(&mut self, cause: Cause, cx: &mut Context<'_, T>) {
        match cause {
            Cause::Ready => {}
            Cause::Deadline => self.deadline_reached(cx),
            Cause::LookedUp(done) => self.looked_up(done, cx),
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
                    self.send_on(cx);
                    self.end_if_due(cx);
                }
                State::Waiting(_) | State::OnThread { .. } | State::Closed(_) => {}
            }
        }
        if let Some(Task::Send(_)) = cx.task {
            cx.transport.lend();
        }
    }

    fn looked_up<T: Transport>(&mut self, done: Option<JobResult>, cx: &mut Context<'_, T>) {
        if !matches!(self.state, State::Waiting(_)) {
            return;
        }
        if let State::Waiting(waiting) = self.enter(State::between(cx.now)) {
            let Waiting { pending, info, .. } = *waiting;
            let answer = match done {
                Some(done) => self.answer_found(pending, done, info, cx),
                None => Answer::code(Code::InternalError, info),
            };
            self.answer_at_last(answer, cx);
        }
    }

    /// Sends the answer to a request that had to wait.
    fn answer_at_last<T: Transport>(&mut self, mut answer: Answer, cx: &mut Context<'_, T>) {
        answer.rest = self.received.len();
        cx.scratch.output.push(answer);
        self.send_answers(cx);
        self.end_if_due(cx);
    }

    fn deadline_reached<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        match &mut self.state {
            State::Idle { next: NextRequest::Final, .. } => self.linger(CloseReason::Drained, cx),
            State::Idle { .. } => self.close(CloseReason::Idle, cx),
            State::Reading(partial) => {
                let info = partial.info(cx.record);
                self.enter(State::between(cx.now));
                cx.scratch.output.push(Answer::code(Code::BadRequest, info));
                self.send_answers(cx);
            }
            State::Sending(sending) => {
                if sending.resume(cx.now) {
                    self.send_on(cx);
                    self.end_if_due(cx);
                } else if !sending.has_progressed(cx.now, cx.transport) {
                    self.close(CloseReason::Stalled, cx);
                }
            }
            // The disk may answer never. What it answers later is dropped.
            State::Waiting(_) => {
                if let State::Waiting(waiting) = self.enter(State::between(cx.now)) {
                    let mut answer = Answer::code(Code::InternalError, waiting.info);
                    answer.last = Some(CloseReason::DiskTimeout);
                    self.answer_at_last(answer, cx);
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

    /// A connection between two requests ends now, another after its answer. One that has just been made has its first
    /// request on the way, and is answered.
    fn drain<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        // Bytes may have come of which the poll has not reported yet.
        cx.transport.assume_readable();
        match self.state {
            State::Idle { next: NextRequest::First, .. } if self.received.is_empty() => {
                self.enter(State::Idle { since: cx.now, next: NextRequest::Final });
            }
            State::Idle { .. } | State::Reading(_) => {
                self.linger(CloseReason::Drained, cx);
                if self.phase() == Phase::Lingering && self.discard_input(CloseReason::Drained, cx) == 0 {
                    // Nothing is unread, so closing sends no reset.
                    self.close(CloseReason::Drained, cx);
                }
            }
            _ => {}
        }
    }

    /// Ends the connection: the answer that was being sent is reported as incomplete.
    fn close<T>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        if self.closed().is_none() {
            if let State::Sending(mut sending) = self.enter(State::Closed(reason)) {
                sending.output.abort(cx.events);
            }
            self.received = Box::default();
        }
    }

    /// Shuts the write side and discards what still comes, for a moment.
    fn linger<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        self.received = Box::default();
        if self.input_ended || cx.transport.shut_down_write().is_err() {
            self.close(reason, cx);
        } else {
            self.enter(State::Lingering { until: cx.now + LINGER, reason });
        }
    }

    /// The one place where the state changes. Returns the previous one.
    fn enter(&mut self, next: State) -> State {
        let (from, to) = (self.phase(), next.phase());
        debug_assert!(from.may_become(to), "{from:?} became {to:?}");
        std::mem::replace(&mut self.state, next)
    }
}

impl State {
    /// Between two requests.
    fn between(now: Instant) -> State {
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
    /// Whether a connection may go from this phase to that. An answer that is complete, or whose next bytes were found,
    /// passes through idle.
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
