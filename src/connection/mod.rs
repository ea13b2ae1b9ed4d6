//! One client, from accept to close: bytes and the time go in, bytes and [`Event`]s come out.
//!
//! A connection knows no poll, no configuration and no log. Its server asks what it waits for ([`Connection::events`],
//! [`Connection::deadline`]), calls the `handle_` that fits, and removes it once [`Connection::to_remove`] says why.
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
//! * What is received is read in pieces of [`INPUT`] bytes; a line that is not complete is kept as a [`RequestReader`],
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
mod context;
mod input;
mod output;
mod pace;
mod send_task;
mod sending;
mod slice;
mod stride;
mod tell;

use std::time::{Duration, Instant};

use crate::handle::Done;
use crate::wire::{Code, Encoding, RequestReader};

use answer::Answer;
use input::Asked;
use pace::Pace;
use sending::{Hold, Sending};

pub use context::{Context, Scratch, Settings, Sink, Task, Transport};
pub use send_task::{SendMemory, SendTask};
pub use tell::{Answered, CloseReason, Event, Phase, Refusal};

/// Bytes that are read at a time: room for the requests of a client that has many on their way, and what a client costs
/// that does not take its answers.
pub const INPUT: usize = 1024;

/// How long what a client still sends is thrown away after its last answer, so that a reset does not overtake it.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that was made just before a drain may take to ask for something.
pub const LAST_CALL: Duration = Duration::from_millis(500);

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// Bytes from the client: then [`Connection::handle_input`].
    pub read: bool,
    /// Room for bytes to the client: then [`Connection::handle_output`].
    pub write: bool,
    /// Nothing: requests were already received. Then [`Connection::handle_input`].
    pub run: bool,
}

/// One client.
pub struct Connection {
    encoding: Encoding,
    state: State,
    /// The client will send nothing more.
    input_ended: bool,
    /// Received, and not answered yet: only while an answer holds it up.
    unread: Box<[u8]>,
    /// How fast it may be sent to, once there is a limit.
    pace: Option<Box<Pace>>,
}

enum State {
    Idle {
        since: Instant,
        call: Call,
    },
    Reading(Box<Partial>),
    Waiting(Box<Waiting>),
    Sending(Box<Sending>),
    /// A thread has the answers.
    OnThread,
    Lingering {
        until: Instant,
        reason: CloseReason,
    },
    Closed(CloseReason),
}

/// Which request a connection between two of them waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// Its first.
    First,
    /// A further one.
    Next,
    /// Its first and only: the server drains.
    Last,
}

struct Waiting {
    asked: Asked,
    record: Record,
}

/// A request whose line is not complete. In memory of its own, for most connections have none.
struct Partial {
    reader: RequestReader,
    /// When its first byte came.
    since: Instant,
}

impl Partial {
    fn record(&self, wanted: bool) -> Record {
        Record { since: self.since, request: wanted.then(|| self.reader.line().into()) }
    }
}

/// What will be said of a request when it has been answered.
struct Record {
    since: Instant,
    request: Option<Box<[u8]>>,
}

impl Connection {
    /// A client of a listener with this encoding, which has said nothing yet.
    pub fn new(encoding: Encoding, now: Instant) -> Connection {
        Connection {
            encoding,
            state: State::Idle { since: now, call: Call::First },
            input_ended: false,
            unread: Box::default(),
            pace: None,
        }
    }

    /// A client that is not served: it is told `line`, and that is all.
    pub fn refused(line: &'static str, now: Instant) -> Connection {
        let mut connection = Connection::new(Encoding::Fragments, now);
        let mut answer = Answer::line(Code::InternalError, line, None);
        answer.last = Some(CloseReason::Refused);
        connection.state = State::Sending(Sending::of(answer, now));
        connection
    }

    /// What it waits for. Computed from the state at every call.
    pub fn events(&self) -> Events {
        match &self.state {
            State::Idle { .. } | State::Reading(_) if !self.unread.is_empty() || self.input_ended => {
                Events { run: true, ..Events::default() }
            }
            State::Idle { .. } | State::Reading(_) | State::Lingering { .. } => {
                Events { read: true, ..Events::default() }
            }
            State::Sending(sending) => Events { write: sending.hold == Hold::Client, ..Events::default() },
            State::Waiting(_) | State::OnThread => Events::default(),
            State::Closed(_) => Events::default(),
        }
    }

