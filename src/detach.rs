//! `--daemon`: the process goes into the background, and whoever started it waits until it is ready to serve, so that
//! the exit code is true.
//!
//! The `daemonize` crate forks, makes a session, points the standard streams at `/dev/null` and keeps the pid file;
//! the rest is a pipe from the daemon to the process that was started. What comes through it ends that process: a
//! word of success, an exit code and a message, or nothing at all, when the daemon died.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use daemonize::{Daemonize, Outcome, Stdio};
use rustix::io::Errno;

use crate::os::stdio;

/// Exit codes as in sysexits.h: our own fault, the system's refusal, a lack of permission.
const SOFTWARE: u8 = 70;
const OSERR: u8 = 71;
const NOPERM: u8 = 77;

/// How the crate begins to say that the pid file was locked, but not written.
const NOT_WRITTEN: &str = "unable to write self pid to pid file";

/// What the daemon may do to files that it makes: nothing for others, no writing for the group.
const UMASK: u32 = 0o027;

/// The daemon's side of the start. Dropping it removes the pid file, and before [`Detached::ready`] tells the process
/// that was started that the daemon died.
#[derive(Debug)]
pub struct Detached {
    /// There until it is known how the start went.
    outcome: Option<PipeWriter>,
    /// What takes the place of standard error; opened early, since the sandbox does not allow it later.
    null: File,
    /// Absolute.
    pid_file: Option<PathBuf>,
}

/// Why there is no daemon.
#[derive(Debug)]
pub struct Error {
    message: String,
    exit_code: u8,
}

/// Goes into the background. Returns in the daemon alone: the process that was started waits until the daemon is
/// [ready](Detached::ready) and exits with 0, or [failed](Detached::failed) and exits with its code and its message on
/// standard error, or died (70).
///
/// In the daemon the working directory is `/`, the umask 027, and of the standard streams only standard error is
/// left, until it is ready. `pid_file` may be relative to the directory before; it is locked (flock(2)) while the
/// daemon lives. Where it is held by another daemon or cannot be written, the process that was started exits with 71
/// or 77.
///
/// To be called while the process has one thread, for fork(2) copies no other.
///
/// # Errors
///
/// The process cannot fork, or not even prepare for it. There is no daemon then, and nothing has changed.
pub fn detach(pid_file: Option<&Path>) -> Result<Detached, Error> {
    let pid_file = pid_file.map(std::path::absolute).transpose().map_err(|error| Error::os("the pid file", &error))?;
    let null = File::options().write(true).open("/dev/null").map_err(|error| Error::os("/dev/null", &error))?;
    let (reader, writer) = io::pipe().map_err(|error| Error::os("pipe", &error))?;
    let mut daemonize = Daemonize::new().umask(UMASK).stderr(Stdio::keep());
    if let Some(path) = &pid_file {
        daemonize = daemonize.pid_file(path);
    }
    match daemonize.execute() {
        Outcome::Parent(waited) => {
            drop(writer);
            let outcome = Report::read(reader);
            match waited {
                // The fork failed, so nobody has the pipe. Where only the wait for the first child failed (SIGCHLD
                // ignored), the pipe says how things stand all the same.
                Err(error) if outcome == Report::Died => Err(Error::of(&error, None)),
                _ => outcome.end(),
            }
        }
        Outcome::Child(Ok(_)) => Ok(Detached { outcome: Some(writer), null, pid_file }),
        Outcome::Child(Err(error)) => {
            if let Some(path) = &pid_file
                && error.to_string().starts_with(NOT_WRITTEN)
            {
                // It is ours, for it is locked, and names nobody, or half of a number.
                remove_regular(path);
            }
            let error = Error::of(&error, pid_file.as_deref());
            // It is the started process's to print it; that one may be gone.
            let _ = Report::Failed(error.exit_code, error.message).write(&writer);
            std::process::exit(i32::from(error.exit_code));
        }
    }
}

impl Detached {
    /// Tells the process that was started to exit with 0, and gives up standard error. That the other one is gone
    /// already, interrupted by its user, does not matter.
    ///
    /// # Errors
    ///
    /// Standard error cannot be replaced.
    pub fn ready(&mut self) -> io::Result<()> {
        if let Some(outcome) = self.outcome.take() {
            let _ = Report::Ready.write(&outcome);
            stdio::replace_stderr(self.null.as_fd())?;
        }
        Ok(())
    }

