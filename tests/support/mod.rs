//! Shared by the black-box tests: a temporary directory, the daemon, and a client that sends and expects bytes.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this module")]

pub(crate) mod client;
pub(crate) mod content;
pub(crate) mod daemon;
pub(crate) mod decode;
pub(crate) mod diag;
pub(crate) mod lines;
pub(crate) mod proc;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod slow;
pub(crate) mod slowfs;
pub(crate) mod stand_in;
pub(crate) mod test_dir;

pub(crate) use client::{Client, HELP_ANSWER, PROBE, PROBE_ANSWER};
pub(crate) use daemon::Daemon;
pub(crate) use decode::{ALL_ENCODINGS, Encoding, Fault, read_slice, slice_request};
pub(crate) use run::{hftpd_with, run};
pub(crate) use settings::Settings;
pub(crate) use slow::{
    LARGE, expect_incomplete, expect_whole, publish_large, slow_client, slow_client_of, slow_clients,
};
pub(crate) use test_dir::{TestDir, nobody, put, set_mode, switch_link};

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The timeout of every wait. Only a failing test waits this long.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Whether the tests run as root. The daemon then changes to another user.
pub(crate) fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Reports that a test cannot run here. With `CI=true` this is a failure.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "this must run in CI: {why}");
    eprintln!("SKIPPED: {why}");
}

/// Raises the limit of open files, which the daemon inherits. False if that is not permitted.
pub(crate) fn allow_open_files(count: u64) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= count) {
        return true;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).is_ok()
}

/// Bytes in readable form, abbreviated in the middle.
pub(crate) fn show(bytes: &[u8]) -> String {
    const ENDS: usize = 300;
    if bytes.len() <= 2 * ENDS + 20 {
        return format!("\"{}\" ({} bytes)", bytes.escape_ascii(), bytes.len());
    }
    let (head, tail) = (&bytes[..ENDS], &bytes[bytes.len() - ENDS..]);
    format!("\"{}\" [...] \"{}\" ({} bytes)", head.escape_ascii(), tail.escape_ascii(), bytes.len())
}

/// A loopback address that no other test uses, with a port below the ephemeral ports. For tests that need the port before
/// the daemon starts.
pub(crate) fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let pid = std::process::id();
    let last = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(last < 255, "too many addresses in one test binary");
    let [_, _, high, low] = (pid % (1 << 14)).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 64 + high, low, last)), 20_000)
}

/// Polls a condition until it holds. On a timeout, prints the last error.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> Result<(), String>) {
    let start = Instant::now();
    loop {
        match holds() {
            Ok(()) => return,
            Err(last) => assert!(start.elapsed() < LONG, "{what}: not within {LONG:?}; last seen: {last}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until connections to the address are refused.
#[track_caller]
pub(crate) fn eventually_refused(address: SocketAddr) {
    eventually(&format!("{address} refuses connections"), || match TcpStream::connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        outcome => Err(format!("{outcome:?}")),
    });
}

/// Does the jobs in this number of threads. After a panic no more jobs begin, and the test fails.
pub(crate) fn in_parallel<J: Send + Sync>(threads: usize, jobs: &[J], work: impl Fn(&J) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let armed = SetOnDrop(&failed);
                    work(job);
                    std::mem::forget(armed);
                }
            });
        }
    });
}

/// Sets the flag when dropped, also during a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Repeats `background` in other threads until `work` returns or panics.
pub(crate) fn meanwhile<T>(threads: usize, background: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    background();
                }
            });
        }
        let _done = SetOnDrop(&done);
        work()
    })
}
