//! One client, from accept to close: bytes and the time go in, bytes and [`Event`]s come out.
//!
//! A connection knows no poll, no configuration and no log. Its server asks what it waits for ([`Connection::events`],
//! [`Connection::deadline`]), calls the `handle_` that fits, and removes it once [`Connection::to_remove`] says why.
//!
//! ```text
//!            first byte              line ends; small answers are sent at once
//!  Idle ───────────────▶ Reading ─────────────────────────────────────────────▶ Idle
//!                           │  needs the disk              │ more than the client takes now
//!                           ▼                              ▼
//!                        Waiting ──────────────────────▶ Sending ────▶ Idle, Lingering or Closed
//! ```
//!
//! * What is received is read in pieces of [`INPUT`] bytes; a line that is not complete is kept as a [`RequestReader`],
//!   whose size does not depend on the line's.
//! * While an answer is being sent nothing is read: a client that does not take its answers is not listened to.
//! * Answers are gathered in one buffer, [`Scratch::out`], which belongs to the event loop; a connection keeps of it
//!   only what the client did not take.
//! * An answer whose bytes cannot be had (a file that became shorter, a disk that fails) ends the connection without
//!   completing the answer.

mod body;
mod buffer;
mod context;
mod input;
mod output;
mod pace;
mod sending;
mod stride;
mod tell;

use std::time::{Duration, Instant};

use crate::handle::{Done, Fault};
use crate::wire::{Code, Encoding, RequestReader};

use input::Asked;
use pace::Pace;
use sending::Sending;

pub use buffer::Buffer;
pub use context::{Context, Scratch, Settings, Transport};
pub use tell::{Answered, CloseReason, Event, Phase, Refusal};

/// Bytes that are read at a time.
pub const INPUT: usize = 16 * 1024;

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
    /// Received, and not parsed yet: only while an answer holds it up.
    unread: Box<[u8]>,
    /// Made, and not sent yet.
    pending: Buffer,
    /// How fast it may be sent to, once there is a limit.
    pace: Option<Box<Pace>>,
}

