//! Directory entries that are not regular files.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Daemon, Settings, TestDir, eventually, proc, set_mode, skipped};
use crate::{expect_content, expect_not_found};

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("mkfifo");
    set_mode(path, 0o666);
}

/// A thread that waits in open(2) of a FIFO. It would return if the daemon opened the FIFO.
struct Writer {
    fifo: PathBuf,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Writer {
    #[track_caller]
    fn of(fifo: &Path) -> Writer {
        let (sender, receiver) = mpsc::channel();
        let path = fifo.to_owned();
        let thread = std::thread::spawn(move || {
            sender.send(fs::read_link("/proc/thread-self").expect("/proc/thread-self")).expect("the test waits");
            OpenOptions::new().write(true).open(path).map(drop)
        });
        let process = receiver.recv().expect("the writer's thread");
        eventually("the writer waits in open", || match proc::is_asleep(&process) {
            true => Ok(()),
            false => Err("it runs".to_owned()),
        });
        Writer { fifo: fifo.to_owned(), thread }
    }

    /// It still waits. The first reader ends the wait.
    #[track_caller]
    fn expect_waiting(self) {
        assert!(!self.thread.is_finished(), "the FIFO was opened");
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&self.fifo);
        let reader = open.expect("open the FIFO");
        self.thread.join().expect("the writer's thread").expect("open for writing");
        drop(reader);
    }
}

#[test]
fn directories_and_sockets_are_not_served() {
    let dir = TestDir::of_the_examples();
    let _socket = UnixListener::bind(dir.root().join("socket")).expect("a socket");
    set_mode(&dir.root().join("socket"), 0o666);
    fs::create_dir(dir.root().join("dir")).expect("a directory");
    dir.link("to-socket", "socket");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for name in ["socket", "to-socket", "dir", "sub"] {
        expect_not_found(&mut client, name);
    }
    assert_eq!(client.listing(), ["a10", "empty", "noread"]);
}

#[test]
fn devices_are_not_served() {
    let dir = TestDir::of_the_examples();
    for (name, minor) in [("null", 3), ("zero", 5)] {
        let path = dir.root().join(name);
        let device = rustix::fs::makedev(1, minor);
        if let Err(error) = mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), device) {
            return skipped(&format!("cannot make a device: {error}"));
        }
        set_mode(&path, 0o666);
    }
    dir.link("to-null", "null");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    for name in ["null", "zero", "to-null"] {
        expect_not_found(&mut client, name);
    }
    assert_eq!(client.listing(), ["a10", "empty", "noread"]);
}

#[test]
fn fifo_is_not_opened() {
    let dir = TestDir::of_the_examples();
    let fifo = dir.root().join("fifo");
    make_fifo(&fifo);
    dir.link("to-fifo", "fifo");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));

    let writer = Writer::of(&fifo);
    let mut client = daemon.client();
    for name in ["fifo", "to-fifo"] {
        expect_not_found(&mut client, name);
    }
    assert_eq!(client.listing(), ["a10", "empty", "noread"]);
    expect_content(&mut client, "a10", "0123456789");
    writer.expect_waiting();
}

#[test]
fn file_replaced_by_a_fifo_is_not_found() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    expect_content(&mut client, "a10", "0123456789");
    let fifo = dir.at("fifo");
    make_fifo(&fifo);
    fs::rename(&fifo, dir.root().join("a10")).expect("rename");
    expect_not_found(&mut client, "a10");
    assert_eq!(client.listing(), ["empty", "noread"]);
}

#[test]
fn fifo_in_place_of_a_cached_file_is_not_opened() {
    let dir = TestDir::of_the_examples();
    let fifo = dir.at("fifo");
    make_fifo(&fifo);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    // The daemon caches the type of a name only in a directory that has not changed for 2 s.
    eventually("the directory has settled", || {
        let changed = fs::metadata(dir.root()).and_then(|root| root.modified()).expect("the root");
        match changed.elapsed() {
            Ok(age) if age > Duration::from_millis(2100) => Ok(()),
            age => Err(format!("{age:?}")),
        }
    });
    for name in ["a10", "empty", "a10", "empty", "a10"] {
        client.ask(format!("get_slice {name} 0 0 raw\r\n"), "0 OK\r\nContent-Length: 0\r\n\r\n");
    }
    let writer = Writer::of(&fifo);
    fs::rename(&fifo, dir.root().join("a10")).expect("rename");
    expect_not_found(&mut client, "a10");
    expect_content(&mut client, "empty", "");
    Writer { fifo: dir.root().join("a10"), ..writer }.expect_waiting();
}
