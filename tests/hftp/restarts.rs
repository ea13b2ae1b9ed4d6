//! The server is killed and started again, ten times in a transfer.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Daemon, LONG, Settings, TestDir, content, own_address};
use crate::{assert_same, command, names, url};

const KILLS: usize = 10;
const SIZE: u64 = 24 << 20;

/// Runs `hftp` with these words, and kills the daemon each time when a further part of the file has come.
fn survive(words: &[&str], out_of: impl Fn(&Path) -> PathBuf) {
    let dir = TestDir::new();
    content::write(&dir.root().join("f"), 1, SIZE);
    let out = dir.create_dir("out", &[]);
    let address = own_address();
    let settings = Settings::new(&dir).listen_on(address, "fragments");
    let mut daemon = Some(Daemon::start(&dir, &settings));
    let f = url(address, "f");
    let words: Vec<&str> = words.iter().map(|&word| if word == "URL" { f.as_str() } else { word }).collect();
    let mut child = command(&out, &words)
        .args(["--limit-rate", "12M", "--retries", "20"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("hftp");
    let part = out_of(&out);
    let length = || std::fs::metadata(&part).map_or(0, |found| found.len());
    for kill in 1..=KILLS as u64 {
        let begun = Instant::now();
        while length() < kill * SIZE / (KILLS as u64 + 2) {
            assert!(begun.elapsed() < LONG, "no progress after {kill} kills");
            assert!(child.try_wait().expect("waitpid").is_none(), "hftp has ended after {kill} kills");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(daemon.take());
        daemon = Some(Daemon::start(&dir, &settings));
    }
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_same(&out.join("f"), &dir.root().join("f"));
    assert_eq!(names(&out), ["f"]);
}

#[test]
fn get_survives_ten_restarts() {
    survive(&["get", "-c", "URL"], |out| out.join("f.part"));
}

#[test]
fn get_in_parallel_survives_ten_restarts() {
    survive(&["get", "-j", "4", "URL"], |out| out.join("f.part"));
}

#[test]
fn sync_survives_ten_restarts() {
    survive(&["sync", "URL", "."], |out| out.join("f.part"));
}
