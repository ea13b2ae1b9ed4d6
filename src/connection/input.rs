//! From bytes to requests, and from a request to the beginning of its answer.

use std::io::ErrorKind;
use std::sync::Arc;

use super::answer::{Answer, Body, Head};
use super::output::FULL;
use super::slice::Slice;
use super::{Call, CloseReason, Connection, Context, Event, Partial, Record, State, Task, Transport, Waiting};
use crate::handle::{Answer as Look, Done, Fault, Found, Job, Listing, Purpose};
use crate::wire::{Code, Request, RequestReader};

/// What a request costs of a round's budget, beside the bytes of its answer.
const REQUEST_COST: usize = 512;

/// A request whose file or directory has to be looked up.
#[derive(Debug)]
pub(super) enum Asked {
    Listing,
    Metadata { name: Box<[u8]> },
    Slice { name: Box<[u8]>, offset: u64, size: u64, raw: bool },
}

impl Connection {
    /// Takes what the client has sent, for [`Connection::handle_input`] to look at. A server that does so for several
    /// clients before it answers one of them looks at a file once for all that ask for it.
    pub fn receive<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if self.takes_requests(cx)
            && self.unread.is_empty()
            && !self.input_ended
            && let Some(count) = self.read(cx)
        {
            self.unread = cx.scratch.input[..count].into();
        }
    }

    /// Reads and answers requests until the client has to be waited for, in one direction or the other.
    pub(super) fn read_requests<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        while self.takes_requests(cx) && cx.budget > 0 {
            if !self.unread.is_empty() {
                let unread = std::mem::take(&mut self.unread);
                self.answer_requests(&unread, cx);
                continue;
            }
            if self.input_ended {
                break;
            }
            let Some(count) = self.read(cx) else { break };
            let input = std::mem::take(&mut cx.scratch.input);
            self.answer_requests(&input[..count], cx);
            cx.scratch.input = input;
        }
        self.end_if_due(cx);
    }

    /// Reads once: the number of bytes, if there are any.
    fn read<T: Transport>(&mut self, cx: &mut Context<'_, T>) -> Option<usize> {
        loop {
            match cx.transport.read(&mut cx.scratch.input) {
                Ok(0) => self.input_ended = true,
                Ok(count) => {
                    cx.files.expect_change();
                    return Some(count);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock => {}
                    _ => self.close(CloseReason::Reset, cx),
                },
            }
            return None;
        }
    }

    /// Reads what the client sends after its last answer and forgets it. Returns how many bytes came.
    pub(super) fn throw_away<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) -> usize {
        let mut thrown_away = 0;
        while cx.budget > 0 {
            match cx.transport.read(&mut cx.scratch.input) {
                Ok(0) => {
                    self.close(reason, cx);
                    break;
                }
                Ok(count) => {
                    thrown_away += count;
                    cx.spend(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() != ErrorKind::WouldBlock {
                        self.close(reason, cx);
                    }
                    break;
                }
            }
        }
        thrown_away
    }

    fn takes_requests<T>(&self, cx: &Context<'_, T>) -> bool {
        match self.state {
            State::Idle { call: Call::Last, .. } => true,
            State::Idle { .. } | State::Reading(_) => !cx.draining,
            _ => false,
        }
    }

    /// Answers the requests in `input`, a buffer full at a time. Keeps what is to be looked at later: the requests that were
    /// not answered, and those whose answers the client did not take a byte of.
    fn answer_requests<T: Transport>(&mut self, input: &[u8], cx: &mut Context<'_, T>) {
        let mut at = 0;
        loop {
            let limit = self.allowance(cx).unwrap_or(0).clamp(1, FULL);
            while at < input.len() && self.takes_requests(cx) && cx.budget > 0 && !cx.scratch.output.is_full(limit) {
                at += self.parse_line(&input[at..], cx);
            }
            if cx.scratch.output.is_empty() {
                break;
            }
            if let Some(rest) = self.send_answers(cx) {
                at = input.len() - rest;
                break;
            }
        }
        if !matches!(self.state, State::Lingering { .. } | State::Closed(_)) {
            self.unread = input[at..].into();
        }
    }

    /// Takes one line, or the beginning of one. Returns how many bytes it took.
    fn parse_line<T>(&mut self, input: &[u8], cx: &mut Context<'_, T>) -> usize {
        let mut partial = match std::mem::replace(&mut self.state, State::Idle { since: cx.now, call: Call::Next }) {
            State::Reading(partial) => partial,
            _ => {
                let (names, limit) = (cx.settings.names, cx.settings.request_line);
                let fresh = || Box::new(Partial { reader: RequestReader::new(names, limit), since: cx.now });
                let mut partial = cx.scratch.partial.take().unwrap_or_else(fresh);
                partial.reader.restart(names, limit);
                partial.since = cx.now;
                partial
            }
        };
        let (taken, ended) = partial.reader.read(input);
        if ended {
            let record = partial.record(cx.record);
            if let Some(mut answer) = self.answer(partial.reader.request(), record, cx) {
                answer.rest = input.len() - taken;
                cx.scratch.output.push(answer);
            }
            cx.scratch.partial = Some(partial);
        } else {
            self.state = State::Reading(partial);
        }
        cx.spend(taken);
        taken
    }

    /// The answer to a request; none if a thread has to look something up first.
    fn answer<T>(
        &mut self,
        request: Result<Request<'_>, Code>,
        record: Record,
        cx: &mut Context<'_, T>,
    ) -> Option<Answer> {
        cx.spend(REQUEST_COST);
        let answered = match request {
            Err(code) => refused(code, record),
            Ok(Request::Help) => Answer::new(Code::Ok, Head::Help, Body::Nothing, Some(record)),
            Ok(Request::Quit) => {
                let mut answered = Answer::line(Code::Ok, Code::Ok.line(), Some(record));
                answered.last = Some(CloseReason::Quit);
                answered
            }
            Ok(Request::GetFileListing) => match cx.files.list() {
                Look::Now(listing) => listed(listing, record, cx.events),
                Look::Later(job) => return self.wait(Asked::Listing, job, record, cx),
            },
            Ok(Request::GetMetadata { name }) => match cx.files.find(name, Purpose::Size) {
                Look::Now(found) => metadata(name, found.as_ref(), record, cx.events),
                Look::Later(job) => return self.wait(Asked::Metadata { name: name.into() }, job, record, cx),
            },
            Ok(Request::GetSlice { name, offset, size, raw }) => match cx.files.find(name, Purpose::Read) {
                Look::Now(found) => self.slice(SliceOf { name, offset, size, raw }, found.as_ref(), record, cx),
                Look::Later(job) => {
                    return self.wait(Asked::Slice { name: name.into(), offset, size, raw }, job, record, cx);
                }
            },
        };
        Some(answered)
    }

    fn wait<T>(&mut self, asked: Asked, job: Job, record: Record, cx: &mut Context<'_, T>) -> Option<Answer> {
        cx.task = Some(Task::LookUp(job));
        self.state = State::Waiting(Box::new(Waiting { asked, record }));
        None
    }

    /// The answer to what a thread has looked up.
    pub(super) fn answer_found<T>(
        &mut self,
        asked: Asked,
        done: Done,
        record: Record,
        cx: &mut Context<'_, T>,
    ) -> Answer {
        match (asked, done) {
            (Asked::Listing, Done::Listed(listing, _)) => listed(listing, record, cx.events),
            (Asked::Metadata { name }, Done::Found(found, _)) => metadata(&name, found.as_ref(), record, cx.events),
            (Asked::Slice { name, offset, size, raw }, Done::Found(found, _)) => {
                self.slice(SliceOf { name: &name, offset, size, raw }, found.as_ref(), record, cx)
            }
            (asked, done) => unreachable!("{done:?} is no answer to {asked:?}"),
        }
    }

    fn slice<T>(
        &self,
        slice: SliceOf<'_>,
        found: Result<&Found, &Fault>,
        record: Record,
        cx: &mut Context<'_, T>,
    ) -> Answer {
        let SliceOf { name, offset, size, raw } = slice;
        let file = match found {
            Ok(found) if offset.checked_add(size).is_none_or(|end| end > found.size) => {
                return refused(Code::OffsetExceedsSize, record);
            }
            Ok(Found { file: Ok(file), .. }) => file.clone(),
            Ok(Found { file: Err(fault), .. }) | Err(fault) => return failed(Some(name), *fault, record, cx.events),
        };
        let body = Body::Slice(Slice::new(file, offset, size, (!raw).then_some(self.encoding), cx.now));
        Answer::new(Code::Ok, if raw { Head::Raw(size) } else { OK }, body, Some(record))
    }
}

