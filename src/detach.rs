//! `--daemon`: runs in the background. The process that was started exits when the daemon serves or has failed, so its
//! exit code reports the result.
//!
//! The `daemonize` crate forks, creates a session and redirects the standard streams to `/dev/null`. [`PidFile`] creates the
//! pid file, because the crate follows symbolic links and truncates their targets. The daemon sends its result through a
//! pipe to the process that was started; end of file without a result means that the daemon has died.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use daemonize::{Daemonize, Outcome, Stdio};
use rustix::io::Errno;

use crate::exit::Exit;
use crate::os::pid_file::{PidFile, PidFileError};
use crate::os::stdio;

/// Files of the daemon are not accessible to others and not writable for the group.
const UMASK: u32 = 0o027;

/// The daemon's end of the pipe. Dropping it removes the pid file; before [`Detached::ready`] it also reports that the
/// daemon has died.
#[derive(Debug)]
pub struct Detached {
    /// None after the result was sent.
    outcome: Option<PipeWriter>,
    /// Replaces standard error. Opened early, because the sandbox forbids it later.
    null: File,
    /// Removed when this is dropped, if the privileges left to the daemon permit it.
    _pid_file: Option<PidFile>,
}

/// Why the daemon is not started.
#[derive(Debug)]
pub struct Error {
    message: String,
    exit: Exit,
}

/// Runs the process in the background. Returns only in the daemon. The process that was started waits until the daemon is
/// [ready](Detached::ready) and exits with 0, or has [failed](Detached::failed) and exits with its code and message, or
/// has died and exits with 70.
///
/// In the daemon the working directory is `/`, the umask is 027, and only standard error is open, until the daemon is
/// ready. `pid_file` may be relative to the former directory. It is locked (flock(2)) until the daemon ends. If another
/// daemon has locked it or it cannot be written, the process that was started exits with 71 or 77.
///
/// Call it while the process has one thread, because fork(2) copies only that one.
///
/// # Errors
///
/// The process cannot fork or prepare for it. Nothing has changed then.
pub fn detach(pid_file: Option<&Path>) -> Result<Detached, Error> {
    let pid_file = pid_file.map(std::path::absolute).transpose().map_err(|error| Error::os("the pid file", &error))?;
    let null = File::options().write(true).open("/dev/null").map_err(|error| Error::os("/dev/null", &error))?;
    let (reader, writer) = io::pipe().map_err(|error| Error::os("pipe", &error))?;
    match Daemonize::new().umask(UMASK).stderr(Stdio::keep()).execute() {
        Outcome::Parent(waited) => {
            drop(writer);
            let outcome = Report::read(reader);
            match waited {
                // Without a result the fork has failed. If only the wait for the first child has failed, because SIGCHLD
                // is ignored, the daemon sends its result.
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
    /// Lets the process that was started exit with 0, and closes standard error. That process may have been interrupted.
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

    /// Lets the process that was started print `message` and exit with `exit`; the caller exits with the same code. Has no
    /// effect after [`Detached::ready`].
    pub fn failed(mut self, exit: Exit, message: &str) {
        if let Some(outcome) = self.outcome.take() {
            let _ = Report::Failed(exit.code(), message.to_owned()).write(&outcome);
        }
    }
}

impl Error {
    /// The exit code: [`Exit::Permission`] or [`Exit::System`].
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    fn os(what: &str, error: &io::Error) -> Error {
        let exit = match error.raw_os_error() {
            Some(errno)
                if [Errno::ACCESS, Errno::PERM, Errno::ROFS].iter().any(|known| known.raw_os_error() == errno) =>
            {
                Exit::Permission
            }
            _ => Exit::System,
        };
        Error { message: format!("--daemon: {what}: {error}"), exit }
    }

    /// The crate returns only a text such as `unable to fork, errno 11`.
    fn of(error: &daemonize::Error) -> Error {
        let text = error.to_string();
        let errno = text.rsplit_once(", errno ").and_then(|(what, errno)| Some((what, errno.parse().ok()?)));
        match errno {
            Some((what, errno)) => Error::os(what, &io::Error::from_raw_os_error(errno)),
            None => Error { message: format!("--daemon: {text}"), exit: Exit::System },
        }
    }

    fn of_pid_file(path: &Path, error: PidFileError) -> Error {
        let path = path.display();
        let message = match error {
            PidFileError::Io(error) => return Error::os(&path.to_string(), &error),
            PidFileError::Held(None) => format!("--daemon: {path}: locked by a running daemon"),
            PidFileError::Held(Some(pid)) => format!("--daemon: {path}: locked by a running daemon, process {pid}"),
            PidFileError::NotPlain => {
                format!(
                    "--daemon: {path}: not a regular file, or it has several links; remove it, or use another pid file"
                )
            }
        };
        Error { message, exit: Exit::System }
    }

    /// Ends the daemon. The process that was started prints the message.
    fn end(self, writer: &PipeWriter) -> ! {
        let exit_code = self.exit.code();
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

/// The result of the start, sent as `EXITCODE LF MESSAGE`, with 0 for success.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    Ready,
    Failed(u8, String),
    /// Nothing was sent.
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

    /// Reads until the daemon has closed the pipe.
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
            Report::Died => (Exit::Software.code(), "the daemon died before it was ready to serve".to_owned()),
        };
        let mut stderr = io::stderr();
        for line in message.lines() {
            let _ = writeln!(stderr, "hftpd: error: {line}");
        }
        std::process::exit(i32::from(exit_code))
    }
}
