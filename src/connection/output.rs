//! The queue of answers to send.
//!
//! Event loops and threads use the same code. An event loop sends small answers whose bytes it can read without waiting.
//! Large answers, and those that may wait for a disk, need a thread ([`SendOutcome::NeedsThread`]).

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Instant;

use rustix::io::Errno;

use super::answer::Answer;
use super::buffer::Buffer;
use super::events::{CloseReason, Event};
use super::slice::{COPY_MAX, Encoded, Encoder};
use super::transport::Sink;
use crate::handle::{Fault, ReadError, Wait};

/// Answers are encoded until they have this number of bytes, then sent.
pub(super) const BATCH_SIZE: usize = 64 * 1024;

/// The maximum number of bytes encoded at once. Bytes that the client does not accept must be encoded again, so pieces
/// become large only after it has accepted others.
const MAX_PIECE: usize = 4 * BATCH_SIZE;

/// The number of bytes that a thread sends in one turn, and the maximum for one sendfile(2).
const TURN_BYTES: usize = 2 * 1024 * 1024;

/// Answers that have not been completely sent.
#[derive(Default)]
pub(super) struct Output {
    answers: VecDeque<Answer>,
    /// Their approximate number of bytes.
    size: u64,
    /// [`Answer::close_after`] of the last answer that was completely sent.
    pub(super) close_reason: Option<CloseReason>,
    /// [`Answer::rest`] of the last answer that was completely sent.
    rest: usize,
    /// Whether the kernel delays partial segments.
    corked: bool,
}

/// The buffers for encoding answers. Each thread that sends has its own.
pub(super) struct SendBuffers {
    pub(super) out: Buffer,
    pub(super) encoder: Encoder,
}

/// Why sending stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendOutcome {
    /// Everything was sent.
    All,
    /// The socket is not writable.
    Blocked,
    /// The allowed number of bytes was sent.
    Spent,
    /// A thread must send the next bytes.
    NeedsThread,
    /// The connection must be closed.
    Failed(CloseReason),
}

