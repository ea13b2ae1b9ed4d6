//! Answers on their way to the client, in their order.
//!
//! An event loop and a thread that may wait for a disk send by the same code. An event loop makes and sends small answers
//! whose bytes it can read without waiting; what is large or may wait is a thread's ([`Sent::NeedsThread`]).

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Instant;

use rustix::io::Errno;

use super::answer::Answer;
use super::buffer::Buffer;
use super::slice::{COPIED, Encoded, Encoder};
use super::tell::{CloseReason, Event};
use super::transport::Sink;
use crate::handle::{Fault, ReadError, Wait};

/// Answers are made until there are this many bytes of them; then they are sent.
pub(super) const FULL: usize = 64 * 1024;

/// A client that takes what is made at once gets pieces of up to this size: what it does not take was made in vain.
const LARGEST: usize = 4 * FULL;

/// What a thread sends before others get their turn, and the most that the kernel is asked to send of a file at a time.
const TURN: usize = 2 * 1024 * 1024;

/// Answers that are not completely sent.
#[derive(Default)]
pub(super) struct Output {
    answers: VecDeque<Answer>,
    /// How many bytes they have, roughly.
    size: u64,
    /// Why the connection ends, once the answer after which it does was sent.
    pub(super) ended: Option<CloseReason>,
    /// What [`Answer::rest`] is of the last answer that was sent.
    rest: usize,
    /// Whether the kernel holds back what does not fill a segment.
    corked: bool,
}

/// Memory and means to make answers. Each thread that sends has its own.
pub(super) struct SendBuffers {
    pub(super) out: Buffer,
    pub(super) encoder: Encoder,
}

/// What became of an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything was sent.
    All,
    /// The client takes no more now.
    Blocked,
    /// As many bytes as were allowed were sent.
    Spent,
    /// The next bytes are for a thread to send.
    NeedsThread,
    /// Nothing more can be sent.
    Failed(CloseReason),
}

/// When the client was last seen to take bytes, and how many the kernel still had to send then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) at: Instant,
    pub(super) unsent: usize,
}

impl Output {
    pub(super) fn push(&mut self, answer: Answer) {
        self.size += answer.size();
        self.answers.push_back(answer);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Whether it is to be sent before more is answered.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.size >= limit as u64 || self.answers.back().is_some_and(|last| last.last.is_some() || last.is_large())
    }

    /// How many bytes of the input follow the request whose answer is being sent, or was sent last.
    pub(super) fn rest(&self) -> usize {
        self.answers.front().map_or(self.rest, |answer| answer.rest)
    }

    /// Takes out the answer that is being sent. Those after it are dropped, and are to be made again from the
    /// [rest](Output::rest) of the input; this is as good as new.
    pub(super) fn take_first(&mut self) -> Output {
        let answers: VecDeque<Answer> = self.answers.pop_front().into_iter().collect();
        let taken = Output { answers, corked: self.corked, ..Output::default() };
        self.reset();
        taken
    }

    /// The device that the answer that is being sent is read from.
    pub(super) fn device(&self) -> u64 {
        self.answers.front().map_or(0, Answer::device)
    }

    /// Whether all of it fits into a buffer.
    pub(super) fn is_small(&self) -> bool {
        !self.answers.iter().any(Answer::is_large)
    }

    /// Whether sending it may hang though others of its device can be read.
    pub(super) fn is_remote(&self) -> bool {
        self.answers.iter().any(Answer::is_remote)
    }

    /// Forgets everything, but keeps its memory.
    pub(super) fn reset(&mut self) {
        self.answers.clear();
        (self.size, self.ended, self.rest, self.corked) = (0, None, 0, false);
    }

    /// Sends up to `allowed` bytes, until about as many as make a turn were sent. Returns how many were. What happened is
    /// appended to `events`.
    pub(super) fn send<T: Sink>(
        &mut self,
        allowed: usize,
        buffers: &mut SendBuffers,
        sink: &mut T,
        events: &mut Vec<Event>,
    ) -> (usize, Sent) {
        let mut count = 0;
        while count < allowed.min(TURN) || self.is_empty() {
            let piece = count.clamp(FULL, LARGEST);
            let (sent, ended) = self.send_piece(allowed - count, piece, buffers, sink, events);
            count += sent;
            if let Some(ended) = ended {
                return (count, ended);
            }
        }
        (count, Sent::Spent)
    }

