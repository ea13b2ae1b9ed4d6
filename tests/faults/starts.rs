//! Starts that are disturbed: by signals, by a full disk, by a directory that is not there.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::behind;
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::run::{self, hftpd_with, run};
use crate::support::settings::Settings;
use crate::support::site::{Site, put};
use crate::support::{LONG, am_root, eventually, own_address, proc, skipped};
use crate::{expect_served, reset};

const STARTS: u32 = 60;

/// A signal at another moment of the start each time, but not before the daemon blocks or handles signal `after`.
#[track_caller]
fn signal_while_starting(pid: u32, after: Signal, signal: Signal, round: u32) {
    let bit = 1_u64 << (after.as_raw() - 1);
    let start = Instant::now();
    let mask = |name| u64::from_str_radix(&proc::status_line(&pid.to_string(), name), 16).expect("a mask");
    while (mask("SigCgt") | mask("SigBlk")) & bit == 0 {
        assert!(start.elapsed() < LONG, "it does not handle {after:?}");
    }
    // From at once to when it serves.
    std::thread::sleep(Duration::from_micros(u64::from(round) * 100));
    kill_process(Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid"), signal).expect("a signal");
}

/// A process that is started and nothing else. Dropped, it is killed; by a failing test, what it said is shown.
struct Started(Child, PathBuf);

impl Started {
    fn spawn(site: &Site, command: &mut Command) -> Started {
        let said = site.at("said");
        let stderr = fs::File::create(&said).expect("a file for standard error");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        Started(command.spawn().expect("the daemon"), said)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        run::wait(&mut self.0, LONG).expect("it ends")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            eprintln!("it said:\n{}", fs::read_to_string(&self.1).unwrap_or_default());
        }
    }
}

#[track_caller]
fn eventually_serves(address: SocketAddr) {
    eventually("it serves", || TcpStream::connect(address).map(drop).map_err(|error| error.to_string()));
    Client::connect(address).expect_alive();
}

#[test]
fn sighup_during_the_start_reloads_afterwards() {
    let site = Site::of_the_examples();
    let address = own_address();
    Settings::new(&site).listen_on(address, "fragments").write(&site.config());
    for round in 0..STARTS {
        let mut daemon = Started::spawn(&site, &mut hftpd_with(&[], &site.config()));
        signal_while_starting(daemon.pid(), Signal::HUP, Signal::HUP, round);
        eventually_serves(address);
        eventually("the reload is done", || {
            let status = run(&mut hftpd_with(&["status", "--json"], &site.config())).stdout;
            if status.contains("\"succeeded\":1") { Ok(()) } else { Err(status) }
        });
        kill_process(Pid::from_child(&daemon.0), Signal::TERM).expect("a signal");
        assert_eq!(daemon.wait().code(), Some(0), "round {round}");
    }
}

#[test]
fn sigterm_during_the_start_stops_cleanly() {
    let site = Site::of_the_examples();
    let address = own_address();
    Settings::new(&site).listen_on(address, "fragments").write(&site.config());
    for round in 0..STARTS {
        let mut daemon = Started::spawn(&site, &mut hftpd_with(&[], &site.config()));
        let signal = if round % 2 == 0 { Signal::TERM } else { Signal::INT };
        signal_while_starting(daemon.pid(), Signal::HUP, signal, round);
        let status = daemon.wait();
        // While there is nothing to leave behind, the signal may end it as it ends any process.
        let is_clean = status.code() == Some(0) || status.signal() == Some(signal.as_raw());
        assert!(is_clean, "round {round}: {status}");
        assert!(!site.control().exists(), "round {round}: a control socket is left");
    }
    eventually("nobody listens", || TcpStream::connect(address).map_or(Ok(()), |_| Err("connected".to_owned())));
}

#[test]
fn sigterm_during_a_background_start_stops_cleanly() {
    let site = Site::of_the_examples();
    let address = own_address();
    Settings::new(&site).listen_on(address, "fragments").write(&site.config());
    let pid_file = site.at("pid");
    for round in 0..STARTS {
        put(&pid_file, b"");
        let mut command = hftpd_with(&["--daemon"], &site.config());
        let mut daemon = Started::spawn(&site, command.arg("--pid-file").arg(&pid_file));
        let pid = daemon_of(&pid_file, &mut daemon);
        signal_while_starting(pid, Signal::TERM, Signal::TERM, round);
        assert_eq!(daemon.wait().code(), Some(0), "round {round}");
        eventually("the daemon ends", || if proc::is_alive(pid) { Err(format!("{pid} lives")) } else { Ok(()) });
        assert!(!site.control().exists(), "round {round}: a control socket is left");
    }
}