/// The progress of the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// When the client was last found to have received bytes.
    pub(super) at: Instant,
    /// The number of unacknowledged bytes then.
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

    /// Whether the answers must be sent before further requests are parsed.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.size >= limit as u64
            || self.answers.back().is_some_and(|last| last.close_after.is_some() || last.is_large())
    }

    /// The number of input bytes after the request of the current answer, or of the last one that was sent.
    pub(super) fn rest(&self) -> usize {
        self.answers.front().map_or(self.rest, |answer| answer.rest)
    }

    /// Removes and returns the current answer, and resets the queue. The requests of the other answers must be parsed again
    /// from the [rest](Output::rest) of the input.
    pub(super) fn take_first(&mut self) -> Output {
        let answers: VecDeque<Answer> = self.answers.pop_front().into_iter().collect();
        let taken = Output { answers, corked: self.corked, ..Output::default() };
        self.reset();
        taken
    }

    /// The device of the file of the current answer.
    pub(super) fn device(&self) -> u64 {
        self.answers.front().map_or(0, Answer::device)
    }

    /// Whether all answers fit into a buffer.
    pub(super) fn is_small(&self) -> bool {
        !self.answers.iter().any(Answer::is_large)
    }

    /// Whether reading a file can hang although other files of the same device can be read.
    pub(super) fn is_remote(&self) -> bool {
        self.answers.iter().any(Answer::is_remote)
    }

    /// Resets the queue, but keeps its memory.
    pub(super) fn reset(&mut self) {
        self.answers.clear();
        (self.size, self.close_reason, self.rest, self.corked) = (0, None, 0, false);
    }

    /// Sends up to `allowed` bytes, at most about [`TURN_BYTES`]. Returns the number of bytes sent and why it stopped.
    pub(super) fn send<T: Sink>(
        &mut self,
        allowed: usize,
        buffers: &mut SendBuffers,
        sink: &mut T,
        events: &mut Vec<Event>,
    ) -> (usize, SendOutcome) {
        let mut count = 0;
        while count < allowed.min(TURN_BYTES) || self.is_empty() {
            let piece = count.clamp(BATCH_SIZE, MAX_PIECE);
            let (sent, ended) = self.send_piece(allowed - count, piece, buffers, sink, events);
            count += sent;
            if let Some(ended) = ended {
                return (count, ended);
            }
        }
        (count, SendOutcome::Spent)
    }

    /// Sends the next piece. If it is encoded in memory, it has about `piece` bytes. Returns the number of bytes sent and,
    /// if sending must stop, why.
    fn send_piece<T: Sink>(
        &mut self,
        allowed: usize,
        piece: usize,
        buffers: &mut SendBuffers,
        sink: &mut T,
        events: &mut Vec<Event>,
    ) -> (usize, Option<SendOutcome>) {
        let in_thread = buffers.encoder.wait == Wait::Allowed;
        match self.answers.front() {
            None => {
                self.set_cork(false, sink);
                return (0, Some(SendOutcome::All));
            }
            Some(first) if first.is_for_thread() && !in_thread => return (0, Some(SendOutcome::NeedsThread)),
            // Bytes of a limited rate are not delayed.
            Some(first) if first.is_large() && allowed >= BATCH_SIZE => self.set_cork(true, sink),
            Some(_) => {}
        }
        if let Some((file, offset, length)) = self.answers.front().and_then(Answer::for_kernel) {
            let length = length.min(allowed.min(TURN_BYTES) as u64) as usize;
            return match sink.send_file(file, offset, length) {
                Ok(0) => (0, Some(read_error(ReadError::Truncated, events))),
                Ok(count) => {
                    self.sent_by_kernel(count as u64);
                    (count, None)
                }
                Err(error) if is_file_error(&error) => {
                    let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                    (0, Some(read_error(ReadError::Failed(errno), events)))
                }
                Err(error) => (0, outcome_of(&error)),
            };
        }
        let (more, fault) = self.fill(piece, allowed, buffers);
        let out = buffers.out.bytes();
        let out = &out[..out.len().min(allowed)];
        if out.is_empty() {
            return match fault {
                Some(ReadError::WouldBlock) | None => (0, Some(SendOutcome::NeedsThread)),
                Some(fault) => (0, Some(read_error(fault, events))),
            };
        }
        let (mut count, mut ended) = (0, None);
        while count < out.len() && ended.is_none() {
            match sink.write(&out[count..], more) {
                Ok(written) => count += written,
                Err(error) => ended = outcome_of(&error),
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

    /// Encodes the next bytes: about `piece`, and only as many as `allowed` requires. Returns whether further bytes follow
    /// immediately, and the error if bytes of a file could not be read.
    fn fill(&self, piece: usize, allowed: usize, buffers: &mut SendBuffers) -> (bool, Option<ReadError>) {
        let SendBuffers { out, encoder } = buffers;
        out.clear();
        for answer in &self.answers {
            let before = out.len();
            if before >= piece.min(allowed) || (encoder.wait == Wait::Never && answer.is_for_thread()) {
                return (true, None);
            }
            // Small answers are not split.
            let limit = if answer.is_large() { piece } else { piece + COPY_MAX as usize };
            match answer.append_next(limit.min(allowed), out, encoder) {
                Ok(Encoded::All) => {}
                Ok(Encoded::Full | Encoded::Large) => return (true, None),
                Err(fault) => {
                    if fault == ReadError::WouldBlock {
                        // Do not send a head without its body.
                        out.truncate(before);
                    }
                    return (true, Some(fault));
                }
            }
        }
        (false, None)
    }

    /// Records that `count` bytes were sent, and reports completed answers.
    fn advance(&mut self, mut count: u64, events: &mut Vec<Event>) {
        while let Some(first) = self.answers.front_mut() {
            match first.advance(count) {
                Some(left) => count = left,
                None => return,
            }
            if let Some(answer) = self.answers.pop_front() {
                (self.close_reason, self.rest) = (answer.close_after, answer.rest);
                events.extend(answer.report(true).map(Event::Answered));
            }
        }
        self.size = 0;
    }

    /// Discards all answers, and reports the current one as incomplete. The others were not started.
    pub(super) fn abort(&mut self, events: &mut Vec<Event>) {
        let first = self.answers.pop_front();
        events.extend(first.and_then(|answer| answer.report(false)).map(Event::Answered));
        self.reset();
    }
}

fn read_error(fault: ReadError, events: &mut Vec<Event>) -> SendOutcome {
    if let ReadError::Failed(errno) = fault {
        events.push(Event::Fault { name: None, fault: Fault::Unreadable(errno) });
        return SendOutcome::Failed(CloseReason::ReadFailed);
    }
    SendOutcome::Failed(CloseReason::FileShrank)
}

/// The outcome after an error of the socket. `None` if the call must be repeated.
fn outcome_of(error: &io::Error) -> Option<SendOutcome> {
    match error.kind() {
        ErrorKind::Interrupted => None,
        ErrorKind::WouldBlock => Some(SendOutcome::Blocked),
        _ => Some(SendOutcome::Failed(CloseReason::Reset)),
    }
}

/// Whether an error of sendfile(2) is an error of the file, not of the socket.
fn is_file_error(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::INVAL | Errno::STALE))
}
