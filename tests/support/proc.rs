//! What the kernel says of a process.

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

/// The most memory that the process ever held, in KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    kib(&status_line(&pid.to_string(), "VmHWM"))
}

/// Lowers the peak to what is held now, where the kernel lets us.
pub(crate) fn reset_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The memory that the process has asked for and holds, in KiB, exact where VmRSS is not. Pages of its binary are not
/// among it: whether they are its own depends on who else runs the same binary.
#[track_caller]
pub(crate) fn anonymous_kib(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().find_map(|line| line.strip_prefix("Anonymous:")).map(kib).expect("a line for it")
}

/// `/proc` names of all threads of a process, the main one among them.
pub(crate) fn threads(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads of the daemon");
    tasks.map(|entry| format!("{pid}/task/{}", entry.expect("a thread").file_name().to_string_lossy())).collect()
}

/// Whether the process is there and has not ended. The first thread may have: what the process holds, the others hold
/// until they have too.
pub(crate) fn is_alive(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        matches!(state(&stat), Some(state) if !matches!(state, 'Z' | 'X'))
    })
}

/// Whether a thread sleeps in the kernel; `thread` is what `/proc/thread-self` said in it.
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