enum State {
    Idle { since: Instant, call: Call },
    Reading { reader: Box<RequestReader>, since: Instant },
    Waiting(Box<Waiting>),
    Sending(Box<Sending>),
    Lingering { until: Instant, reason: CloseReason },
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
            pending: Buffer::default(),
            pace: None,
        }
    }

    /// A client that is not served: it is told `line`, and that is all.
    pub fn refused(line: &'static str, now: Instant) -> Connection {
        let mut connection = Connection::new(Encoding::Fragments, now);
        connection.pending.append(line.as_bytes());
        connection.state = State::Sending(Sending::farewell(CloseReason::Refused, now));
        connection
    }

    /// What it waits for. Computed from the state at every call.
    pub fn events(&self) -> Events {
        match &self.state {
            State::Idle { .. } | State::Reading { .. } if !self.unread.is_empty() || self.input_ended => {
                Events { run: true, ..Events::default() }
            }
            State::Idle { .. } | State::Reading { .. } | State::Lingering { .. } => {
                Events { read: true, ..Events::default() }
            }
            State::Sending(sending) => Events { write: sending.wants_to_write(), ..Events::default() },
            // Answers to earlier requests go out meanwhile; where a rate holds them back, with those that follow.
            State::Waiting(_) => Events { write: !self.pending.is_empty() && self.pace.is_none(), ..Events::default() },
            State::Closed(_) => Events::default(),
        }
    }

    /// When [`Connection::handle_deadline`] is to be called, unless something else happens first.
    pub fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match &self.state {
            State::Idle { since, call: Call::Last } => Some(*since + LAST_CALL),
            State::Idle { since, .. } => since.checked_add(settings.idle),
            State::Reading { since, .. } => since.checked_add(settings.request),
            State::Sending(sending) => sending.deadline(settings),
            State::Lingering { until, .. } => Some(*until),
            State::Waiting(_) | State::Closed(_) => None,
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
            State::Reading { .. } => Phase::Reading,
            State::Waiting(_) => Phase::Waiting,
            State::Sending(_) => Phase::Sending,
            State::Lingering { .. } => Phase::Lingering,
            State::Closed(_) => Phase::Closed,
        }
    }

    /// The client may have sent something, or what it sent earlier can be looked at now.
    pub fn handle_input<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        self.borrow_buffer(cx.scratch);
        match self.state {
            State::Idle { .. } | State::Reading { .. } => self.read_requests(cx),
            State::Lingering { reason, .. } => {
                self.throw_away(reason, cx);
            }
            State::Waiting(_) | State::Sending(_) | State::Closed(_) => {}
        }
        self.return_buffer(cx.scratch);
    }

    /// The client may take something.
    pub fn handle_output<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        self.borrow_buffer(cx.scratch);
        self.settle(cx);
        self.return_buffer(cx.scratch);
    }

    /// A thread has the answer to [`Context::job`].
    pub fn handle_disk<T: Transport>(&mut self, done: Done, cx: &mut Context<'_, T>) {
        self.borrow_buffer(cx.scratch);
        match std::mem::replace(&mut self.state, State::Closed(CloseReason::Client)) {
            State::Waiting(waiting) => {
                let Waiting { asked, record } = *waiting;
                self.state = State::Idle { since: cx.now, call: Call::Next };
                self.answer_from_disk(asked, done, record, cx);
                self.settle(cx);
            }
            State::Sending(mut sending) => {
                if let Done::Read(Err(errno)) = &done {
                    cx.events.push(Event::Fault { name: None, fault: Fault::Unreadable(*errno) });
                }
                let taken = sending.take_fetched(done, cx.now);
                self.state = State::Sending(sending);
                match taken {
                    Ok(()) => self.send(cx),
                    Err(reason) => self.break_off(reason, cx),
                }
            }
            state => self.state = state,
        }
        self.return_buffer(cx.scratch);
    }

    /// Nobody can answer [`Context::job`]: the system gives no thread for it.
    pub fn handle_no_disk<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        self.borrow_buffer(cx.scratch);
        match std::mem::replace(&mut self.state, State::Closed(CloseReason::Client)) {
            State::Waiting(waiting) => {
                self.state = State::Idle { since: cx.now, call: Call::Next };
                self.refuse(Code::InternalError, waiting.record, cx);
                self.settle(cx);
            }
            state => {
                self.state = state;
                self.close(CloseReason::ReadFailed, cx);
            }
        }
        self.return_buffer(cx.scratch);
    }

    /// [`Connection::deadline`] has come.
    pub fn handle_deadline<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        self.borrow_buffer(cx.scratch);
        match &mut self.state {
            State::Idle { call: Call::Last, .. } => self.linger(CloseReason::Drained, cx),
            State::Idle { .. } => self.close(CloseReason::Idle, cx),
            State::Reading { reader, since } => {
                let record = Record { since: *since, request: cx.record.then(|| reader.line().into()) };
                self.refuse(Code::BadRequest, record, cx);
                self.settle(cx);
            }
            State::Sending(sending) => {
                if sending.resume(cx.now) {
                    self.send(cx);
                } else if !sending.took_something(cx.now, cx.transport) {
                    self.close(CloseReason::Stalled, cx);
                }
            }
            State::Lingering { reason, .. } => {
                let reason = *reason;
                self.close(reason, cx);
            }
            State::Waiting(_) | State::Closed(_) => {}
        }
        self.return_buffer(cx.scratch);
    }

    /// The server begins to drain: a connection between two requests ends now, another after its answer. One that has
    /// just been made has its first request on the way, and is answered.
    pub fn handle_drain<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if let State::Idle { call: call @ Call::First, since } = &mut self.state
            && self.unread.is_empty()
        {
            (*call, *since) = (Call::Last, cx.now);
        } else if matches!(self.state, State::Idle { .. } | State::Reading { .. }) {
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
    fn close<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) {
        match std::mem::replace(&mut self.state, State::Closed(reason)) {
            State::Closed(first) => self.state = State::Closed(first),
            State::Sending(sending) => {
                sending.broken_off(self.pending.len() as u64, cx);
            }
            _ => {}
        }
        self.unread = Box::default();
        self.pending.clear();
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

    /// Answers are gathered in the event loop's large buffer, so that a connection owns one only when it must.
    fn borrow_buffer(&mut self, scratch: &mut Scratch) {
        if self.pending.is_empty() {
            std::mem::swap(&mut self.pending, &mut scratch.out);
        }
    }

    fn return_buffer(&mut self, scratch: &mut Scratch) {
        let left = self.pending.split_off();
        let large = std::mem::replace(&mut self.pending, left);
        if large.capacity() > scratch.out.capacity() {
            scratch.out = large;
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
