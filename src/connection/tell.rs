//! What a connection tells of itself: for its server to count and to log.

use std::time::Instant;

use crate::handle::Fault;
use crate::wire::code::{self, Code};

/// Something that happened on a connection.
#[derive(Debug)]
pub enum Event {
    /// A request was answered, or its answer was broken off.
    Answered(Answered),
    /// The root, the directory or a file cannot be read.
    Fault {
        /// The name that was asked for; none for a listing.
        name: Option<Box<[u8]>>,
        /// Why.
        fault: Fault,
    },
}

/// One request and what became of it.
#[derive(Debug)]
pub struct Answered {
    /// The code of the answer.
    pub code: Code,
    /// Bytes of the answer, head and all. Of a small answer that stands complete in the buffer all count, though a
    /// client that goes away just then may not have had them.
    pub bytes: u64,
    /// When the request's first byte came.
    pub since: Instant,
    /// Whether all of the answer was made and given to the kernel, or to the buffer.
    pub complete: bool,
    /// The request as far as it is kept, if [`super::Context::record`]. Bytes that the client chose.
    pub request: Option<Box<[u8]>>,
}

/// Where a connection stands, for those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Between requests.
    Idle,
    /// In the middle of a request.
    Reading,
    /// A thread looks the file up.
    Waiting,
    /// In the middle of an answer.
    Sending,
    /// After the last answer, until the client has seen it.
    Lingering,
    /// Done.
    Closed,
}

impl Phase {
    /// Every phase of a connection that is open.
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

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed it.
    Client,
    /// The client's side broke it off: a reset, or a write that failed.
    Reset,
    /// The client said `quit`.
    Quit,
    /// A fatal answer was given.
    Fatal,
    /// Nothing was asked for `timeouts.idle`.
    Idle,
    /// Nothing of an answer was taken for `timeouts.stall`.
    Stalled,
    /// The disk did not answer for `timeouts.stall`, or nothing of a file that a thread sends was sent for so long.
    DiskTimeout,
    /// A file had fewer bytes than its answer had promised.
    FileShrank,
    /// A file could not be read to the end of its answer.
    ReadFailed,
    /// The server drains, and the connection was between two requests.
    Drained,
    /// The server drains, and its deadline came first.
    Cut,
    /// It was not served at all.
    Refused,
}

impl CloseReason {
    /// Every reason, in the order of [`CloseReason::index`].
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

    /// Its place in [`CloseReason::ALL`].
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

/// Why a client is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There are `limits.connections` already.
    Full,
    /// There are `limits.connections-per-address` from its address already.
    Address,
    /// `limits.allow` and `limits.deny` do not want it.
    Denied,
    /// The process has no descriptor left for it.
    NoDescriptor,
}

impl Refusal {
    /// Every refusal, in the order of [`Refusal::index`].
    pub const ALL: [Refusal; 4] = [Refusal::Full, Refusal::Address, Refusal::Denied, Refusal::NoDescriptor];

    /// Its place in [`Refusal::ALL`].
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

    /// What the client is told.
    pub fn line(self) -> &'static str {
        match self {
            Refusal::Full | Refusal::NoDescriptor => code::TOO_MANY_CONNECTIONS,
            Refusal::Address => code::TOO_MANY_FROM_ADDRESS,
            Refusal::Denied => code::ADDRESS_DENIED,
        }
    }
}
