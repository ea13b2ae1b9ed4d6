//! A directory with a million entries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::expect_served;
use crate::support::proc::anonymous_kib;
use crate::support::{Client, Daemon, Settings, TestDir, am_root, eventually, proc, put, run, set_mode, skipped};

const ENTRIES: usize = 1_000_000;

/// Bytes of a name.
const NAME: usize = 10;

/// A directory on a tmpfs, which is faster to fill and to remove.
struct ManyFiles(TempDir);

impl ManyFiles {
    #[track_caller]
    fn mount() -> ManyFiles {
        let dir = tempfile::Builder::new().prefix("hftpd-many-").tempdir().expect("a temporary directory");
        let options = "nr_inodes=0,size=100m,mode=755";
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(dir.path())).expect_code(0);
        let files = ManyFiles(dir);
        let first = put(&files.name(0), b"0123456789");
        set_mode(&first, 0o644);
        for number in 1..ENTRIES {
            fs::hard_link(&first, files.name(number)).expect("a hard link");
        }
        files
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn name(&self, number: usize) -> PathBuf {
        self.root().join(format!("{number:0NAME$}"))
    }
}

impl Drop for ManyFiles {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.root()).status();
    }
}

#[test]
fn listing_a_million_names_does_not_delay_other_clients() {
    const CLIENTS: usize = 10;
    if !am_root() {
        return skipped("only root may mount a tmpfs");
    }
    let begin = Instant::now();
    let files = ManyFiles::mount();
    println!("{ENTRIES} names created in {:?}", begin.elapsed());
    let dir = TestDir::new();
    // One event loop: no other could serve the clients that wait.
    let settings = Settings::new(&dir).root(files.root()).set("workers", "1").set("log.access", "false");
    let daemon = Daemon::start(&dir, &settings);
    expect_served(&daemon).ask("get_metadata 0000000000\r\n", "0 OK\r\n10\r\n");
    let before = anonymous_kib(daemon.pid());
    proc::reset_peak(daemon.pid());

    let wanted = (NAME + 2) * ENTRIES;
    let is_built = AtomicBool::new(false);
    let (mut slowest, mut served, mut served_before) = (Duration::ZERO, 0, 0);
    std::thread::scope(|scope| {
        let begin = Instant::now();
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| daemon.client()).collect();
        clients.iter_mut().for_each(|client| client.send("get_file_listing\r\n"));
        let is_built = &is_built;
        let list = scope.spawn(move || {
            for client in &mut clients {
                client.expect("0 OK\r\n");
                is_built.store(true, Ordering::Relaxed);
                let names = client.exactly(wanted);
                let mut each = names.chunks(NAME + 2).enumerate();
                assert!(each.all(|(number, name)| name == format!("{number:0NAME$}\r\n").as_bytes()), "wrong names");
                client.expect("\r\n");
            }
        });
        let mut other = daemon.client();
        while !list.is_finished() {
            let begin = Instant::now();
            other.ask("get_slice 0000999999 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
            slowest = slowest.max(begin.elapsed());
            served += 1;
            if !is_built.load(Ordering::Relaxed) {
                served_before = served;
            }
        }
        list.join().expect("the listings");
        println!("{CLIENTS} listings took {:?}", begin.elapsed());
    });
    println!("{served} other requests, {served_before} before a listing was built, {slowest:?} at most");
    assert!(served_before > 10, "{served_before} other requests were answered while a listing was built");
    assert!(slowest < Duration::from_secs(1), "another client waited {slowest:?}");

    let peak = proc::peak_kib(daemon.pid()).saturating_sub(before);
    println!("{peak} KiB at most for a listing of {} KiB", wanted / 1024);
    // Clients share the text. While it is built there are also the names, their offsets and their order.
    assert!(peak < 8 * (wanted / 1024) as u64, "{CLIENTS} listings of {wanted} bytes cost {peak} KiB");
    eventually("the memory is released", || match anonymous_kib(daemon.pid()).saturating_sub(before) {
        left if left < 2 * (wanted / 1024) as u64 => Ok(()),
        left => Err(format!("{left} KiB")),
    });
}
