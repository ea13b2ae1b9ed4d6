//! An answer on its way, and what it waits for.

use std::time::Instant;

use super::body::Body;
use super::stride::Stride;
use super::{Answered, CloseReason, Context, Event, Record, Settings, Transport};
use crate::handle::Done;
use crate::wire::{Code, RequestReader};

/// An answer on its way.
pub(super) struct Sending {
    pub(super) code: Code,
    pub(super) body: Body,
    pub(super) after: After,
    /// None once it was told: the answer is complete, and only its last bytes wait for the client.
    pub(super) record: Option<Record>,
    /// Bytes of this answer that were made.
    pub(super) made: u64,
    /// How much is made at a time, as fast as the client takes it.
    pub(super) stride: Stride,
    /// When the client last took something, as far as that was seen.
    pub(super) moved: Instant,
    /// Bytes that the kernel still had to send when the client was last seen to take nothing.
    pub(super) unsent: usize,
    pub(super) hold: Hold,
}

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// The client.
    Client,
    /// Its rate: nothing is sent before this.
    Rate(Instant),
    /// A thread that reads this many bytes.
    Disk(usize),
}

/// What becomes of a connection after an answer.
pub(super) enum After {
    /// The next request.
    Next,
    /// The rest of a request whose beginning was there already.
    Resume { reader: Box<RequestReader>, since: Instant },
    /// The end.
    Close(CloseReason),
}

/// What became of an attempt to send.
pub(super) enum Sent {
    All,
    Held(Hold),
    Ended(CloseReason),
}

impl Sending {
    pub(super) fn new(code: Code, body: Body, after: After, record: Option<Record>, now: Instant) -> Box<Sending> {
        let sending = Sending {
            code,
            body,
            after,
            record,
            made: 0,
            stride: Stride::new(now),
            moved: now,
            unsent: 0,
            hold: Hold::Client,
        };
        Box::new(sending)
    }

    /// What is pending is the last that is sent.
    pub(super) fn farewell(reason: CloseReason, now: Instant) -> Box<Sending> {
        Sending::new(Code::InternalError, Body::Nothing, After::Close(reason), None, now)
    }

    pub(super) fn wants_to_write(&self) -> bool {
        self.hold == Hold::Client
    }

    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match self.hold {
            Hold::Client => self.moved.checked_add(settings.stall),
            Hold::Rate(until) => Some(until),
            Hold::Disk(_) => None,
        }
    }

    /// What it waits for now.
    pub(super) fn held(&mut self, hold: Hold, now: Instant, transport: &impl Transport) -> Sent {
        if hold == Hold::Client {
            self.took_something(now, transport);
            self.unsent = transport.unsent();
        }
        Sent::Held(hold)
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

    /// Tells of an answer that was not completed, of which `unsent` bytes were made for nothing.
    pub(super) fn broken_off<T>(self, unsent: u64, cx: &mut Context<'_, T>) {
        if let Some(record) = self.record {
            tell(self.code, self.made.saturating_sub(unsent), false, record, cx);
        }
    }

    /// Goes on, if it was its own rate that it waited for.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        let resumed = matches!(self.hold, Hold::Rate(_));
        if resumed {
            (self.hold, self.moved) = (Hold::Client, now);
        }
        resumed
    }

    /// What the thread has read; why the connection ends if it could not.
    pub(super) fn take_fetched(&mut self, done: Done, now: Instant) -> Result<(), CloseReason> {
        let (Done::Read(read), Hold::Disk(asked)) = (done, self.hold) else {
            return Ok(());
        };
        (self.hold, self.moved) = (Hold::Client, now);
        match read {
            Ok(bytes) => self.body.take_fetched(bytes, asked).then_some(()).ok_or(CloseReason::FileShrank),
            Err(_) => Err(CloseReason::ReadFailed),
        }
    }
}

/// Has the server told of an answer of `bytes` bytes.
pub(super) fn tell<T>(code: Code, bytes: u64, complete: bool, record: Record, cx: &mut Context<'_, T>) {
    let Record { since, request } = record;
    cx.events.push(Event::Answered(Answered { code, bytes, since, complete, request }));
}
