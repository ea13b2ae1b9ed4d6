//! Starts with signals, a full disk, or a missing directory.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::expect_served;
use crate::process::executed_by;
use crate::support::{
    Client, Daemon, LONG, Settings, TestDir, am_root, eventually, eventually_refused, hftpd_with, own_address, proc,
    publish_large, put, run, skipped,
};

const STARTS: u32 = 60;

/// A configuration, and the address of its listener.
fn configure() -> (TestDir, SocketAddr) {
    let (dir, address) = (TestDir::of_the_examples(), own_address());
    Settings::new(&dir).listen_on(address, "fragments").write(&dir.config());
    (dir, address)
}

/// Sends a signal at a moment of the start that depends on the round, once the daemon blocks or handles signal `after`.
#[track_caller]
fn signal_while_starting(pid: u32, after: Signal, signal: Signal, round: u32) {
    let bit = 1_u64 << (after.as_raw() - 1);
    let start = Instant::now();
    let mask = |name| u64::from_str_radix(&proc::status_line(&pid.to_string(), name), 16).expect("a mask");
    while (mask("SigCgt") | mask("SigBlk")) & bit == 0 {
        assert!(start.elapsed() < LONG, "it does not handle {after:?}");
    }
    // Between at once and the end of the start.
    std::thread::sleep(Duration::from_micros(u64::from(round) * 100));
    kill_process(Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid"), signal).expect("a signal");
}

/// A daemon that may still be starting. Dropped, it is killed; if the test fails, its standard error is printed.
pub(crate) struct Starting(Child, PathBuf);

impl Starting {
    pub(crate) fn spawn(dir: &TestDir, command: &mut Command) -> Starting {
        let output = dir.at("stderr");
        let stderr = fs::File::create(&output).expect("a file for standard error");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        Starting(command.spawn().expect("the daemon"), output)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("a signal");
    }

    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        run::wait(&mut self.0, LONG).expect("it ends")
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            eprintln!("standard error:\n{}", fs::read_to_string(&self.1).unwrap_or_default());
        }
    }
}

#[track_caller]
pub(crate) fn wait_serving(address: SocketAddr) {
    eventually("it serves", || TcpStream::connect(address).map(drop).map_err(|error| error.to_string()));
    Client::connect(address).expect_alive();
}

#[test]
fn sighup_during_the_start_reloads_afterwards() {
    let (dir, address) = configure();
    for round in 0..STARTS {
        let mut daemon = Starting::spawn(&dir, &mut hftpd_with(&[], &dir.config()));
        signal_while_starting(daemon.pid(), Signal::HUP, Signal::HUP, round);
        wait_serving(address);
        eventually("the reload is done", || {
            let status = run(&mut hftpd_with(&["status", "--json"], &dir.config())).stdout;
            if status.contains("\"succeeded\":1") { Ok(()) } else { Err(status) }
        });
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait().code(), Some(0), "round {round}");
    }
}

/// Whether SIGINT is ignored here, and so by the daemon until it handles signals. A shell without job control starts
/// background processes like that (POSIX, Shell Command Language, 2.11).
fn interrupt_is_ignored() -> bool {
    let ignored = u64::from_str_radix(&proc::status_line("self", "SigIgn"), 16).expect("a mask");
    ignored & 1 << (Signal::INT.as_raw() - 1) != 0
}

#[test]
fn sigterm_during_the_start_stops_cleanly() {
    let (dir, address) = configure();
    for round in 0..STARTS {
        let mut daemon = Starting::spawn(&dir, &mut hftpd_with(&[], &dir.config()));
        let signal = if round % 2 == 0 || interrupt_is_ignored() { Signal::TERM } else { Signal::INT };
        signal_while_starting(daemon.pid(), Signal::HUP, signal, round);
        let status = daemon.wait();
        // Before there is anything to clean up, the signal may end the process.
        let is_clean = status.code() == Some(0) || status.signal() == Some(signal.as_raw());
        assert!(is_clean, "round {round}: {status}");
        assert!(!dir.control().exists(), "round {round}: a control socket is left");
    }
    eventually_refused(address);
}

#[test]
fn sigterm_during_a_background_start_stops_cleanly() {
    let (dir, _) = configure();
    let pid_file = dir.at("pid");
    for round in 0..STARTS {
        put(&pid_file, b"");
        let mut command = hftpd_with(&["--daemon"], &dir.config());
        let mut daemon = Starting::spawn(&dir, command.arg("--pid-file").arg(&pid_file));
        let pid = daemon_of(&pid_file, &mut daemon);
        signal_while_starting(pid, Signal::TERM, Signal::TERM, round);
        assert_eq!(daemon.wait().code(), Some(0), "round {round}");
        eventually("the daemon ends", || if proc::is_alive(pid) { Err(format!("{pid} lives")) } else { Ok(()) });
        assert!(!dir.control().exists(), "round {round}: a control socket is left");
    }
}

