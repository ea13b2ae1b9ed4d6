//! Determines whether the time stamps of a directory are old enough that any later change changes them.
#![expect(clippy::disallowed_types, reason = "compared with the times of a directory, which are by the same clock")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::os::files::Stat;

/// The minimum age of the last change. The granularity of time stamps is up to 2 seconds (vfat), so a change shortly after
/// another can leave the same time stamp.
const SETTLED: Duration = Duration::from_secs(2);

/// A time of the clock that file systems use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timestamp(SystemTime);

impl Timestamp {
    pub(super) fn now() -> Timestamp {
        Timestamp(SystemTime::now())
    }

    /// Whether any change to the directory after this time changes its time stamps.
    pub(super) fn detects_changes_to(self, directory: &Stat) -> bool {
        [directory.modified, directory.changed].into_iter().all(|(seconds, nanoseconds)| {
            let changed = u64::try_from(seconds).map(|seconds| UNIX_EPOCH + Duration::new(seconds, nanoseconds));
            changed.is_ok_and(|changed| changed + SETTLED < self.0)
        })
    }
}
