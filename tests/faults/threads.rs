//! A lack of threads.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use crate::expect_served;
use crate::process::executed_by;
use crate::support::{Daemon, Settings, TestDir, am_root, run, set_mode, skipped};

/// RLIMIT_NPROC counts the threads of a user, so each test needs a user without other threads.
fn settings(dir: &TestDir, number: u32) -> Option<(u32, Settings)> {
    if !am_root() {
        skipped("only root can start the daemon as another user");
        return None;
    }
    set_mode(&dir.at("run"), 0o777);
    let uid = 20_000 + std::process::id() % 4000 * 10 + number;
    let user = format!("\"{uid}\"");
    Some((uid, Settings::new(dir).set("user", &user).set("group", &user).set("workers", "2")))
}

#[test]
fn start_without_threads_is_71_and_names_the_limit() {
    let dir = TestDir::of_the_examples();
    let Some((_, settings)) = settings(&dir, 1) else { return };
    settings.write(&dir.config());
    // There are the main thread, that of the log, and those of two event loops.
    for threads in 1..=3 {
        let limit = format!("--nproc={threads}:{threads}");
        let finished = run(&mut executed_by(&["prlimit", &limit], &dir.config())).expect_code(71);
        assert!(finished.stderr.contains("TasksMax"), "{threads} threads: {}", finished.stderr);
        assert!(!dir.control().exists(), "a control socket is left of a start with {threads} threads");
    }
}

/// Other processes of the daemon's user. Dropped, they end.
struct OtherProcesses(Vec<Child>);

impl OtherProcesses {
    #[track_caller]
    fn of(uid: u32, count: usize) -> OtherProcesses {
        let spawn = || Command::new("sleep").arg("600").uid(uid).gid(uid).spawn().expect("sleep");
        OtherProcesses((0..count).map(|_| spawn()).collect())
    }
}

impl Drop for OtherProcesses {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn missing_disk_threads_are_199_until_available() {
    const THREADS: usize = 10;
    let dir = TestDir::of_the_examples();
    let Some((uid, settings)) = settings(&dir, 2) else { return };
    settings.write(&dir.config());
    let limit = format!("--nproc={THREADS}:{THREADS}");
    let mut daemon = Daemon::spawn(&dir, &mut executed_by(&["prlimit", &limit], &dir.config()));
    let others = OtherProcesses::of(uid, THREADS);
    let mut kept = expect_served(&daemon);
    for _ in 0..20 {
        let mut client = daemon.client();
        client.ask("get_metadata a10\r\n", "199 INTERNAL SERVER ERROR\r\n");
        client.expect_close();
    }
    let settings = settings.set("timeouts.idle", "\"4m\"");
    daemon.reload(&settings).expect_code(71).expect_says("TasksMax");
    let mut complaints = daemon.stderr_lines();
    complaints.retain(|line| line.contains("thread that reads"));
    assert_eq!(complaints.len(), 1, "lines in less than a minute: {complaints:#?}");

    drop(others);
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    daemon.reload(&settings).expect_code(0);
    kept.expect_alive();
    assert_eq!(daemon.stop(), Some(0));
}
