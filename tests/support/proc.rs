//! Reads /proc.

use std::fs;
use std::path::PathBuf;

/// A line of `/proc/PID/status`, without its name.
#[track_caller]
pub(crate) fn status_line(process: &str, name: &str) -> String {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {path}:\n{text}")).trim().to_owned()
}

/// The peak of the resident memory, in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    kib(&status_line(&pid.to_string(), "VmHWM"))
}

/// Resets the peak to the current value, if permitted.
pub(crate) fn reset_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The anonymous memory of the process, in KiB: exact, unlike VmRSS, and without pages of the binary, which other processes
/// may share.
#[track_caller]
pub(crate) fn anonymous_kib(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().find_map(|line| line.strip_prefix("Anonymous:")).map(kib).expect("a line for it")
}

/// Paths in `/proc` of all threads of a process.
pub(crate) fn threads(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads of the daemon");
    tasks.map(|entry| format!("{pid}/task/{}", entry.expect("a thread").file_name().to_string_lossy())).collect()
}

/// Whether a thread of the process still runs. The first thread may have ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        matches!(state(&stat), Some(state) if !matches!(state, 'Z' | 'X'))
    })
}

/// Whether a thread sleeps; `thread` is the target of its `/proc/thread-self`.
pub(crate) fn is_asleep(thread: &std::path::Path) -> bool {
    let stat = fs::read_to_string(PathBuf::from("/proc").join(thread).join("stat")).unwrap_or_default();
    state(&stat) == Some('S')
}

fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn kib(text: &str) -> u64 {
    text.trim().trim_end_matches("kB").trim().parse().unwrap_or_else(|_| panic!("not KiB: {text:?}"))
}