    /// Tells the process that was started to print `message` and to exit with `exit_code`, which is not 0; the caller
    /// should exit with the same. After [`Detached::ready`] nobody listens any more. Removes the pid file.
    pub fn failed(mut self, exit_code: u8, message: &str) {
        if let Some(outcome) = self.outcome.take() {
            let exit_code = if exit_code == 0 { SOFTWARE } else { exit_code };
            let _ = Report::Failed(exit_code, message.to_owned()).write(&outcome);
        }
    }

    /// Removes the pid file if it is ours, where the daemon still may: it has dropped root and entered the sandbox. One
    /// that stays is not locked any more and is in nobody's way.
    fn remove_pid_file(&mut self) {
        let Some(path) = self.pid_file.take() else { return };
        if read_pid(&path) == Some(std::process::id()) {
            remove_regular(&path);
        }
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        self.remove_pid_file();
    }
}

impl Error {
    /// The exit code that tells the caller of the process: 71, or 77 for a lack of permission.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    fn os(what: &str, error: &io::Error) -> Error {
        let exit_code = match error.raw_os_error() {
            Some(errno)
                if [Errno::ACCESS, Errno::PERM, Errno::ROFS].iter().any(|known| known.raw_os_error() == errno) =>
            {
                NOPERM
            }
            _ => OSERR,
        };
        Error { message: format!("--daemon: {what}: {error}"), exit_code }
    }

    /// Says in an operator's words what the crate says as `unable to lock pid file, errno 11`, which is all it shows.
    fn of(error: &daemonize::Error, pid_file: Option<&Path>) -> Error {
        let text = error.to_string();
        let (what, errno) = match text.rsplit_once(", errno ") {
            Some((what, errno)) => (what, errno.parse().ok()),
            None => (text.as_str(), None),
        };
        let what = match pid_file {
            Some(path) if what.ends_with("pid file") => {
                if errno == Some(Errno::WOULDBLOCK.raw_os_error()) {
                    let holder = read_pid(path).map(|pid| format!(", process {pid}")).unwrap_or_default();
                    let message = format!("--daemon: {}: held by a running daemon{holder}", path.display());
                    return Error { message, exit_code: OSERR };
                }
                format!("{}: {what}", path.display())
            }
            _ => what.to_owned(),
        };
        match errno {
            Some(errno) => Error::os(&what, &io::Error::from_raw_os_error(errno)),
            None => Error { message: format!("--daemon: {what}"), exit_code: OSERR },
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What the daemon says of its start: `EXITCODE LF MESSAGE`, and 0 for success. Nothing, or anything else, is its
/// death.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    Ready,
    Failed(u8, String),
    Died,
}

impl Report {
    fn write(&self, mut pipe: &PipeWriter) -> io::Result<()> {
        let text = match self {
            Report::Ready => "0\n".to_owned(),
            Report::Failed(exit_code, message) => format!("{exit_code}\n{message}"),
            Report::Died => return Ok(()),
        };
        pipe.write_all(text.as_bytes())
    }

    /// Waits until the last one who could say something has closed the pipe.
    fn read(mut pipe: PipeReader) -> Report {
        let mut bytes = Vec::new();
        if pipe.read_to_end(&mut bytes).is_err() {
            return Report::Died;
        }
        let text = String::from_utf8_lossy(&bytes);
        match text.split_once('\n').map(|(code, message)| (code.parse::<u8>(), message)) {
            Some((Ok(0), _)) => Report::Ready,
            Some((Ok(exit_code), message)) => Report::Failed(exit_code, message.to_owned()),
            Some((Err(_), _)) | None => Report::Died,
        }
    }

    /// Ends the process that was started.
    fn end(self) -> ! {
        let (exit_code, message) = match self {
            Report::Ready => (0, String::new()),
            Report::Failed(exit_code, message) => (exit_code, message),
            Report::Died => (SOFTWARE, "the daemon died before it was ready to serve".to_owned()),
        };
        let mut stderr = io::stderr();
        for line in message.lines() {
            let _ = writeln!(stderr, "hftpd: error: {line}");
        }
        std::process::exit(i32::from(exit_code))
    }
}

/// Removes a file, but no device that somebody named instead.
fn remove_regular(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        let _ = fs::remove_file(path);
    }
}

fn read_pid(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}