/// Waits for the pid file and returns its process.
#[track_caller]
fn daemon_of(pid_file: &Path, starting: &mut Starting) -> u32 {
    let start = Instant::now();
    loop {
        // In this order: after the end of the process the file does not change.
        let ended = starting.0.try_wait().expect("the start");
        let text = fs::read_to_string(pid_file).expect("the pid file");
        match text.strip_suffix('\n').map(str::parse) {
            Some(Ok(pid)) => return pid,
            _ => assert!(ended.is_none() && start.elapsed() < LONG, "{text:?} is no pid; the start: {ended:?}"),
        }
    }
}

#[test]
fn full_disk_under_the_pid_file_is_71() {
    if !am_root() {
        return skipped("only root may mount a small disk");
    }
    let (dir, address) = configure();
    let disk = dir.create_dir("disk", &[]);
    // At the end it lists what is left on the disk.
    let script = format!(
        "mount -t tmpfs -o size=4k none {0} && head -c 4096 /dev/zero >{0}/fill && \"$@\" --daemon --pid-file {0}/pid; \
         code=$?; ls {0}; exit $code",
        disk.display()
    );
    let wrapper = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let finished = run(&mut executed_by(&wrapper, &dir.config())).expect_code(71);
    assert!(finished.stderr.contains("No space left on device"), "{}", finished.stderr);
    assert!(finished.stderr.contains("disk/pid"), "{}", finished.stderr);
    assert_eq!(finished.stdout, "fill\n", "an empty pid file is left");
    assert!(TcpStream::connect(address).is_err(), "a daemon listens");
}

#[test]
fn missing_control_dir_is_reported_and_tolerated() {
    let dir = TestDir::of_the_examples();
    let absent = dir.at("absent/control");
    let settings = Settings::new(&dir).set("control", &format!("{absent:?}"));
    let mut daemon = Daemon::start(&dir, &settings);
    let line = daemon.wait_stderr(0, "no control socket at ");
    assert!(line.contains(&*absent.to_string_lossy()), "{line}");
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    for command in ["status", "reload"] {
        run(&mut hftpd_with(&[command], &dir.config())).expect_code(69);
    }
    settings.set("limits.request-line", "2048").write(&dir.config());
    daemon.hang_up();
    daemon.wait_stderr(0, "reloaded: limits.request-line");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn serving_survives_removed_control_dir() {
    let dir = TestDir::of_the_examples();
    let mut daemon = Daemon::start(&dir, &Settings::new(&dir));
    daemon.status();
    fs::rename(dir.at("run"), dir.at("gone")).expect("rename");
    for command in ["status", "reload"] {
        run(&mut hftpd_with(&[command], &dir.config())).expect_code(69);
    }
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    daemon.hang_up();
    expect_served(&daemon).reset();
    put(&dir.at("run"), b"a file");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn control_path_of_another_file_is_not_changed() {
    let dir = TestDir::of_the_examples();
    let precious = put(&dir.at("precious"), b"a thesis");
    let settings = Settings::new(&dir).set("control", &format!("{precious:?}"));
    let mut daemon = Daemon::start(&dir, &settings);
    daemon.wait_stderr(0, "not a socket");
    let checked = run(&mut hftpd_with(&["check"], &dir.config())).expect_code(78);
    assert!(checked.stderr.contains("not a socket"), "{}", checked.stderr);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(fs::read(&precious).expect("the file"), b"a thesis");
}

#[test]
fn restart_during_a_drain_gets_the_control_socket() {
    let dir = TestDir::new();
    publish_large(&dir);
    let control = dir.at("run/control");
    let settings = Settings::new(&dir).set("control", &format!("{control:?}")).set("timeouts.drain", "\"5m\"");
    let mut old = Daemon::start(&dir, &settings);
    let mut client = Client::connect_narrow(old.address(0));
    client.ask("get_slice large 0 50331648 raw\r\n", "0 OK\r\nContent-Length: 50331648\r\n\r\n");
    old.drain();
    let new = Daemon::spawn(&dir, &mut hftpd_with(&[], &dir.config()));
    new.wait_stderr(0, "another daemon");
    client.exactly(48 << 20);
    assert_eq!(old.wait_exit().code(), Some(0));
    new.wait_stderr(0, "the other daemon has ended");
    assert_eq!(new.status()["pid"], new.pid());
}
