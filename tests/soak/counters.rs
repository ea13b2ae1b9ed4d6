//! Counts of what happened in the test, which fails if a kind of event never happened.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Defines [`Kind`] with the list of its variants.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// A kind of event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            const ALL: &[Kind] = &[$(Kind::$kind),*];
        }
    };
}

kinds! {
    /// Verified slices, by encoding.
    Fragments,
    Plain,
    Base64,
    Raw,
    /// Transfers to a slow client.
    SlowReader,
    /// Answers to pipelined requests.
    Pipelined,
    Listing,
    /// Connections that the client half closed before it read all answers.
    HalfClosed,
    Quit,
    /// Connections closed by a fatal error in a request.
    Fatal,
    /// Answers from the listener that moves, and how often a client followed it.
    FromMoving,
    Moved,
    /// Files renamed over others, and answers with bytes of one version.
    Published,
    OneVersion,
    Reloaded,
    HungUp,
    ReloadRefused,
    HangUpRefused,
    Reset,
    /// Clients that read nothing and were closed.
    Stalled,
    Flooded,
    EndlessLine,
    EndlessLineGivenUp,
    LongName,
    Denied,
    Crowded,
    /// Answers from a disk that hangs at times.
    SlowFile,
    SlowFileGivenUp,
    DiskError,
    DiskHung,
    /// Connections that stayed open during the whole test.
    Kept,
    DrainedTransfer,
}

impl Kind {
    /// Whether it needs a file system that hangs, which only root may mount.
    fn needs_disk(self) -> bool {
        matches!(self, Kind::SlowFile | Kind::SlowFileGivenUp | Kind::DiskError | Kind::DiskHung)
    }
}

/// The counts. Those of the daemon must not be lower.
pub(crate) struct Counters {
    counts: [AtomicU64; Kind::ALL.len()],
    answers: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters {
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

    /// Counts whole answers, and the bytes of files in them.
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

    /// Every kind of event has happened.
    #[track_caller]
    pub(crate) fn expect_everything(&self, with_disk: bool) {
        let never = |kind: &&Kind| self.count(**kind) == 0 && (with_disk || !kind.needs_disk());
        let missing: Vec<&Kind> = Kind::ALL.iter().filter(never).collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers with {} MB of files", self.answers(), self.bytes() / 1_000_000)?;
        Kind::ALL.iter().try_for_each(|&kind| write!(f, ", {kind:?} {}", self.count(kind)))
    }
}
