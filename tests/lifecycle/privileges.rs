//! Started as root, the daemon drops all privileges.

use crate::support::daemon::refused_config;
use crate::support::{Daemon, Settings, TestDir, am_root, nobody, proc, skipped};

#[test]
fn all_threads_drop_user_groups_and_capabilities() {
    if !am_root() {
        return skipped("only root has privileges to drop");
    }
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("workers", "3"));
    // The threads of the pool may be started by the first request that needs them.
    daemon.client().listing();
    let (uid, gid) = nobody();
    let threads = proc::threads(daemon.pid());
    assert!(threads.len() >= 3, "fewer threads than workers: {threads:?}");
    for thread in threads {
        let line = |name: &str| proc::status_line(&thread, name);
        let all = |id: u32| [id; 4].map(|id| id.to_string()).join("\t");
        assert_eq!(line("Uid"), all(uid), "Uid of {thread}");
        assert_eq!(line("Gid"), all(gid), "Gid of {thread}");
        let groups = line("Groups");
        assert!(groups.is_empty() || groups == gid.to_string(), "Groups of {thread}: {groups:?}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(line(set), "0000000000000000", "{set} of {thread}");
        }
    }
}

#[test]
fn status_reports_the_actual_protection() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let status = daemon.status();
    let protection = &status["protection"];
    let own = |name: &str| proc::status_line(&daemon.pid().to_string(), name);
    let first = |name: &str| own(name).split('\t').next().unwrap_or_default().to_owned();
    assert_eq!(protection["uid"].to_string(), first("Uid"), "{status}");
    assert_eq!(protection["gid"].to_string(), first("Gid"), "{status}");
    assert_eq!(protection["no_new_privileges"], own("NoNewPrivs") == "1", "{status}");
    assert!(!protection["landlock"].is_null(), "{status}");
    if am_root() {
        assert_eq!(protection["user"], "nobody", "{status}");
    }
}

/// A start as root with these settings is refused with a message that contains this word.
#[track_caller]
fn expect_refused(dir: &TestDir, settings: &Settings, word: &str) {
    let finished = refused_config(dir, settings).expect_says(word);
    assert!([Some(77), Some(78)].contains(&finished.code), "exit code {:?}: {}", finished.code, finished.stderr);
}

#[test]
fn serving_as_root_is_refused() {
    if !am_root() {
        return skipped("only root can serve as root");
    }
    let dir = TestDir::of_the_examples();
    expect_refused(&dir, &Settings::new(&dir).set("user", "\"root\"").set("group", "\"root\""), "root");
}

#[test]
fn unknown_user_or_group_is_refused() {
    if !am_root() {
        return skipped("only root can change its user");
    }
    let dir = TestDir::of_the_examples();
    for key in ["user", "group"] {
        expect_refused(&dir, &Settings::new(&dir).set(key, "\"no-such-one\""), "no-such-one");
    }
}
