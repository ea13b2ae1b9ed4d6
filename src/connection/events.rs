//! What a connection reports, for counters and the log.

use std::time::Instant;

use crate::handle::Fault;
use crate::wire::code::{self, Code};

/// An event of a connection.
#[derive(Debug)]
pub enum Event {
    /// An answer was completed or aborted.
    Answered(Answered),
    /// The root, the directory or a file cannot be read.
    Fault {
        /// The requested name. `None` for a listing, and for an error during an answer.
        name: Option<Box<[u8]>>,
        /// The error.
        fault: Fault,
    },
}

/// A request and its answer.
#[derive(Debug)]
pub struct Answered {
    /// The code of the answer.
    pub code: Code,
    /// The number of bytes of the answer that were written to the socket, including the head.
    pub bytes: u64,
    /// When the first byte of the request was parsed.
    pub since: Instant,
    /// Whether the whole answer was written to the socket.
    pub complete: bool,
    /// The first bytes of the request, if [`super::Context::record`]. Untrusted.
    pub request: Option<Box<[u8]>>,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Between requests.
    Idle,
    /// A request is incomplete.
    Reading,
    /// A thread looks up a file or reads the listing.
    Waiting,
    /// An answer is incomplete.
    Sending,
    /// The last answer was sent, and input is discarded.
    Lingering,
    /// Closed.
    Closed,
}

impl Phase {
    /// The phases of open connections.
    pub const OPEN: [Phase; 5] = [Phase::Idle, Phase::Reading, Phase::Waiting, Phase::Sending, Phase::Lingering];

    /// The name in `hftpd status`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Reading => "reading",
            Phase::Waiting => "waiting",
            Phase::Sending => "sending",
            Phase::Lingering => "lingering",
            Phase::Closed => "closed",
        }
    }
}

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed it.
    Client,
    /// A reset by the client, or an error of the socket.
    Reset,
    /// The client sent `quit`.
    Quit,
    /// The answer had a fatal code.
    Fatal,
    /// No request for `timeouts.idle`.
    Idle,
    /// The client received no bytes of an answer for `timeouts.stall`.
    Stalled,
    /// A look-up took `timeouts.stall`, or a thread sent no bytes for that time.
    DiskTimeout,
    /// The file was truncated during an answer.
    FileShrank,
    /// The file could not be read during an answer.
    ReadFailed,
    /// The server drains, and the answers are complete.
    Drained,
    /// The drain timeout was reached.
    Cut,
    /// The client was refused.
    Refused,
}

impl CloseReason {
    /// All reasons, in the order of [`CloseReason::index`].
    pub const ALL: [CloseReason; 12] = [
        CloseReason::Client,
        CloseReason::Reset,
        CloseReason::Quit,
        CloseReason::Fatal,
        CloseReason::Idle,
        CloseReason::Stalled,
        CloseReason::DiskTimeout,
        CloseReason::FileShrank,
        CloseReason::ReadFailed,
        CloseReason::Drained,
        CloseReason::Cut,
        CloseReason::Refused,
    ];

    /// The index in [`CloseReason::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in `hftpd status`.
    pub fn name(self) -> &'static str {
        match self {
            CloseReason::Client => "client",
            CloseReason::Reset => "reset",
            CloseReason::Quit => "quit",
            CloseReason::Fatal => "fatal",
            CloseReason::Idle => "idle",
            CloseReason::Stalled => "stalled",
            CloseReason::DiskTimeout => "disk-timeout",
            CloseReason::FileShrank => "file-shrank",
            CloseReason::ReadFailed => "read-failed",
            CloseReason::Drained => "drained",
            CloseReason::Cut => "cut",
            CloseReason::Refused => "refused",
        }
    }
}

/// Why a client was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `limits.connections` was reached.
    Full,
    /// `limits.connections-per-address` was reached.
    Address,
    /// `limits.allow` or `limits.deny` denies the address.
    Denied,
    /// The process or the system has no free descriptor.
    NoDescriptor,
}

impl Refusal {
    /// All refusals, in the order of [`Refusal::index`].
    pub const ALL: [Refusal; 4] = [Refusal::Full, Refusal::Address, Refusal::Denied, Refusal::NoDescriptor];

    /// The index in [`Refusal::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in `hftpd status`.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Full => "full",
            Refusal::Address => "address",
            Refusal::Denied => "denied",
            Refusal::NoDescriptor => "no-descriptor",
        }
    }

    /// The answer to the client.
    pub fn line(self) -> &'static str {
        match self {
            Refusal::Full | Refusal::NoDescriptor => code::TOO_MANY_CONNECTIONS,
            Refusal::Address => code::TOO_MANY_FROM_ADDRESS,
            Refusal::Denied => code::ADDRESS_DENIED,
        }
    }
}