/// The head of an answer whose body says all.
const OK: Head = Head::Line(Code::Ok.line());

fn listed(listing: Result<Arc<Listing>, Fault>, record: Record, events: &mut Vec<Event>) -> Answer {
    match listing {
        Ok(listing) => Answer::new(Code::Ok, OK, Body::Listing(listing), Some(record)),
        Err(fault) => failed(None, fault, record, events),
    }
}

fn metadata(name: &[u8], found: Result<&Found, &Fault>, record: Record, events: &mut Vec<Event>) -> Answer {
    match found {
        Ok(found) => Answer::new(Code::Ok, Head::Size(found.size), Body::Nothing, Some(record)),
        Err(&fault) => failed(Some(name), fault, record, events),
    }
}

fn failed(name: Option<&[u8]>, fault: Fault, record: Record, events: &mut Vec<Event>) -> Answer {
    if fault == Fault::NotFound {
        return refused(Code::FileNotFound, record);
    }
    events.push(Event::Fault { name: name.map(Box::from), fault });
    refused(Code::InternalError, record)
}

/// An answer that is a code alone; after a fatal one the connection ends.
pub(super) fn refused(code: Code, record: Record) -> Answer {
    let mut answer = Answer::line(code, code.line(), Some(record));
    answer.last = code.is_fatal().then_some(CloseReason::Fatal);
    answer
}

/// What `get_slice` asks for.
struct SliceOf<'a> {
    name: &'a [u8],
    offset: u64,
    size: u64,
    raw: bool,
}
