//! The local time.
#![expect(unsafe_code, reason = "only the C library knows the time zone")]
#![expect(clippy::disallowed_methods, reason = "syslog messages contain the local time")]

/// A local time without the year.
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

/// The current local time (localtime_r(3)).
#[must_use]
pub fn local_time() -> LocalTime {
    // SAFETY: a null pointer is allowed; the time is returned.
    local_time_at(unsafe { libc::time(std::ptr::null_mut()) })
}

fn local_time_at(time: libc::time_t) -> LocalTime {
    // SAFETY: every field of a tm is a number or a pointer that may be null.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to local variables. No thread changes the environment, which contains TZ.
    unsafe { libc::localtime_r(&raw const time, &raw mut tm) };
    // If the year does not fit, the fields stay zero. Otherwise they are in range.
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

    /// Set in the child process that runs with another time zone.
    const CHILD: &str = "HFTPD_TEST_CLOCK";

    /// The time zone applies to the process, so a child process runs this test.
    #[test]
    fn local_time_follows_the_time_zone() {
        if std::env::var_os(CHILD).is_some() {
            // 2026-03-01 02:29:59 UTC.
            let expected = LocalTime { month: 1, day: 28, hour: 23, minute: 59, second: 59 };
            assert_eq!(local_time_at(1_772_332_199), expected);
            return;
        }
        let output = Command::new(std::env::current_exe().expect("test binary"))
            .args(["--exact", "os::clock::tests::local_time_follows_the_time_zone", "--nocapture"])
            .env(CHILD, "1")
            // West of Greenwich is positive (tzset(3)).
            .env("TZ", "XXX2:30")
            .output()
            .expect("child");
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }
}
