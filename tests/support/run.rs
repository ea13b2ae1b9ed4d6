//! Commands that exit by themselves.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::LONG;

/// The result of a command.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    what: String,
}

impl Finished {
    /// Standard output and standard error.
    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Finished {
        assert_eq!(
            self.code,
            Some(code),
            "exit code of {}\nstdout: {}\nstderr: {}",
            self.what,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Checks that the output contains this text.
    #[track_caller]
    pub(crate) fn expect_says(self, text: &str) -> Finished {
        let output = self.output();
        assert!(output.contains(text), "no {text:?} in the output of {}:\n{output}", self.what);
        self
    }
}

/// The daemon's binary, without the variables of a service manager.
pub(crate) fn hftpd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hftpd"));
    for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command
}

/// `hftpd [WORD...] -c FILE`
pub(crate) fn hftpd_with(words: &[&str], config: &Path) -> Command {
    let mut command = hftpd();
    command.args(words).arg("-c").arg(config);
    command
}

/// Runs a command to its end. Its output goes to files, so that a child process that still runs does not delay the test.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Finished {
    let what = format!("{command:?}");
    let mut stdout = tempfile::tempfile().expect("a temporary file");
    let mut stderr = tempfile::tempfile().expect("a temporary file");
    let copy = |file: &File| Stdio::from(file.try_clone().expect("a second descriptor"));
    command.stdin(Stdio::null()).stdout(copy(&stdout)).stderr(copy(&stderr));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
    let status = wait(&mut child, LONG);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (stdout, stderr) = (text(&mut stdout), text(&mut stderr));
    let Some(status) = status else {
        panic!("{what} did not end within {LONG:?}\nstdout: {stdout}\nstderr: {stderr}");
    };
    Finished { code: status.code(), stdout, stderr, what }
}

/// Waits for a child process, with a timeout.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("waitpid") {
            return Some(status);
        }
        if start.elapsed() >= patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("rewind");
    file.read_to_end(&mut bytes).expect("read back");
    String::from_utf8_lossy(&bytes).into_owned()
}
