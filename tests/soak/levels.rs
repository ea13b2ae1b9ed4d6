//! The daemon's resources while it is idle, and its counters.

use std::{fmt, fs};

use serde_json::Value;

use crate::counters::{Counters, Kind};
use crate::support::{Daemon, eventually, proc};
use crate::world::World;

/// The growth of memory that is allowed between the two phases, in KiB.
const GROWTH: u64 = 1 << 10;

/// Descriptors, threads and memory.
#[derive(Debug)]
pub(crate) struct Levels {
    /// The target of each descriptor, without the numbers of sockets.
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

    /// Waits until the daemon is idle with so many connections: cached files are closed, and disk threads have ended.
    #[track_caller]
    pub(crate) fn when_idle(world: &World, daemon: &mut Daemon, connections: usize) -> Levels {
        daemon.wait_connections("total", connections as u64);
        daemon.wait_status("no disk thread is left", |status| status["disk"]["threads"] == 0);
        let root = world.dir.root();
        let mut last = Vec::new();
        eventually("nothing of the root is open", || {
            let levels = Levels::of(daemon.pid());
            let is_of_root = |file: &String| file.starts_with(&*root.to_string_lossy());
            // The connection of the status request may still be open.
            let is_idle = !levels.files.iter().any(is_of_root) && levels.files == last;
            last.clone_from(&levels.files);
            if is_idle { Ok(()) } else { Err(format!("{levels:?}")) }
        });
        Levels::of(daemon.pid())
    }

    /// Waits until the daemon has the same resources as before. The allocator does not return all free memory, so some
    /// growth is allowed. A leak of each answer or connection would be larger.
    #[track_caller]
    pub(crate) fn expect_again(before: &Levels, world: &World, daemon: &mut Daemon, connections: usize) {
        let after = Levels::when_idle(world, daemon, connections);
        crate::report(&format!("before: {before}\nafter: {after}"));
        assert_eq!(after.threads, before.threads);
        assert_eq!(after.files, before.files);
        assert!(after.memory < before.memory + GROWTH, "{} KiB became {} KiB", before.memory, after.memory);
    }
}

/// The daemon's counters agree with each other and with those of its clients. No connection is open.
#[track_caller]
pub(crate) fn expect_consistent(counters: &Counters, status: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number: {value}"));
    let sum = |value: &Value| value.as_object().into_iter().flatten().map(|(_, value)| number(value)).sum::<u64>();
    let answers = sum(&status["answers"]);
    assert!(answers >= counters.answers(), "{answers} answers, but {} were received: {status}", counters.answers());
    let bytes = number(&status["answer_bytes"]);
    assert!(bytes >= counters.bytes(), "{bytes} bytes, but {} were received: {status}", counters.bytes());
    let whole = answers - number(&status["incomplete_answers"]);
    assert!(whole >= counters.answers(), "{whole} whole answers, but {} were received: {status}", counters.answers());
    assert_eq!(status["accepted"], sum(&status["closed"]), "accepted, and ended: {status}");
    assert_eq!(status["closed"]["refused"], sum(&status["refused"]), "{status}");
    assert_eq!(status["refused"]["denied"], counters.count(Kind::Denied), "{status}");
    assert_eq!(status["refused"]["address"], counters.count(Kind::Crowded), "{status}");
    assert_eq!(status["refused"]["full"], 0, "{status}");
    assert!(number(&status["closed"]["stalled"]) >= counters.count(Kind::Stalled), "{status}");
    assert!(number(&status["closed"]["quit"]) >= counters.count(Kind::Quit), "{status}");
    assert!(number(&status["closed"]["read-failed"]) >= counters.count(Kind::DiskError), "{status}");
    assert_eq!(status["closed"]["file-shrank"], 0, "{status}");
    assert_eq!(status["closed"]["idle"], 0, "{status}");
    assert_eq!(status["accept_pauses"], 0, "{status}");
    let succeeded = counters.count(Kind::Reloaded) + counters.count(Kind::HungUp);
    assert_eq!(status["reloads"]["succeeded"], succeeded, "{status}");
    assert!(number(&status["reloads"]["failed"]) >= counters.count(Kind::HangUpRefused), "{status}");
}
