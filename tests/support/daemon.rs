//! The daemon in a process of its own, watched through its standard error and its messages to the service manager.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::client::Client;
use super::lines::Lines;
use super::run::{self, Finished, hftpd_with, run};
use super::settings::Settings;
use super::test_dir::{TestDir, set_mode};
use super::{LONG, eventually};

/// A daemon that serves. Killed when dropped. In a failing test its configuration, messages and log are printed.
pub(crate) struct Daemon {
    child: Child,
    config: PathBuf,
    /// In the order of the configuration.
    listeners: Vec<(SocketAddr, String)>,
    stderr: Arc<Lines>,
    stderr_thread: Option<JoinHandle<()>>,
    notify: Arc<Lines>,
    notify_socket: PathBuf,
    /// The test has waited for its exit.
    ended: bool,
}

impl Daemon {
    /// Writes the configuration, starts the daemon with `-c` and waits until it serves.
    #[track_caller]
    pub(crate) fn start(dir: &TestDir, settings: &Settings) -> Daemon {
        settings.write(&dir.config());
        Daemon::spawn(dir, hftpd_with(&[], &dir.config()).current_dir(dir.path()))
    }

    /// Starts this command as a daemon and waits until it serves.
    #[track_caller]
    pub(crate) fn spawn(dir: &TestDir, command: &mut Command) -> Daemon {
        let notify_socket = dir.at("notify");
        let _ = std::fs::remove_file(&notify_socket);
        let socket = UnixDatagram::bind(&notify_socket).expect("a notify socket");
        set_mode(&notify_socket, 0o666);
        let notify = Arc::new(Lines::default());
        collect_messages(socket, Arc::clone(&notify));

        command.env("NOTIFY_SOCKET", &notify_socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stderr = Arc::new(Lines::default());
        let pipe = child.stderr.take().expect("standard error is piped");
        let lines = Arc::clone(&stderr);
        let stderr_thread = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                lines.push(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned());
                line.clear();
            }
        });
        let mut daemon = Daemon {
            child,
            config: dir.config(),
            listeners: Vec::new(),
            stderr,
            stderr_thread: Some(stderr_thread),
            notify,
            notify_socket,
            ended: false,
        };
        daemon.wait_ready(0);
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address of the listener at this place in the configuration.
    #[track_caller]
    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.listeners[index].0
    }

    pub(crate) fn listeners(&self) -> &[(SocketAddr, String)] {
        &self.listeners
    }

    /// A new client of the first listener.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        self.client_of(0)
    }

    #[track_caller]
    pub(crate) fn client_of(&self, index: usize) -> Client {
        Client::connect(self.address(index))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal to {pid:?}: {error}"));
    }

    /// Writes the configuration and runs `hftpd reload`. If it succeeds, the listeners are updated.
    #[track_caller]
    pub(crate) fn reload(&mut self, settings: &Settings) -> Finished {
        settings.write(&self.config);
        self.reload_command()
    }

    /// Runs `hftpd reload` with the configuration file as it is.
    #[track_caller]
    pub(crate) fn reload_command(&mut self) -> Finished {
        let mark = self.notify.count();
        let finished = run(&mut hftpd_with(&["reload"], &self.config));
        if finished.code == Some(0) {
            let reloading = self.wait_message(mark, "RELOADING=1");
            self.wait_ready(reloading);
        }
        finished
    }

    /// Sends SIGHUP and waits until the reload has succeeded or failed.
    #[track_caller]
    pub(crate) fn hang_up(&mut self) {
        let mark = self.notify.count();
        self.signal(Signal::HUP);
        let reloading = self.wait_message(mark, "RELOADING=1");
        self.wait_ready(reloading);
    }

    /// Sends SIGTERM and waits until the daemon reports STOPPING=1.
    #[track_caller]
    pub(crate) fn drain(&self) {
        let mark = self.notify.count();
        self.signal(Signal::TERM);
        self.wait_message(mark, "STOPPING=1");
    }

    /// Ends the daemon with SIGTERM and returns its exit code.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait_exit().code()
    }

    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> std::process::ExitStatus {
        let status = run::wait(&mut self.child, LONG);
        self.ended = status.is_some();
        status.unwrap_or_else(|| panic!("the daemon has not ended within {LONG:?}"))
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("waitpid").is_none()
    }

    /// `hftpd status --json`
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let finished = run(&mut hftpd_with(&["status", "--json"], &self.config)).expect_code(0);
        serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("status --json is not JSON ({error}):\n{}", finished.stdout))
    }

    /// Waits until the status satisfies a condition.
    #[track_caller]
    pub(crate) fn wait_status(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        eventually(what, || {
            let status = self.status();
            if holds(&status) { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// Waits for this number of connections in this state (`total` for all states).
    #[track_caller]
    pub(crate) fn wait_connections(&self, state: &str, count: u64) {
        self.wait_status(&format!("{count} connections {state}"), |status| status["connections"][state] == count);
    }

    /// The current position in standard error, for `wait_stderr`.
    pub(crate) fn stderr_mark(&self) -> usize {
        self.stderr.count()
    }

    /// The lines of standard error so far.
    pub(crate) fn stderr_lines(&self) -> Vec<String> {
        self.stderr.snapshot()
    }

    /// Waits for a line of standard error, after the mark, that contains this text.
    #[track_caller]
    pub(crate) fn wait_stderr(&self, mark: usize, text: &str) -> String {
        let found = self.stderr.wait(mark, LONG, |line| line.contains(text));
        found.unwrap_or_else(|| panic!("no line on standard error with {text:?}")).1
    }

    /// Waits for a message to the service manager and returns the index after it.
    #[track_caller]
    fn wait_message(&self, mark: usize, wanted: &str) -> usize {
        let found = self.notify.wait(mark, LONG, |message| message.lines().any(|line| line == wanted));
        found.unwrap_or_else(|| panic!("no {wanted} to the service manager")).0 + 1
    }

    /// Waits for READY=1 and takes the listeners from the status that comes with it.
    #[track_caller]
    fn wait_ready(&mut self, mark: usize) {
        let ready = |message: &str| message.lines().any(|line| line == "READY=1");
        let patience = Duration::from_millis(50);
        let mut tries = LONG.as_millis() / patience.as_millis();
        let message = loop {
            if let Some((_, message)) = self.notify.wait(mark, patience, ready) {
                break message;
            }
            if let Some(status) = self.child.try_wait().expect("waitpid") {
                self.ended = true;
                panic!("the daemon ended ({status}) without READY=1");
            }
            tries -= 1;
            assert!(tries > 0, "no READY=1 within {LONG:?}");
        };
        match listeners_of(&message) {
            Some(listeners) => self.listeners = listeners,
            // After a failed reload the status reports the failure, and the listeners are unchanged.
            None => assert!(!self.listeners.is_empty(), "no listeners in {message:?}"),
        }
    }

    fn dump(&mut self) {
        eprintln!("---- the daemon, pid {}, {:?}", self.pid(), self.child.try_wait());
        eprintln!("---- listeners: {:?}", self.listeners);
        eprintln!("---- {}:", self.config.display());
        eprintln!("{}", std::fs::read_to_string(&self.config).unwrap_or_else(|error| error.to_string()));
        eprintln!("---- messages to the service manager:");
        for message in self.notify.snapshot() {
            eprintln!("{message:?}");
        }
        let lines = self.stderr.snapshot();
        let shown = lines.len().min(60);
        eprintln!("---- the last {shown} of {} lines of standard error:", lines.len());
        for line in &lines[lines.len() - shown..] {
            eprintln!("{line}");
        }
        eprintln!("----");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let unexpected = !self.ended && self.child.try_wait().is_ok_and(|status| status.is_some());
        let status = self.child.try_wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(socket) = UnixDatagram::unbound() {
            let _ = socket.send_to(b"", &self.notify_socket);
        }
        if let Some(thread) = self.stderr_thread.take() {
            let _ = thread.join();
        }
        let panicked = self.stderr.wait(0, Duration::ZERO, |line| line.contains("panicked at"));
        if std::thread::panicking() {
            self.dump();
        } else if unexpected || panicked.is_some() {
            self.dump();
            panic!("the daemon exited ({status:?}) or panicked ({panicked:?})");
        }
    }
}

/// Reads datagrams until an empty one comes.
fn collect_messages(socket: UnixDatagram, messages: Arc<Lines>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = socket.recv(&mut buffer) {
            messages.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    });
}

/// `STATUS=serving ROOT on ADDRESS (ENCODING), ADDRESS (ENCODING)...`
fn listeners_of(message: &str) -> Option<Vec<(SocketAddr, String)>> {
    let status = message.lines().find_map(|line| line.strip_prefix("STATUS=serving "))?;
    let (_, list) = status.rsplit_once(" on ")?;
    let entries = list.trim_end_matches('.').split("), ");
    entries
        .map(|entry| {
            let (address, encoding) = entry.split_once(" (")?;
            Some((address.parse().ok()?, encoding.trim_end_matches(')').to_owned()))
        })
        .collect()
}

/// Runs `hftpd [ARGUMENT...]` in the directory. The start must fail.
#[track_caller]
pub(crate) fn refused(dir: &TestDir, arguments: &[&str]) -> Finished {
    run(run::hftpd().args(arguments).current_dir(dir.path()))
}

/// The same with a configuration.
#[track_caller]
pub(crate) fn refused_config(dir: &TestDir, settings: &Settings) -> Finished {
    settings.write(&dir.config());
    refused_file(&dir.config())
}

/// The same with this configuration file, which may be missing.
#[track_caller]
pub(crate) fn refused_file(config: &Path) -> Finished {
    run(&mut hftpd_with(&[], config))
}