    /// When [`Connection::handle_deadline`] is to be called, unless something else happens first.
    pub fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match &self.state {
            State::Idle { since, call: Call::Last } => Some(*since + LAST_CALL),
            State::Idle { since, .. } => since.checked_add(settings.idle),
            State::Reading(partial) => partial.since.checked_add(settings.request),
            State::Sending(sending) => sending.deadline(settings),
            State::Lingering { until, .. } => Some(*until),
            State::Waiting(_) | State::OnThread | State::Closed(_) => None,
        }
    }

    /// Why it is to be removed, once it is.
    pub fn to_remove(&self) -> Option<CloseReason> {
        match self.state {
            State::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Idle { .. } => Phase::Idle,
            State::Reading(_) => Phase::Reading,
            State::Waiting(_) => Phase::Waiting,
            State::Sending(_) | State::OnThread => Phase::Sending,
            State::Lingering { .. } => Phase::Lingering,
            State::Closed(_) => Phase::Closed,
        }
    }

    /// The client may have sent something, or what it sent earlier can be looked at now.
    pub fn handle_input<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        match self.state {
            State::Idle { .. } | State::Reading(_) => self.read_requests(cx),
            State::Lingering { reason, .. } => {
                self.throw_away(reason, cx);
            }
            State::Waiting(_) | State::Sending(_) | State::OnThread | State::Closed(_) => {}
        }
    }

    /// The client may take something.
    pub fn handle_output<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        self.send_on(cx);
        self.end_if_due(cx);
    }

    /// A thread has done [`Task::LookUp`]; `None` if the system gave no thread for it.
    pub fn handle_found<T: Transport>(&mut self, done: Option<Done>, cx: &mut Context<'_, T>) {
        match std::mem::replace(&mut self.state, State::Idle { since: cx.now, call: Call::Next }) {
            State::Waiting(waiting) => {
                let Waiting { asked, record } = *waiting;
                let mut answer = match done {
                    Some(done) => self.answer_found(asked, done, record, cx),
                    None => input::refused(Code::InternalError, record),
                };
                answer.rest = self.unread.len();
                cx.scratch.output.push(answer);
                self.send_answers(cx);
                self.end_if_due(cx);
            }
            state => self.state = state,
        }
    }

    /// A thread gives back the answers of [`Task::Send`]. One that was not run had no thread.
    pub fn handle_sent<T: Transport>(&mut self, mut task: SendTask, cx: &mut Context<'_, T>) {
        cx.events.append(&mut task.events);
        if matches!(self.state, State::OnThread) {
            self.take_back(task, cx);
            self.end_if_due(cx);
        } else {
            task.output.break_off(cx.events);
        }
    }

    /// [`Connection::deadline`] has come.
    pub fn handle_deadline<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        match &mut self.state {
            State::Idle { call: Call::Last, .. } => self.linger(CloseReason::Drained, cx),
            State::Idle { .. } => self.close(CloseReason::Idle, cx),
            State::Reading(partial) => {
                let record = partial.record(cx.record);
                self.state = State::Idle { since: cx.now, call: Call::Next };
                cx.scratch.output.push(input::refused(Code::BadRequest, record));
                self.send_answers(cx);
            }
            State::Sending(sending) => {
                if sending.resume(cx.now) {
                    self.send_on(cx);
                    self.end_if_due(cx);
                } else if !sending.took_something(cx.now, cx.transport) {
                    self.close(CloseReason::Stalled, cx);
                }
            }
            State::Lingering { reason, .. } => {
                let reason = *reason;
                self.close(reason, cx);
            }
            State::Waiting(_) | State::OnThread | State::Closed(_) => {}
        }
    }

    /// The server begins to drain: a connection between two requests ends now, another after its answer. One that has
    /// just been made has its first request on the way, and is answered.
    pub fn handle_drain<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if let State::Idle { call: call @ Call::First, since } = &mut self.state
            && self.unread.is_empty()
        {
            (*call, *since) = (Call::Last, cx.now);
        } else if matches!(self.state, State::Idle { .. } | State::Reading(_)) {
            self.linger(CloseReason::Drained, cx);
            if self.phase() == Phase::Lingering && self.throw_away(CloseReason::Drained, cx) == 0 {
                // Nothing is unread, so closing sends no reset.
                self.close(CloseReason::Drained, cx);
            }
        }
    }

    /// The server gives it up.
    pub fn handle_abort<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        self.close(reason, cx);
    }

    /// Nobody is there any more: the socket says so, whatever the connection waits for.
    pub fn handle_reset<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        let reason = match self.state {
            State::Lingering { reason, .. } => reason,
            _ => CloseReason::Reset,
        };
        self.close(reason, cx);
    }

    /// The one place where a connection ends: an answer that was under way is told as broken off.
    fn close<T>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        match std::mem::replace(&mut self.state, State::Closed(reason)) {
            State::Closed(first) => self.state = State::Closed(first),
            State::Sending(mut sending) => sending.output.break_off(cx.events),
            _ => {}
        }
        self.unread = Box::default();
    }

    /// Shuts the write side and throws away what still comes, for a moment.
    fn linger<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        self.unread = Box::default();
        if self.input_ended || cx.transport.shut_down_write().is_err() {
            self.close(reason, cx);
        } else {
            self.state = State::Lingering { until: cx.now + LINGER, reason };
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
