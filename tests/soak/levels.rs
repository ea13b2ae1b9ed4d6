//! What the daemon holds when nobody asks for anything, and what it has counted.

use std::{fmt, fs};

use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::{eventually, proc};
use crate::tally::{Kind, Tally};
use crate::world::World;

/// How much more memory it may hold after the second storm than after the first, in KiB.
const GROWTH: u64 = 2 << 10;

/// Descriptors, threads and memory.
#[derive(Debug)]
pub(crate) struct Levels {
    /// Where each descriptor leads, numbers of sockets and the like left out.
    files: Vec<String>,
    threads: Vec<String>,
    memory: u64,
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} descriptors, {} threads, {} KiB", self.files.len(), self.threads.len(), self.memory)
    }
}

impl Levels {
    fn of(pid: u32) -> Levels {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon runs");
        let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let mut files: Vec<String> = links
            .map(|link| {
                link.to_string_lossy().split_once(":[").map_or(link.display().to_string(), |(kind, _)| kind.into())
            })
            .collect();
        files.sort();
        let names = proc::threads(pid).into_iter().map(|thread| proc::status_line(&thread, "Name"));
        let mut threads: Vec<String> = names.collect();
        threads.sort();
        Levels { files, threads, memory: proc::anonymous_kib(pid) }
    }

    /// What it holds when so many connections are there and nothing else: what was kept open for those who might ask
    /// again has been closed, and the threads that wait for disks have ended.
    #[track_caller]
    pub(crate) fn when_quiet(world: &World, daemon: &mut Daemon, connections: usize) -> Levels {
        daemon.wait_connections("total", connections as u64);
        daemon.wait_status("no thread waits for a disk", |status| status["disk"]["threads"] == 0);
        let root = world.site.root();
        let mut last = Vec::new();
        eventually("nothing of the root is open", || {
            let levels = Levels::of(daemon.pid());
            let is_of_root = |file: &String| file.starts_with(&*root.to_string_lossy());
            // Who asked for the status may still be leaving.
            let is_quiet = !levels.files.iter().any(is_of_root) && levels.files == last;
            last.clone_from(&levels.files);
            if is_quiet { Ok(()) } else { Err(format!("{levels:?}")) }
        });
        Levels::of(daemon.pid())
    }

    /// Waits until it holds again what it held before. Not all memory that is free again goes back to the system, and
    /// how much does not depends on chance; but what is lost of each answer or connection adds up to more.
    #[track_caller]
    pub(crate) fn expect_again(before: &Levels, world: &World, daemon: &mut Daemon, connections: usize) {
        let after = Levels::when_quiet(world, daemon, connections);
        crate::say(&format!("before: {before}\nafter: {after}"));
        assert_eq!(after.threads, before.threads);
        assert_eq!(after.files, before.files);
        assert!(after.memory < before.memory + GROWTH, "{} KiB became {} KiB", before.memory, after.memory);
    }
}

/// The daemon's counters agree with each other and with what its clients have seen. No connection is open.
#[track_caller]
pub(crate) fn expect_consistent(tally: &Tally, status: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number: {value}"));
    let sum = |value: &Value| value.as_object().into_iter().flatten().map(|(_, value)| number(value)).sum::<u64>();
    let answers = sum(&status["answers"]);
    assert!(answers >= tally.answers(), "{answers} answers, but {} were received: {status}", tally.answers());
    let bytes = number(&status["answer_bytes"]);
    assert!(bytes >= tally.bytes(), "{bytes} bytes, but {} were received: {status}", tally.bytes());
    let whole = answers - number(&status["incomplete_answers"]);
    assert!(whole >= tally.answers(), "{whole} whole answers, but {} were received: {status}", tally.answers());
    assert_eq!(status["accepted"], sum(&status["closed"]), "accepted, and ended: {status}");
    assert_eq!(status["closed"]["refused"], sum(&status["refused"]), "{status}");
    assert_eq!(status["refused"]["denied"], tally.count(Kind::Unwelcome), "{status}");
    assert_eq!(status["refused"]["address"], tally.count(Kind::Crowded), "{status}");
    assert_eq!(status["refused"]["full"], 0, "{status}");
    assert!(number(&status["closed"]["stalled"]) >= tally.count(Kind::Stalled), "{status}");
    assert!(number(&status["closed"]["quit"]) >= tally.count(Kind::Quit), "{status}");
    assert!(number(&status["closed"]["read-failed"]) >= tally.count(Kind::DiskError), "{status}");
    assert_eq!(status["closed"]["file-shrank"], 0, "{status}");
    assert_eq!(status["closed"]["idle"], 0, "{status}");
    assert_eq!(status["accept_pauses"], 0, "{status}");
    let succeeded = tally.count(Kind::Reloaded) + tally.count(Kind::HungUp);
    assert_eq!(status["reloads"]["succeeded"], succeeded, "{status}");
    assert!(number(&status["reloads"]["failed"]) >= tally.count(Kind::HangUpRefused), "{status}");
}
