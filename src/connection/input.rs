//! Reads and parses requests, and creates their answers.

use std::io::ErrorKind;
use std::sync::Arc;

use super::answer::{Answer, Body, Head};
use super::context::{Context, Task};
use super::events::{CloseReason, Event};
use super::output::BATCH_SIZE;
use super::request::{Partial, PendingRequest, RequestInfo, Waiting};
use super::slice::Slice;
use super::transport::Transport;
use super::{Connection, NextRequest, State};
use crate::handle::{Fault, FoundFile, Job, JobResult, Listing, Lookup, Purpose};
use crate::wire::{Code, Encoding, Request, RequestReader, SliceRequest};

/// The cost of a request in the budget of a round, in addition to its bytes and those of its answer.
const REQUEST_COST: usize = 512;

impl Connection {
    /// Reads once. [`Connection::drive`] answers the requests. A server that first receives from many clients checks each
    /// file only once for all of them.
    pub fn receive<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        if self.accepts_requests(cx)
            && self.received.is_empty()
            && !self.input_ended
            && let Some(count) = self.read(cx)
        {
            self.received = cx.scratch.input[..count].into();
        }
    }

    /// Reads and answers requests until the socket blocks or the state changes.
    pub(super) fn read_requests<T: Transport>(&mut self, cx: &mut Context<'_, T>) {
        while self.accepts_requests(cx) && cx.budget > 0 {
            if !self.received.is_empty() {
                let received = std::mem::take(&mut self.received);
                self.answer_requests(&received, cx);
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
        self.close_if_done(cx);
    }

    /// Reads once. Returns the number of bytes, or `None` at the end of the input, on an error or if there are none.
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

    /// Reads and discards input after the last answer. Returns the number of bytes.
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

    fn accepts_requests<T>(&self, cx: &Context<'_, T>) -> bool {
        match self.state {
            State::Idle { next: NextRequest::Final, .. } => true,
            State::Idle { .. } | State::Reading(_) => !cx.draining,
            _ => false,
        }
    }

    /// Answers the requests in `input`, in batches of [`BATCH_SIZE`]. Stores the requests that were not answered, and those
    /// of whose answers no byte was sent.
    fn answer_requests<T: Transport>(&mut self, input: &[u8], cx: &mut Context<'_, T>) {
        let mut at = 0;
        loop {
            let limit = self.allowance(cx).unwrap_or(0).clamp(1, BATCH_SIZE);
            while at < input.len() && self.accepts_requests(cx) && cx.budget > 0 && !cx.scratch.output.is_full(limit) {
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

    /// Parses one line, or the beginning of one. Returns the number of bytes consumed.
    fn parse_line<T>(&mut self, input: &[u8], cx: &mut Context<'_, T>) -> usize {
        let mut partial = match self.enter(State::between_requests(cx.now)) {
            State::Reading(partial) => partial,
            _ => {
                let (names, limit) = (cx.settings.names, cx.settings.request_line);
                let new = || Box::new(Partial { reader: RequestReader::new(names, limit), since: cx.now });
                let mut partial = cx.scratch.partial.take().unwrap_or_else(new);
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

    /// The answer to a request. `None` if a thread must look up the file or the listing first.
    fn answer<T>(
        &mut self,
        request: Result<Request<'_>, Code>,
        info: RequestInfo,
        cx: &mut Context<'_, T>,
    ) -> Option<Answer> {
        cx.spend(REQUEST_COST);
        let answer = match request {
            Err(code) => Answer::code(code, info),
            Ok(Request::Help) => Answer::new(Code::Ok, Head::Help, Body::Nothing, Some(info)),
            Ok(Request::Quit) => {
                let mut answer = Answer::line(Code::Ok, Code::Ok.line(), Some(info));
                answer.close_after = Some(CloseReason::Quit);
                answer
            }
            Ok(Request::GetFileListing) => match cx.files.list() {
                Lookup::Ready(listing) => listing_answer(listing, info, cx.events),
                Lookup::Pending(job) => return self.look_up(PendingRequest::Listing, job, info, cx),
            },
            Ok(Request::GetMetadata { name }) => match cx.files.find(name, Purpose::Size) {
                Lookup::Ready(found) => metadata_answer(name, found.as_ref(), info, cx.events),
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
        Some(answer)
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

    /// The answer to a request after its look-up.
    pub(super) fn answer_found<T>(
        &mut self,
        pending: PendingRequest,
        result: JobResult,
        info: RequestInfo,
        cx: &mut Context<'_, T>,
    ) -> Answer {
        match (pending, result) {
            (PendingRequest::Listing, JobResult::Listed(listing, _)) => listing_answer(listing, info, cx.events),
            (PendingRequest::Metadata { name }, JobResult::Found(found, _)) => {
                metadata_answer(&name, found.as_ref(), info, cx.events)
            }
            (PendingRequest::Slice { name, slice }, JobResult::Found(found, _)) => {
                self.slice(&name, slice, found.as_ref(), info, cx)
            }
            (pending, result) => unreachable!("{result:?} is not a result of {pending:?}"),
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
            Ok(FoundFile { file: Err(fault), .. }) | Err(fault) => {
                return error_answer(Some(name), *fault, info, cx.events);
            }
        };
        let framing = if raw { Encoding::Raw.into() } else { self.framing };
        let body = Body::Slice(Slice::new(file, offset, size, framing, cx.now));
        Answer::new(Code::Ok, if raw { Head::Raw(size) } else { OK }, body, Some(info))
    }
}

/// The head of answers with a body.
const OK: Head = Head::Line(Code::Ok.line());

fn listing_answer(listing: Result<Arc<Listing>, Fault>, info: RequestInfo, events: &mut Vec<Event>) -> Answer {
    match listing {
        Ok(listing) => Answer::new(Code::Ok, OK, Body::Listing(listing), Some(info)),
        Err(fault) => error_answer(None, fault, info, events),
    }
}

fn metadata_answer(
    name: &[u8],
    found: Result<&FoundFile, &Fault>,
    info: RequestInfo,
    events: &mut Vec<Event>,
) -> Answer {
    match found {
        Ok(found) => Answer::new(Code::Ok, Head::Size(found.size), Body::Nothing, Some(info)),
        Err(&fault) => error_answer(Some(name), fault, info, events),
    }
}

fn error_answer(name: Option<&[u8]>, fault: Fault, info: RequestInfo, events: &mut Vec<Event>) -> Answer {
    if fault == Fault::NotFound {
        return Answer::code(Code::FileNotFound, info);
    }
    events.push(Event::Fault { name: name.map(Box::from), fault });
    Answer::code(Code::InternalError, info)
}
