//! From bytes to requests, and from a request to the beginning of its answer.

use std::io::ErrorKind;
use std::sync::Arc;

use super::answer::{Answer, Body, Head};
use super::context::{Context, Task};
use super::output::FULL;
use super::request::{Partial, PendingRequest, RequestInfo, Waiting};
use super::slice::Slice;
use super::tell::{CloseReason, Event};
use super::transport::Transport;
use super::{Connection, NextRequest, State};
use crate::handle::{Fault, FoundFile, Job, JobResult, Listing, Lookup, Purpose};
use crate::wire::{Code, Encoding, Request, RequestReader, SliceRequest};

/// What a request costs of a round's budget, in addition to the bytes of its answer.
const REQUEST_COST: usize = 512;

impl Connection {
    /// Takes what the client has sent, for [`Connection::drive`] to answer. A server that does so for several
    /// clients before it answers one of them looks at a file once for all that ask for it.
    pub fn receive<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if self.takes_requests(cx)
            && self.received.is_empty()
            && !self.input_ended
            && let Some(count) = self.read(cx)
        {
            self.received = cx.scratch.input[..count].into();
        }
    }

    /// Reads and answers requests until the client has to be waited for, in one direction or the other.
    pub(super) fn read_requests<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        while self.takes_requests(cx) && cx.budget > 0 {
            if !self.received.is_empty() {
                let unread = std::mem::take(&mut self.received);
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
                    cx.files.begin_epoch();
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
    pub(super) fn discard_input<T: Transport>(&mut self, reason: CloseReason, cx: &mut Context<'_, T>) -> usize {
        let mut discarded = 0;
        while cx.budget > 0 {
            match cx.transport.read(&mut cx.scratch.input) {
                Ok(0) => {
                    self.close(reason, cx);
                    break;
                }
                Ok(count) => {
                    discarded += count;
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
        discarded
    }

    fn takes_requests<T>(&self, cx: &Context<'_, T>) -> bool {
        match self.state {
            State::Idle { next: NextRequest::Final, .. } => true,
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
            self.received = input[at..].into();
        }
    }

    /// Takes one line, or the beginning of one. Returns how many bytes it took.
    fn parse_line<T>(&mut self, input: &[u8], cx: &mut Context<'_, T>) -> usize {
        let mut partial = match self.enter(State::between(cx.now)) {
            State::Reading(partial) => partial,
            _ => {
                let (names, limit) = (cx.settings.names, cx.settings.request_line);
                let fresh = || Box::new(Partial { reader: RequestReader::new(names, limit), since: cx.now });
                let mut partial = cx.scratch.partial.take().unwrap_or_else(fresh);
                partial.reader.reset(names, limit);
                partial.since = cx.now;
                partial
            }
        };
        let (taken, ended) = partial.reader.read(input);
        if ended {
            let info = partial.info(cx.record);
            if let Some(mut answer) = self.answer(partial.reader.request(), info, cx) {
                answer.rest = input.len() - taken;
                cx.scratch.output.push(answer);
            }
            cx.scratch.partial = Some(partial);
        } else {
            self.enter(State::Reading(partial));
        }
        cx.spend(taken);
        taken
    }

    /// The answer to a request; none if a thread has to look something up first.
    fn answer<T>(
        &mut self,
        request: Result<Request<'_>, Code>,
        info: RequestInfo,
        cx: &mut Context<'_, T>,
    ) -> Option<Answer> {
        cx.spend(REQUEST_COST);
        let answered = match request {
            Err(code) => Answer::code(code, info),
            Ok(Request::Help) => Answer::new(Code::Ok, Head::Help, Body::Nothing, Some(info)),
            Ok(Request::Quit) => {
                let mut answered = Answer::line(Code::Ok, Code::Ok.line(), Some(info));
                answered.last = Some(CloseReason::Quit);
                answered
            }
            Ok(Request::GetFileListing) => match cx.files.list() {
                Lookup::Ready(listing) => listed(listing, info, cx.events),
                Lookup::Pending(job) => return self.look_up(PendingRequest::Listing, job, info, cx),
            },
            Ok(Request::GetMetadata { name }) => match cx.files.find(name, Purpose::Size) {
                Lookup::Ready(found) => metadata(name, found.as_ref(), info, cx.events),
                Lookup::Pending(job) => {
                    return self.look_up(PendingRequest::Metadata { name: name.into() }, job, info, cx);
                }
            },
            Ok(Request::GetSlice { name, slice }) => match cx.files.find(name, Purpose::Read) {
                Lookup::Ready(found) => self.slice(name, slice, found.as_ref(), info, cx),
                Lookup::Pending(job) => {
                    return self.look_up(PendingRequest::Slice { name: name.into(), slice }, job, info, cx);
                }
            },
        };
        Some(answered)
    }

    fn look_up<T>(
        &mut self,
        pending: PendingRequest,
        job: Job,
        info: RequestInfo,
        cx: &mut Context<'_, T>,
    ) -> Option<Answer> {
        cx.task = Some(Task::LookUp(job));
        self.enter(State::Waiting(Box::new(Waiting { pending, info, since: cx.now })));
        None
    }

    /// The answer to what a thread has looked up.
    pub(super) fn answer_found<T>(
        &mut self,
        pending: PendingRequest,
        done: JobResult,
        info: RequestInfo,
        cx: &mut Context<'_, T>,
    ) -> Answer {
        match (pending, done) {
            (PendingRequest::Listing, JobResult::Listed(listing, _)) => listed(listing, info, cx.events),
            (PendingRequest::Metadata { name }, JobResult::Found(found, _)) => {
                metadata(&name, found.as_ref(), info, cx.events)
            }
            (PendingRequest::Slice { name, slice }, JobResult::Found(found, _)) => {
                self.slice(&name, slice, found.as_ref(), info, cx)
            }
            (pending, done) => unreachable!("{done:?} is no answer to {pending:?}"),
        }
    }

    fn slice<T>(
        &self,
        name: &[u8],
        slice: SliceRequest,
        found: Result<&FoundFile, &Fault>,
        info: RequestInfo,
        cx: &mut Context<'_, T>,
    ) -> Answer {
        let SliceRequest { offset, size, raw } = slice;
        let file = match found {
            Ok(found) if offset.checked_add(size).is_none_or(|end| end > found.size) => {
                return Answer::code(Code::OffsetExceedsSize, info);
            }
            Ok(FoundFile { file: Ok(file), .. }) => file.clone(),
            Ok(FoundFile { file: Err(fault), .. }) | Err(fault) => return failed(Some(name), *fault, info, cx.events),
        };
        let framing = if raw { Encoding::Raw.into() } else { self.framing };
        let body = Body::Slice(Slice::new(file, offset, size, framing, cx.now));
        Answer::new(Code::Ok, if raw { Head::Raw(size) } else { OK }, body, Some(info))
    }
}

/// The head of an answer whose body says all.
const OK: Head = Head::Line(Code::Ok.line());

fn listed(listing: Result<Arc<Listing>, Fault>, info: RequestInfo, events: &mut Vec<Event>) -> Answer {
    match listing {
        Ok(listing) => Answer::new(Code::Ok, OK, Body::Listing(listing), Some(info)),
        Err(fault) => failed(None, fault, info, events),
    }
}

fn metadata(name: &[u8], found: Result<&FoundFile, &Fault>, info: RequestInfo, events: &mut Vec<Event>) -> Answer {
    match found {
        Ok(found) => Answer::new(Code::Ok, Head::Size(found.size), Body::Nothing, Some(info)),
        Err(&fault) => failed(Some(name), fault, info, events),
    }
}

fn failed(name: Option<&[u8]>, fault: Fault, info: RequestInfo, events: &mut Vec<Event>) -> Answer {
    if fault == Fault::NotFound {
        return Answer::code(Code::FileNotFound, info);
    }
    events.push(Event::Fault { name: name.map(Box::from), fault });
    Answer::code(Code::InternalError, info)
}
