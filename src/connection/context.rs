//! What a connection is given: its stream, its rules, the event loop's buffers.

use std::io;
use std::time::{Duration, Instant};

use base64::engine::Simd;
use base64::engine::general_purpose::PAD;

use super::{Buffer, Event, INPUT};
use crate::handle::{Files, Job, OpenFile};
use crate::wire::{Names, RequestReader};

/// A stream that does not block, and the one call that moves a file's bytes into it.
pub trait Transport {
    /// Reads; 0 is the end of what the client sends.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes; with `more` the bytes may wait for those that follow at once.
    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;
    /// Sends bytes of a file; 0 is the end of the file.
    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize>;
    /// Bytes that were written and that the client's side has not acknowledged yet.
    fn unsent(&self) -> usize;
    /// Tells the client that nothing more comes.
    fn shut_down_write(&mut self) -> io::Result<()>;
}

/// What a connection is told by the configuration. A change is seen by its next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `files.names`
    pub names: Names,
    /// `limits.request-line`, bytes
    pub request_line: u64,
    /// `limits.rate-per-connection`, bytes a second; 0 is no limit
    pub rate: u64,
    /// `timeouts.idle`
    pub idle: Duration,
    /// `timeouts.request`
    pub request: Duration,
    /// `timeouts.stall`
    pub stall: Duration,
}

/// Buffers that an event loop lends to the connection it serves.
pub struct Scratch {
    /// What was received.
    pub input: Vec<u8>,
    /// What is to be sent.
    pub out: Buffer,
    /// Bytes of a file that are to be encoded.
    pub plain: Buffer,
    /// Reads the line that is complete in what was received.
    pub reader: Option<Box<RequestReader>>,
    /// Encodes base64 (RFC 4648 section 4) with what the processor has for it.
    pub base64: Simd,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch {
            input: vec![0; INPUT],
            out: Buffer::default(),
            plain: Buffer::default(),
            reader: None,
            base64: Simd::standard(PAD),
        }
    }
}

/// What a connection is given for one call.
pub struct Context<'a, T> {
    /// The stream.
    pub transport: &'a mut T,
    /// The root.
    pub files: &'a mut Files,
    /// What the configuration says.
    pub settings: &'a Settings,
    /// The time.
    pub now: Instant,
    /// Whether the server is draining: then no request is begun.
    pub draining: bool,
    /// Whether [`super::Answered::request`] is wanted.
    pub record: bool,
    /// Buffers.
    pub scratch: &'a mut Scratch,
    /// What happened; for the server to count and to log.
    pub events: &'a mut Vec<Event>,
    /// A question for a thread that may wait; its answer goes to [`super::Connection::handle_disk`].
    pub job: Option<Job>,
    /// Bytes that may still be handled in this round, so that others get their turn.
    pub budget: usize,
}

impl<T> Context<'_, T> {
    pub(super) fn spend(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(bytes);
    }
}
