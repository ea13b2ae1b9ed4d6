//! Files and roots to which something is done while they are served.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::content;
use crate::support::daemon::Daemon;
use crate::support::decode::Form;
use crate::support::run::run;
use crate::support::settings::Settings;
use crate::support::site::{Site, put, set_mode};
use crate::support::slow::{expect_whole, slow_in_all_forms};
use crate::support::{am_root, eventually, proc, skipped};

const LARGE: u64 = 48 << 20;

/// Something is done when answers in every form are under way; all of them arrive whole, with the old bytes.
fn while_it_is_sent(what: impl FnOnce(&Site, &Path)) -> (Site, Daemon) {
    let site = Site::new();
    let path = site.root().join("f");
    content::write(&path, 1, LARGE);
    let daemon = Daemon::start(&site, &Settings::new(&site).listen_all());
    let mut clients = slow_in_all_forms(&daemon, "f", LARGE);
    what(&site, &path);
    expect_whole(&mut clients, 1, LARGE);
    (site, daemon)
}

#[test]
fn growing_file_is_sent_with_its_old_size() {
    let (_site, daemon) = while_it_is_sent(|_, path| {
        let mut file = OpenOptions::new().append(true).open(path).expect("open to append");
        file.write_all(&[0; 1 << 20]).expect("append");
    });
    assert_eq!(daemon.client().size("f"), Ok(LARGE + (1 << 20)));
}

#[test]
fn deleted_file_is_sent_whole() {
    let (_site, daemon) = while_it_is_sent(|_, path| fs::remove_file(path).expect("rm"));
    daemon.client().ask("get_metadata f\r\n", "202 FILE NOT FOUND\r\n");
}

#[test]
fn file_without_permission_is_sent_whole() {
    let (_site, daemon) = while_it_is_sent(|_, path| set_mode(path, 0o000));
    let mut client = daemon.client();
    assert_eq!(client.size("f"), Ok(LARGE));
    client.ask("get_slice f 0 1\r\n", "199 INTERNAL SERVER ERROR\r\n");
    client.expect_close();
}

#[test]
fn emptied_or_forbidden_root_does_not_affect_running_answers() {
    let (site, daemon) = while_it_is_sent(|site, path| {
        put(&site.root().join("g"), b"");
        fs::remove_file(path).expect("rm");
        fs::remove_file(site.root().join("g")).expect("rm");
        set_mode(&site.root(), 0o000);
    });
    daemon.client().ask("get_file_listing\r\n", "199 INTERNAL SERVER ERROR\r\n");
    daemon.client().ask("get_metadata f\r\n", "199 INTERNAL SERVER ERROR\r\n");
    set_mode(&site.root(), 0o755);
    assert!(daemon.client().listing().is_empty());
}

/// A disk that is mounted at the root.
struct Disk(PathBuf);

impl Disk {
    #[track_caller]
    fn mount(root: PathBuf) -> Disk {
        let options = "size=100m,mode=755";
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&root)).expect_code(0);
        Disk(root)
    }

    fn unmount(&self, how: &[&str]) -> Result<(), String> {
        let finished = run(Command::new("umount").args(how).arg(&self.0));
        if finished.code == Some(0) { Ok(()) } else { Err(finished.stderr) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.unmount(&["--lazy"]);
    }
}

#[test]
fn root_can_be_unmounted_and_mounted_again() {
    if !am_root() {
        return skipped("only root may mount");
    }
    let site = Site::new();
    site.file("beneath", b"");
    let daemon = {
        let _disk = Disk::mount(site.root());
        Daemon::start(&site, &Settings::new(&site))
    };
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["beneath"]);
    for round in 0..2 {
        let disk = Disk::mount(site.root());
        content::write(&site.root().join("f"), 1, 1000);
        assert_eq!(client.listing(), ["f"]);
        let bytes = client.slice(Form::Fragments, "f", 0, 1000).expect("a slice");
        assert!(bytes == content::pattern(1, 0, 1000), "round {round}");
        eventually("nobody uses the disk", || disk.unmount(&[]));
        client.ask("get_metadata f\r\n", "202 FILE NOT FOUND\r\n");
        assert_eq!(client.listing(), ["beneath"]);
    }
}

/// How often threads that may wait for a disk have gone to sleep: once for each question at least.
fn sleeps_of_disk_threads(daemon: &Daemon) -> u64 {
    let threads = proc::threads(daemon.pid()).into_iter().filter(|thread| {
        fs::read_to_string(format!("/proc/{thread}/comm")).is_ok_and(|name| name.trim_end() == "disk")
    });
    let sleeps =
        |thread: String| proc::status_line(&thread, "voluntary_ctxt_switches").parse::<u64>().expect("a number");
    threads.map(sleeps).sum()
}

#[test]
fn cached_lookups_in_an_overlay_use_no_thread() {
    const FILES: u64 = 100;
    let empty = "0 OK\r\nContent-Length: 0\r\n\r\n";
    if !am_root() {
        return skipped("only root may mount");
    }
    let site = Site::new();
    let lower = site.dir("lower", &[]);
    let upper = Disk::mount(site.dir("disk", &[]));
    for name in ["upper", "work"] {
        fs::create_dir(upper.0.join(name)).expect("mkdir");
    }
    for number in 0..FILES {
        put(&lower.join(format!("low{number}")), b"low");
        put(&upper.0.join(format!("upper/up{number}")), b"up");
    }
    let disk = upper.0.display();
    let options = format!("lowerdir={},upperdir={disk}/upper,workdir={disk}/work", lower.display());
    let mounted = run(Command::new("mount").args(["-t", "overlay", "-o", &options, "none"]).arg(site.root()));
    if mounted.code != Some(0) {
        return skipped(&format!("cannot mount an overlay: {}", mounted.stderr));
    }
    let _overlay = Disk(site.root());
    set_mode(&site.root(), 0o755);
    let daemon = Daemon::start(&site, &Settings::new(&site).set("workers", "1"));
    let mut client = daemon.client();
    let mut ask_for_all = || {
        for number in 0..FILES {
            client.ask(format!("get_metadata low{number}\r\n"), "0 OK\r\n3\r\n");
            client.ask(format!("get_slice low{number} 0 0 raw\r\n"), empty);
            client.ask(format!("get_metadata up{number}\r\n"), "0 OK\r\n2\r\n");
            client.ask(format!("get_slice up{number} 0 0 raw\r\n"), empty);
        }
    };
    // Threads bring into memory what is not there.
    ask_for_all();
    let before = sleeps_of_disk_threads(&daemon);
    ask_for_all();
    let sleeps = sleeps_of_disk_threads(&daemon) - before;
    assert!(sleeps < FILES / 10, "threads were asked {sleeps} times or so for {FILES} files that are in memory");
}

#[test]
fn lazy_unmount_does_not_affect_running_answers() {
    if !am_root() {
        return skipped("only root may mount");
    }
    let site = Site::new();
    let disk = Disk::mount(site.root());
    content::write(&site.root().join("f"), 1, LARGE);
    let daemon = Daemon::start(&site, &Settings::new(&site).listen_all());
    let mut clients = slow_in_all_forms(&daemon, "f", LARGE);
    disk.unmount(&["--lazy"]).expect("umount");
    let mut client = daemon.client();
    client.ask("get_metadata f\r\n", "202 FILE NOT FOUND\r\n");
    assert!(client.listing().is_empty());
    expect_whole(&mut clients, 1, LARGE);
}