    /// Sends the next piece, of about `piece` bytes if it is made in memory. Returns how many bytes were sent, and why
    /// nothing can follow, if so.
    fn send_piece<T: Sink>(
        &mut self,
        allowed: usize,
        piece: usize,
        buffers: &mut SendBuffers,
        sink: &mut T,
        events: &mut Vec<Event>,
    ) -> (usize, Option<Sent>) {
        let in_thread = buffers.encoder.wait == Wait::Allowed;
        match self.answers.front() {
            None => {
                self.set_cork(false, sink);
                return (0, Some(Sent::All));
            }
            Some(first) if first.is_for_thread() && !in_thread => return (0, Some(Sent::NeedsThread)),
            // What a rate allows at a time does not wait for more.
            Some(first) if first.is_large() && allowed >= FULL => self.set_cork(true, sink),
            Some(_) => {}
        }
        if let Some((file, offset, length)) = self.answers.front().and_then(Answer::for_kernel) {
            let length = length.min(allowed.min(TURN) as u64) as usize;
            return match sink.send_file(file, offset, length) {
                Ok(0) => (0, Some(fail(ReadError::Truncated, events))),
                Ok(count) => {
                    self.sent_by_kernel(count as u64);
                    (count, None)
                }
                Err(error) if is_of_the_file(&error) => {
                    let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                    (0, Some(fail(ReadError::Failed(errno), events)))
                }
                Err(error) => (0, stopped(&error)),
            };
        }
        let (more, fault) = self.make(piece, allowed, buffers);
        let out = buffers.out.bytes();
        let out = &out[..out.len().min(allowed)];
        if out.is_empty() {
            return match fault {
                Some(ReadError::WouldBlock) | None => (0, Some(Sent::NeedsThread)),
                Some(fault) => (0, Some(fail(fault, events))),
            };
        }
        let (mut count, mut ended) = (0, None);
        while count < out.len() && ended.is_none() {
            match sink.write(&out[count..], more) {
                Ok(written) => count += written,
                Err(error) => ended = stopped(&error),
            }
        }
        self.advance(count as u64, events);
        (count, ended)
    }

    fn sent_by_kernel(&mut self, count: u64) {
        if let Some(first) = self.answers.front_mut() {
            first.sent_by_kernel(count, Instant::now());
        }
    }

    fn set_cork<T: Sink>(&mut self, corked: bool, sink: &mut T) {
        if self.corked != corked {
            sink.cork(corked);
            self.corked = corked;
        }
    }

    /// Makes what is to be written next: about `piece` bytes, and no more than can be sent if only `allowed` bytes may be.
    /// Returns whether something follows it at once, and why it is not more if bytes of a file could not be had.
    fn make(&self, piece: usize, allowed: usize, buffers: &mut SendBuffers) -> (bool, Option<ReadError>) {
        let SendBuffers { out, encoder } = buffers;
        out.clear();
        for answer in &self.answers {
            let before = out.len();
            if before >= piece.min(allowed) || (encoder.wait == Wait::Never && answer.is_for_thread()) {
                return (true, None);
            }
            // A small answer is not cut in two.
            let limit = if answer.is_large() { piece } else { piece + COPIED as usize };
            match answer.make(limit.min(allowed), out, encoder) {
                Ok(Encoded::All) => {}
                Ok(Encoded::Full | Encoded::Large) => return (true, None),
                Err(fault) => {
                    if fault == ReadError::WouldBlock {
                        // A head goes with its body.
                        out.truncate(before);
                    }
                    return (true, Some(fault));
                }
            }
        }
        (false, None)
    }

    /// `count` bytes were sent.
    fn advance(&mut self, mut count: u64, events: &mut Vec<Event>) {
        while let Some(first) = self.answers.front_mut() {
            match first.advance(count) {
                Some(left) => count = left,
                None => return,
            }
            if let Some(answer) = self.answers.pop_front() {
                (self.ended, self.rest) = (answer.last, answer.rest);
                events.extend(answer.report(true).map(Event::Answered));
            }
        }
        self.size = 0;
    }

    /// Nothing more of it is sent: tells of the answer that was being sent. Those after it were never begun.
    pub(super) fn abort(&mut self, events: &mut Vec<Event>) {
        let first = self.answers.pop_front();
        events.extend(first.and_then(|answer| answer.report(false)).map(Event::Answered));
        self.reset();
    }
}

fn fail(fault: ReadError, events: &mut Vec<Event>) -> Sent {
    if let ReadError::Failed(errno) = fault {
        events.push(Event::Fault { name: None, fault: Fault::Unreadable(errno) });
        return Sent::Failed(CloseReason::ReadFailed);
    }
    Sent::Failed(CloseReason::FileShrank)
}

/// Why nothing more can be sent after an error; `None` if it is only to be tried again.
fn stopped(error: &io::Error) -> Option<Sent> {
    match error.kind() {
        ErrorKind::Interrupted => None,
        ErrorKind::WouldBlock => Some(Sent::Blocked),
        _ => Some(Sent::Failed(CloseReason::Reset)),
    }
}

/// Whether sending a file failed for the file's part.
fn is_of_the_file(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::INVAL | Errno::STALE))
}
