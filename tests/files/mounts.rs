//! Roots on file systems that are mounted and unmounted.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{
    Daemon, Encoding, Settings, TestDir, am_root, content, eventually, expect_whole, proc, publish_large, put, run,
    set_mode, skipped, slow_clients,
};

/// A file system mounted on a directory. Dropped, it is unmounted.
struct Mount(PathBuf);

impl Mount {
    #[track_caller]
    fn tmpfs(directory: PathBuf) -> Mount {
        let arguments = ["-t", "tmpfs", "-o", "size=100m,mode=755", "none"];
        run(Command::new("mount").args(arguments).arg(&directory)).expect_code(0);
        Mount(directory)
    }

    fn unmount(&self, options: &[&str]) -> Result<(), String> {
        let finished = run(Command::new("umount").args(options).arg(&self.0));
        if finished.code == Some(0) { Ok(()) } else { Err(finished.stderr) }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.unmount(&["--lazy"]);
    }
}

#[test]
fn root_can_be_unmounted_and_mounted_again() {
    if !am_root() {
        return skipped("only root may mount");
    }
    let dir = TestDir::new();
    dir.file("beneath", b"");
    let daemon = {
        let _mount = Mount::tmpfs(dir.root());
        Daemon::start(&dir, &Settings::new(&dir))
    };
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["beneath"]);
    for round in 0..2 {
        let mount = Mount::tmpfs(dir.root());
        content::write(&dir.root().join("f"), 1, 1000);
        assert_eq!(client.listing(), ["f"]);
        let bytes = client.slice(Encoding::Fragments, "f", 0, 1000).expect("a slice");
        assert!(bytes == content::pattern(1, 0, 1000), "round {round}");
        eventually("the daemon holds nothing open", || mount.unmount(&[]));
        client.ask("get_metadata f\r\n", "202 FILE NOT FOUND\r\n");
        assert_eq!(client.listing(), ["beneath"]);
    }
}

/// How often the threads for disk operations have slept: at least once for each operation.
fn sleeps_of_disk_threads(daemon: &Daemon) -> u64 {
    let threads = proc::threads(daemon.pid()).into_iter();
    let disk_threads = threads.filter(|thread| proc::status_line(thread, "Name") == "disk");
    disk_threads
        .map(|thread| proc::status_line(&thread, "voluntary_ctxt_switches").parse::<u64>().expect("a number"))
        .sum()
}

#[test]
fn cached_lookups_in_an_overlay_use_no_thread() {
    const FILES: u64 = 100;
    let empty = "0 OK\r\nContent-Length: 0\r\n\r\n";
    if !am_root() {
        return skipped("only root may mount");
    }
    let dir = TestDir::new();
    let lower = dir.create_dir("lower", &[]);
    let upper = Mount::tmpfs(dir.create_dir("disk", &[]));
    for name in ["upper", "work"] {
        fs::create_dir(upper.0.join(name)).expect("mkdir");
    }
    for number in 0..FILES {
        put(&lower.join(format!("low{number}")), b"low");
        put(&upper.0.join(format!("upper/up{number}")), b"up");
    }
    let disk = upper.0.display();
    let options = format!("lowerdir={},upperdir={disk}/upper,workdir={disk}/work", lower.display());
    let mounted = run(Command::new("mount").args(["-t", "overlay", "-o", &options, "none"]).arg(dir.root()));
    if mounted.code != Some(0) {
        return skipped(&format!("cannot mount an overlay: {}", mounted.stderr));
    }
    let _overlay = Mount(dir.root());
    set_mode(&dir.root(), 0o755);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("workers", "1"));
    let mut client = daemon.client();
    let mut ask_for_all = || {
        for number in 0..FILES {
            client.ask(format!("get_metadata low{number}\r\n"), "0 OK\r\n3\r\n");
            client.ask(format!("get_slice low{number} 0 0 raw\r\n"), empty);
            client.ask(format!("get_metadata up{number}\r\n"), "0 OK\r\n2\r\n");
            client.ask(format!("get_slice up{number} 0 0 raw\r\n"), empty);
        }
    };
    // The first look-ups are not cached and use threads.
    ask_for_all();
    let before = sleeps_of_disk_threads(&daemon);
    ask_for_all();
    let sleeps = sleeps_of_disk_threads(&daemon) - before;
    assert!(sleeps < FILES / 10, "threads worked {sleeps} times for {FILES} cached files");
}

#[test]
fn lazy_unmount_does_not_affect_running_answers() {
    if !am_root() {
        return skipped("only root may mount");
    }
    let dir = TestDir::new();
    let mount = Mount::tmpfs(dir.root());
    publish_large(&dir);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let mut clients = slow_clients(&daemon);
    mount.unmount(&["--lazy"]).expect("umount");
    let mut client = daemon.client();
    client.ask("get_metadata large\r\n", "202 FILE NOT FOUND\r\n");
    assert!(client.listing().is_empty());
    expect_whole(&mut clients);
}
