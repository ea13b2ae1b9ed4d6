//! The protocol of the control socket, for `hftpd reload` and `hftpd status`.
//!
//! A client sends a command and a newline. The daemon replies with an exit code, a newline and a text, and closes the
//! connection.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A request to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRequest {
    /// Reload the configuration.
    Reload,
    /// Report the status.
    Status,
}

impl ControlRequest {
    /// The maximum length of a request.
    pub(super) const MAX_LENGTH: usize = 64;

    /// Parses a complete request.
    pub(super) fn parse(bytes: &[u8]) -> Option<ControlRequest> {
        [ControlRequest::Reload, ControlRequest::Status].into_iter().find(|request| request.line().as_bytes() == bytes)
    }

    fn line(self) -> &'static str {
        match self {
            ControlRequest::Reload => "reload\n",
            ControlRequest::Status => "status\n",
        }
    }

    /// The time limit for the reply. A reload may have to wait for another one.
    fn timeout(self) -> Duration {
        match self {
            ControlRequest::Reload => Duration::from_secs(75),
            ControlRequest::Status => Duration::from_secs(5),
        }
    }
}

/// The reply of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlReply {
    /// The exit code of the requesting process: one of [`crate::exit::Exit`].
    pub exit: u8,
    /// The text that it prints.
    pub text: String,
}

/// Sends `request` to the control socket at `path` and waits for the reply.
///
/// # Errors
///
/// No daemon listens on the socket, the permission is missing, or the daemon does not reply in time.
pub fn ask(path: &Path, request: ControlRequest) -> io::Result<ControlReply> {
    let timeout = request.timeout();
    let deadline = Instant::now() + timeout;
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(request.line().as_bytes())?;
    let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => reply.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let message = format!("no answer within {} s", timeout.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(error) => return Err(error),
        }
    }
    let reply = String::from_utf8(reply).map_err(|_| io::ErrorKind::InvalidData)?;
    let (exit, text) = reply.split_once('\n').ok_or(io::ErrorKind::UnexpectedEof)?;
    let exit = exit.parse().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(ControlReply { exit, text: text.to_owned() })
}
