//! The records of the queue.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::escape::Escaped;
use super::syslog::DEV_LOG;
use crate::config::{self, Facility, LogTarget};

/// An element of the queue.
#[derive(Debug)]
pub(super) enum Record {
    /// A message, one line.
    Message(::log::Level, String),
    /// An access record.
    Access(Access),
    /// The number of records lost at this position.
    Lost(u64),
    /// The settings for the following records.
    Settings(Settings),
}

/// An access record: a request and its answer. Formatted as one line:
///
/// `203.0.113.5:4242 "get_slice a10 0 5 raw" 0 45 bytes 0.000312s`, and ` incomplete` if the answer is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The address of the client. An IPv4-mapped address is formatted as an IPv4 address.
    pub peer: SocketAddr,
    /// The request without CR LF, not escaped. The caller limits its size; 1,024 bytes are logged.
    pub request: Box<[u8]>,
    /// The code of the answer (hftp(7)).
    pub code: u16,
    /// The number of bytes of the answer that were sent, including its first line.
    pub bytes: u64,
    /// The time from the first byte of the request to the last byte of the answer.
    pub duration: Duration,
    /// Whether the whole answer was sent.
    pub complete: bool,
}

impl Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port());
        let (request, code, bytes) = (Escaped(&self.request), self.code, self.bytes);
        write!(f, "{peer} \"{request}\" {code} {bytes} bytes {:.6}s", self.duration.as_secs_f64())?;
        if self.complete { Ok(()) } else { f.write_str(" incomplete") }
    }
}

/// The settings of the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) target: Target,
    pub(super) facility: Facility,
    /// The log daemon's socket.
    pub(super) socket: PathBuf,
    /// Whether messages go to standard error while no log daemon runs.
    pub(super) fallback_to_stderr: bool,
}

/// The target of the log, with `auto` resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Stderr,
    Syslog,
}

impl Settings {
    pub(super) fn new(settings: &config::Log, daemon: bool) -> Settings {
        let target = match settings.target {
            LogTarget::Syslog => Target::Syslog,
            LogTarget::Auto if daemon => Target::Syslog,
            LogTarget::Auto | LogTarget::Stderr => Target::Stderr,
        };
        let socket = PathBuf::from(DEV_LOG);
        Settings { target, facility: settings.facility, socket, fallback_to_stderr: !daemon }
    }
}
