//! From bytes to requests, and from a request to the beginning of its answer.

use std::io::ErrorKind;
use std::sync::Arc;

use super::body::{Body, Form, Slice};
use super::{Call, CloseReason, Connection, Context, Event, Record, State, Transport, Waiting};
use crate::handle::{Answer, Done, Fault, Found, Job, Listing, Purpose};
use crate::wire::{Code, Encoding, Request, RequestReader, answer};

/// Made answers are sent once there are this many bytes of them, even if more requests were received.
const FULL: usize = 64 * 1024;

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
                self.parse(&unread, cx);
                continue;
            }
            if self.input_ended {
                break;
            }
            let Some(count) = self.read(cx) else { break };
            let input = std::mem::take(&mut cx.scratch.input);
            self.parse(&input[..count], cx);
            cx.scratch.input = input;
        }
        self.settle(cx);
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
            State::Idle { .. } | State::Reading { .. } => !cx.draining,
            _ => false,
        }
    }

    /// Answers the requests in `input`. What is left when an answer holds up the rest is kept.
    fn parse<T: Transport>(&mut self, input: &[u8], cx: &mut Context<'_, T>) {
        let mut at = 0;
        while at < input.len() {
            if self.pending.len() >= FULL {
                self.flush_answers(cx);
            }
            if !self.takes_requests(cx) || cx.budget == 0 {
                self.unread = input[at..].into();
                return;
            }
            at += self.parse_line(&input[at..], cx);
        }
    }

    /// Takes one line, or the beginning of one. Returns how many bytes it took.
    fn parse_line<T: Transport>(&mut self, input: &[u8], cx: &mut Context<'_, T>) -> usize {
        let (mut reader, since) =
            match std::mem::replace(&mut self.state, State::Idle { since: cx.now, call: Call::Next }) {
                State::Reading { reader, since } => (reader, since),
                _ => {
                    let (names, limit) = (cx.settings.names, cx.settings.request_line);
                    let mut reader =
                        cx.scratch.reader.take().unwrap_or_else(|| Box::new(RequestReader::new(names, limit)));
                    reader.restart(names, limit);
                    (reader, cx.now)
                }
            };
        let (taken, ended) = reader.read(input);
        if ended {
            let record = Record { since, request: cx.record.then(|| reader.line().into()) };
            self.answer(reader.request(), record, cx);
            cx.scratch.reader = Some(reader);
        } else {
            self.state = State::Reading { reader, since };
        }
        cx.spend(taken);
        taken
    }

    /// Begins the answer to a request; one that is small is complete in `pending` afterwards.
    fn answer<T: Transport>(&mut self, request: Result<Request<'_>, Code>, record: Record, cx: &mut Context<'_, T>) {
        cx.spend(REQUEST_COST);
        match request {
            Err(code) => self.refuse(code, record, cx),
            Ok(Request::Help) => {
                let before = self.pending.len();
                answer::help(&mut self.pending);
                self.tell_and_go_on(Code::Ok, self.pending.len() - before, record, cx);
            }
            Ok(Request::Quit) => {
                let line = Code::Ok.line().as_bytes();
                self.pending.append(line);
                self.finish_with(Code::Ok, CloseReason::Quit, line.len(), record, cx);
            }
            Ok(Request::GetFileListing) => match cx.files.list() {
                Answer::Now(listing) => self.answer_listing(listing, record, cx),
                Answer::Later(job) => self.wait(Asked::Listing, job, record, cx),
            },
            Ok(Request::GetMetadata { name }) => match cx.files.find(name, Purpose::Size) {
                Answer::Now(found) => self.answer_metadata(name, found.as_ref(), record, cx),
                Answer::Later(job) => self.wait(Asked::Metadata { name: name.into() }, job, record, cx),
            },
            Ok(Request::GetSlice { name, offset, size, raw }) => {
                let slice = SliceOf { name, offset, size, raw };
                match cx.files.find(name, Purpose::Read) {
                    Answer::Now(found) => self.answer_slice(slice, found.as_ref(), record, cx),
                    Answer::Later(job) => {
                        self.wait(Asked::Slice { name: name.into(), offset, size, raw }, job, record, cx);
                    }
                }
            }
        }
    }

    fn wait<T>(&mut self, asked: Asked, job: Job, record: Record, cx: &mut Context<'_, T>) {
        cx.job = Some(job);
        self.state = State::Waiting(Box::new(Waiting { asked, record }));
    }

    /// The answer to what was asked of a thread.
    pub(super) fn answer_from_disk<T: Transport>(
        &mut self,
        asked: Asked,
        done: Done,
        record: Record,
        cx: &mut Context<'_, T>,
    ) {
        match (asked, done) {
            (Asked::Listing, Done::Listed(listing, _)) => self.answer_listing(listing, record, cx),
            (Asked::Metadata { name }, Done::Found(found, _)) => {
                self.answer_metadata(&name, found.as_ref(), record, cx);
            }
            (Asked::Slice { name, offset, size, raw }, Done::Found(found, _)) => {
                self.answer_slice(SliceOf { name: &name, offset, size, raw }, found.as_ref(), record, cx);
            }
            (asked, done) => unreachable!("{done:?} is no answer to {asked:?}"),
        }
    }

    fn answer_listing<T: Transport>(
        &mut self,
        listing: Result<Arc<Listing>, Fault>,
        record: Record,
        cx: &mut Context<'_, T>,
    ) {
        match listing {
            Ok(listing) => {
                let before = self.pending.len();
                self.pending.append(Code::Ok.line().as_bytes());
                self.begin(before, Body::Listing { listing, at: 0 }, record, cx);
            }
            Err(fault) => self.answer_fault(None, fault, record, cx),
        }
    }

    fn answer_metadata<T: Transport>(
        &mut self,
        name: &[u8],
        found: Result<&Found, &Fault>,
        record: Record,
        cx: &mut Context<'_, T>,
    ) {
        match found {
            Ok(found) => {
                let before = self.pending.len();
                answer::metadata(&mut self.pending, found.size);
                self.tell_and_go_on(Code::Ok, self.pending.len() - before, record, cx);
            }
            Err(&fault) => self.answer_fault(Some(name), fault, record, cx),
        }
    }

    fn answer_slice<T: Transport>(
        &mut self,
        slice: SliceOf<'_>,
        found: Result<&Found, &Fault>,
        record: Record,
        cx: &mut Context<'_, T>,
    ) {
        let SliceOf { name, offset, size, raw } = slice;
        let file = match found {
            Ok(found) if offset.checked_add(size).is_none_or(|end| end > found.size) => {
                return self.refuse(Code::OffsetExceedsSize, record, cx);
            }
            Ok(Found { file: Ok(file), .. }) => file.clone(),
            Ok(Found { file: Err(fault), .. }) | Err(fault) => {
                return self.answer_fault(Some(name), *fault, record, cx);
            }
        };
        let before = self.pending.len();
        let form = if raw {
            answer::raw_head(&mut self.pending, size);
            Form::Raw
        } else {
            self.pending.append(Code::Ok.line().as_bytes());
            match self.encoding {
                Encoding::Fragments => Form::Fragments { left: None },
                Encoding::Plain => Form::Plain,
                Encoding::Base64 { line } => Form::Base64 { line: u64::from(line), left: None },
            }
        };
        self.begin(before, Body::Slice(Slice::new(file, offset, size, form)), record, cx);
    }

    fn answer_fault<T: Transport>(
        &mut self,
        name: Option<&[u8]>,
        fault: Fault,
        record: Record,
        cx: &mut Context<'_, T>,
    ) {
        if fault == Fault::NotFound {
            return self.refuse(Code::FileNotFound, record, cx);
        }
        cx.events.push(Event::Fault { name: name.map(Box::from), fault });
        self.refuse(Code::InternalError, record, cx);
    }

    /// Answers with a code alone; after a fatal one the connection ends.
    pub(super) fn refuse<T: Transport>(&mut self, code: Code, record: Record, cx: &mut Context<'_, T>) {
        let line = code.line().as_bytes();
        self.pending.append(line);
        if code.is_fatal() {
            self.finish_with(code, CloseReason::Fatal, line.len(), record, cx);
        } else {
            self.tell_and_go_on(code, line.len(), record, cx);
        }
    }
}

/// What `get_slice` asks for.
struct SliceOf<'a> {
    name: &'a [u8],
    offset: u64,
    size: u64,
    raw: bool,
}