/// The process of the pid file, once it is written.
#[track_caller]
fn daemon_of(pid_file: &Path, starting: &mut Started) -> u32 {
    let start = Instant::now();
    loop {
        // Asked before the file is read: once it has ended, the file is as it stays.
        let ended = starting.0.try_wait().expect("the start");
        let text = fs::read_to_string(pid_file).expect("the pid file");
        match text.strip_suffix('\n').map(str::parse) {
            Some(Ok(pid)) => return pid,
            _ => assert!(ended.is_none() && start.elapsed() < LONG, "{text:?} is no process; the start: {ended:?}"),
        }
    }
}

#[test]
fn full_disk_under_the_pid_file_is_71() {
    if !am_root() {
        return skipped("only root may mount a small disk");
    }
    let site = Site::of_the_examples();
    let address = own_address();
    Settings::new(&site).listen_on(address, "fragments").write(&site.config());
    let disk = site.dir("disk", &[]);
    // What is left on the disk when the daemon has gone is told at the end.
    let script = format!(
        "mount -t tmpfs -o size=4k none {0} && head -c 4096 /dev/zero >{0}/fill && \"$@\" --daemon --pid-file {0}/pid; \
         code=$?; ls {0}; exit $code",
        disk.display()
    );
    let wrapper = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let finished = run(&mut behind(&wrapper, &site.config())).expect_code(71);
    assert!(finished.stderr.contains("No space left on device"), "{}", finished.stderr);
    assert!(finished.stderr.contains("disk/pid"), "{}", finished.stderr);
    assert_eq!(finished.stdout, "fill\n", "a pid file that names nobody is left");
    assert!(TcpStream::connect(address).is_err(), "somebody listens");
}

#[test]
fn missing_control_dir_is_reported_and_tolerated() {
    let site = Site::of_the_examples();
    let absent = site.at("absent/control");
    let settings = Settings::new(&site).set("control", &format!("{absent:?}"));
    let mut daemon = Daemon::start(&site, &settings);
    let line = daemon.wait_stderr(0, "no control socket at ");
    assert!(line.contains(&*absent.to_string_lossy()), "{line}");
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    for command in ["status", "reload"] {
        run(&mut hftpd_with(&[command], &site.config())).expect_code(69);
    }
    settings.set("limits.request-line", "2048").write(&site.config());
    daemon.hang_up();
    daemon.wait_stderr(0, "reloaded: limits.request-line");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn serving_survives_removed_control_dir() {
    let site = Site::of_the_examples();
    let mut daemon = Daemon::start(&site, &Settings::new(&site));
    daemon.status();
    fs::rename(site.at("run"), site.at("gone")).expect("rename");
    for command in ["status", "reload"] {
        run(&mut hftpd_with(&[command], &site.config())).expect_code(69);
    }
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    daemon.hang_up();
    reset(expect_served(&daemon));
    put(&site.at("run"), b"not even a directory");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn control_path_that_is_no_socket_is_left_alone() {
    let site = Site::of_the_examples();
    let precious = put(&site.at("precious"), b"a thesis");
    let settings = Settings::new(&site).set("control", &format!("{precious:?}"));
    let mut daemon = Daemon::start(&site, &settings);
    daemon.wait_stderr(0, "not a socket");
    let checked = run(&mut hftpd_with(&["check"], &site.config())).expect_code(78);
    assert!(checked.stderr.contains("not a socket"), "{}", checked.stderr);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(fs::read(&precious).expect("the file"), b"a thesis");
}

#[test]
fn restart_during_a_drain_gets_the_control_socket() {
    let site = Site::new();
    crate::support::content::write(&site.root().join("large"), 1, 48 << 20);
    let control = site.at("run/control");
    let settings = Settings::new(&site).set("control", &format!("{control:?}")).set("timeouts.drain", "\"5m\"");
    let mut old = Daemon::start(&site, &settings);
    let mut client = crate::support::client::Client::connect_narrow(old.address(0));
    client.ask("get_slice large 0 50331648 raw\r\n", "0 OK\r\nContent-Length: 50331648\r\n\r\n");
    old.drain();
    let new = Daemon::spawn(&site, &mut hftpd_with(&[], &site.config()));
    new.wait_stderr(0, "another daemon");
    client.exactly(48 << 20);
    assert_eq!(old.wait_exit().code(), Some(0));
    new.wait_stderr(0, "the other daemon has ended");
    assert_eq!(new.status()["pid"], new.pid());
}
