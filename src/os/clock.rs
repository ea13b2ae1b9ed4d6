//! The time of day where the machine stands.
#![expect(unsafe_code, reason = "time zones are the C library's alone")]
#![expect(clippy::disallowed_methods, reason = "the log daemon wants the local time of day")]

/// A moment of the year by the local clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// 0 to 11.
    pub month: usize,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// What the local clock says now (localtime_r(3)).
#[must_use]
pub fn local_time() -> LocalTime {
    // SAFETY: a null pointer is allowed, and means that only the result is wanted.
    local_time_at(unsafe { libc::time(std::ptr::null_mut()) })
}

fn local_time_at(time: libc::time_t) -> LocalTime {
    // SAFETY: every field of a tm is a number or a pointer that may be null.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: two pointers to variables of ours. Nothing in this process changes the environment, where TZ is.
    unsafe { libc::localtime_r(&raw const time, &raw mut tm) };
    // A year that does not fit leaves zeros; all others are in range.
    let number = |value: libc::c_int| u8::try_from(value).unwrap_or_default();
    LocalTime {
        month: usize::from(number(tm.tm_mon).min(11)),
        day: number(tm.tm_mday),
        hour: number(tm.tm_hour),
        minute: number(tm.tm_min),
        second: number(tm.tm_sec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Set in the child process that shows a time in another zone.
    const CHILD: &str = "HFTPD_TEST_CLOCK";

    /// The zone is the process's, so this is tried in one of its own: this test, run by itself.
    #[test]
    fn the_time_zone_counts() {
        if std::env::var_os(CHILD).is_some() {
            // 2026-03-01 02:29:59 UTC.
            let expected = LocalTime { month: 1, day: 28, hour: 23, minute: 59, second: 59 };
            assert_eq!(local_time_at(1_772_332_199), expected);
            return;
        }
        let output = Command::new(std::env::current_exe().expect("test binary"))
            .args(["--exact", "os::clock::tests::the_time_zone_counts", "--nocapture"])
            .env(CHILD, "1")
            // West of Greenwich is positive (tzset(3)).
            .env("TZ", "XXX2:30")
            .output()
            .expect("child");
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }
}
