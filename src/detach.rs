//! `--daemon`: the process goes into the background, and whoever started it waits until it is ready to serve, so that
//! the exit code is true.
//!
//! The `daemonize` crate forks, makes a session and points the standard streams at `/dev/null`. The pid file is made here
//! ([`PidFile`]), for the crate follows links and truncates what they lead to. The rest is a pipe from the daemon to the process that was started. What comes through it ends that process: a
//! word of success, an exit code and a message, or nothing at all, when the daemon died.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use daemonize::{Daemonize, Outcome, Stdio};
use rustix::io::Errno;

use crate::os::pid_file::{PidFile, PidFileError};
use crate::os::stdio;

/// Exit codes as in sysexits.h: our own fault, the system's refusal, a lack of permission.
const SOFTWARE: u8 = 70;
const OSERR: u8 = 71;
const NOPERM: u8 = 77;

/// What the daemon may do to files that it makes: nothing for others, no writing for the group.
const UMASK: u32 = 0o027;

/// The daemon's side of the start. Dropping it removes the pid file, and before [`Detached::ready`] reports to the process
/// that was started that the daemon died.
#[derive(Debug)]
pub struct Detached {
    /// There until it is known how the start went.
    outcome: Option<PipeWriter>,
    /// What takes the place of standard error; opened early, since the sandbox does not allow it later.
    null: File,
    /// Removed with this, where the daemon still may: it has dropped root and entered the sandbox.
    _pid_file: Option<PidFile>,
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
    match Daemonize::new().umask(UMASK).stderr(Stdio::keep()).execute() {
        Outcome::Parent(waited) => {
            drop(writer);
            let outcome = Report::read(reader);
            match waited {
                // The fork failed, so nobody has the pipe. Where only the wait for the first child failed (SIGCHLD
                // ignored), the pipe says how things stand all the same.
                Err(error) if outcome == Report::Died => Err(Error::of(&error)),
                _ => outcome.end(),
            }
        }
        Outcome::Child(Ok(_)) => match pid_file.as_deref().map(PidFile::create).transpose() {
            Ok(pid_file) => Ok(Detached { outcome: Some(writer), null, _pid_file: pid_file }),
            Err(error) => Error::of_pid_file(&pid_file.unwrap_or_default(), error).end(&writer),
        },
        Outcome::Child(Err(error)) => Error::of(&error).end(&writer),
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
    /// should exit with the same. After [`Detached::ready`] nobody listens any more.
    pub fn failed(mut self, exit_code: u8, message: &str) {
        if let Some(outcome) = self.outcome.take() {
            let exit_code = if exit_code == 0 { SOFTWARE } else { exit_code };
            let _ = Report::Failed(exit_code, message.to_owned()).write(&outcome);
        }
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

    /// The crate shows nothing but a text such as `unable to fork, errno 11`.
    fn of(error: &daemonize::Error) -> Error {
        let text = error.to_string();
        let errno = text.rsplit_once(", errno ").and_then(|(what, errno)| Some((what, errno.parse().ok()?)));
        match errno {
            Some((what, errno)) => Error::os(what, &io::Error::from_raw_os_error(errno)),
            None => Error { message: format!("--daemon: {text}"), exit_code: OSERR },
        }
    }

    fn of_pid_file(path: &Path, error: PidFileError) -> Error {
        let path = path.display();
        let message = match error {
            PidFileError::Io(error) => return Error::os(&path.to_string(), &error),
            PidFileError::Held(None) => format!("--daemon: {path}: held by a running daemon"),
            PidFileError::Held(Some(pid)) => format!("--daemon: {path}: held by a running daemon, process {pid}"),
            PidFileError::NotPlain => {
                format!("--daemon: {path}: not a regular file of its own; remove it, or choose another pid file")
            }
        };
        Error { message, exit_code: OSERR }
    }

    /// Ends the daemon. The process that was started prints the message; it may be gone.
    fn end(self, writer: &PipeWriter) -> ! {
        let exit_code = self.exit_code;
        let _ = Report::Failed(exit_code, self.message).write(writer);
        std::process::exit(i32::from(exit_code));
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
