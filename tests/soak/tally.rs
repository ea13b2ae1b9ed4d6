//! What happened, counted by kind. A kind that never happened makes the test fail: it would have shown nothing.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A slice that was verified, by form.
    Fragments,
    Plain,
    Base64,
    Base64Lines,
    Raw,
    /// Transfers whose client took its time.
    SlowReader,
    /// Answers to requests that came many at a time.
    Pipelined,
    Listing,
    /// Connections that the client half closed with requests under way.
    HalfClosed,
    Quit,
    /// Connections that a wrong request ended.
    Fatal,
    /// Answers from a listener that comes and goes, and how often it was found at its other place.
    Knocked,
    Moved,
    /// Files renamed over others, and answers that were of one of them, whole.
    Published,
    OneVersion,
    Reloaded,
    HungUp,
    ReloadRefused,
    HangUpRefused,
    Reset,
    /// Clients that read nothing and were cut off.
    Stalled,
    Flooded,
    EndlessLine,
    EndlessLineGivenUp,
    LongName,
    Unwelcome,
    Crowded,
    /// From a disk that hangs now and then.
    SlowFile,
    SlowFileGivenUp,
    DiskError,
    DiskHung,
    /// Connections that lasted from the beginning to the end.
    Kept,
    DrainedTransfer,
}

impl Kind {
    const ALL: [Kind; 33] = [
        Kind::Fragments,
        Kind::Plain,
        Kind::Base64,
        Kind::Base64Lines,
        Kind::Raw,
        Kind::SlowReader,
        Kind::Pipelined,
        Kind::Listing,
        Kind::HalfClosed,
        Kind::Quit,
        Kind::Fatal,
        Kind::Knocked,
        Kind::Moved,
        Kind::Published,
        Kind::OneVersion,
        Kind::Reloaded,
        Kind::HungUp,
        Kind::ReloadRefused,
        Kind::HangUpRefused,
        Kind::Reset,
        Kind::Stalled,
        Kind::Flooded,
        Kind::EndlessLine,
        Kind::EndlessLineGivenUp,
        Kind::LongName,
        Kind::Unwelcome,
        Kind::Crowded,
        Kind::SlowFile,
        Kind::SlowFileGivenUp,
        Kind::DiskError,
        Kind::DiskHung,
        Kind::Kept,
        Kind::DrainedTransfer,
    ];

    /// Whether it takes a disk that hangs, which not everybody may mount.
    fn needs_disk(self) -> bool {
        matches!(self, Kind::SlowFile | Kind::SlowFileGivenUp | Kind::DiskError | Kind::DiskHung)
    }
}

/// The counts, and what the daemon's own must not fall short of.
pub(crate) struct Tally {
    counts: [AtomicU64; Kind::ALL.len()],
    answers: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            answers: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, kind: Kind, count: u64) {
        self.counts[kind as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize].load(Ordering::Relaxed)
    }

    /// So many answers were received whole, with so many bytes of files in them.
    pub(crate) fn answered(&self, count: u64, bytes: u64) {
        self.answers.fetch_add(count, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Each kind has happened.
    #[track_caller]
    pub(crate) fn expect_everything(&self, with_disk: bool) {
        let never = |kind: &&Kind| self.count(**kind) == 0 && (with_disk || !kind.needs_disk());
        let missing: Vec<&Kind> = Kind::ALL.iter().filter(never).collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers with {} MB of files", self.answers(), self.bytes() / 1_000_000)?;
        Kind::ALL.iter().try_for_each(|&kind| write!(f, ", {kind:?} {}", self.count(kind)))
    }
}
