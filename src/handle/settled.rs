//! When the time stamps of a directory are old enough for every later change to leave others.
#![expect(clippy::disallowed_types, reason = "compared with the times of a directory, which are by the same clock")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::os::files::Stat;

/// How much older than a look at a directory its last change must be for that look to count later. Time stamps are as
/// coarse as 2 seconds (vfat), so a change just after the look could leave the same one.
const SETTLED: Duration = Duration::from_secs(2);

/// A time by the clock of file systems.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(SystemTime);

impl Moment {
    pub(super) fn now() -> Moment {
        Moment(SystemTime::now())
    }

    /// Whether a change to the directory after this moment leaves other time stamps than those it has.
    pub(super) fn is_long_after(self, directory: &Stat) -> bool {
        [directory.modified, directory.changed].into_iter().all(|(seconds, nanoseconds)| {
            let changed = u64::try_from(seconds).map(|seconds| UNIX_EPOCH + Duration::new(seconds, nanoseconds));
            changed.is_ok_and(|changed| changed + SETTLED < self.0)
        })
    }
}
