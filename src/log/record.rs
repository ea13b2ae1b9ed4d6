//! What the writer is given.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::escape::Escaped;
use super::syslog::DEV_LOG;
use crate::config::{self, Facility, LogTarget};

/// What the writer thread is given.
#[derive(Debug)]
pub(super) enum Record {
    /// A message, one line.
    Message(::log::Level, String),
    /// A request was answered.
    Access(Access),
    /// So many records did not fit at this place.
    Lost(u64),
    /// From here on, write there.
    Settings(Settings),
}

/// A request that was answered, or an answer that was cut short. Shown as one line:
///
/// `203.0.113.5:4242 "get_slice a10 0 5 raw" 0 45 bytes 0.000312s`, and ` incomplete` if it was cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The client. An IPv4 client of a dual-stack listener is shown by its IPv4 address.
    pub peer: SocketAddr,
    /// The request as it came, without its CR LF; unescaped. The caller bounds it, and 1,024 bytes are shown.
    pub request: Box<[u8]>,
    /// The code of the answer (hftp(7)).
    pub code: u16,
    /// Bytes of the answer that were sent, its first line included.
    pub bytes: u64,
    /// From the request's first byte to the answer's last.
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

/// What the writer needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) target: Target,
    pub(super) facility: Facility,
    /// The log daemon's socket.
    pub(super) socket: PathBuf,
    /// Whether standard error takes what a log daemon that is not there cannot.
    pub(super) stand_in: bool,
}

/// Where the log goes, once that is decided.
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
        Settings { target, facility: settings.facility, socket, stand_in: !daemon }
    }
}
