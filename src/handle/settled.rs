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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::files::Kind;

    /// A directory with these times of its last changes.
    fn directory(modified: (i64, u32), changed: (i64, u32)) -> Stat {
        Stat { device: 1, inode: 2, kind: Kind::Directory, mode: 0, uid: 0, gid: 0, size: 0, modified, changed }
    }

    #[test]
    fn both_changes_must_be_more_than_2_seconds_ago() {
        let now = Timestamp(UNIX_EPOCH + Duration::new(1_000, 500));
        let (settled, recent) = ((998, 499), (998, 500));
        for (modified, changed, expected) in [
            (settled, settled, true),
            (recent, settled, false),
            (settled, recent, false),
            ((0, 0), (0, 0), true),
            ((998, 501), settled, false),
            ((1_000, 500), settled, false),
            (settled, (5_000, 0), false),
            ((-1, 0), settled, false),
        ] {
            let is_settled = now.detects_changes_to(&directory(modified, changed));
            assert_eq!(is_settled, expected, "modified at {modified:?}, changed at {changed:?}");
        }
    }
}
