//! The local log daemon as a target, through the datagram socket of syslog(3).
//!
//! The logger is the `syslog` crate's. The socket is ours, since the crate's waits without end for a log daemon that
//! does not read and does not find one that was restarted; and so is the time in front of a message, since the
//! crate's is UTC, where log daemons that do not put their own there expect local time as syslog(3) gives it.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::log::Level;
use ::syslog::{Formatter3164, LogFormat, Logger, Severity};

use rustix::io::Errno;

use crate::config::Facility;
use crate::os::clock;

/// Where the log daemon listens.
pub(super) const DEV_LOG: &str = "/dev/log";

/// How long the first message waits that finds the log daemon's socket full. Those after it do not wait, until one
/// of them fits again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where a message that is too long for a datagram stops being cut.
const SHORTEST: usize = 256;

/// The log daemon.
pub(super) struct Syslog {
    logger: Logger<Datagram, LocalTime>,
}

/// Why a message did not reach the log daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// It is there and does not read.
    Full,
    /// It is not there.
    Unreachable,
}

impl Syslog {
    /// The log daemon that listens at `path`. It is looked for when there is something to tell it.
    pub(super) fn new(path: &Path, facility: Facility) -> Syslog {
        let formatter = Formatter3164 {
            facility: code(facility),
            // A local message has no host name: the log daemon would take it for the program's.
            hostname: None,
            process: "hftpd".to_owned(),
            pid: std::process::id(),
        };
        Syslog { logger: Logger::new(Datagram::new(path), LocalTime(formatter)) }
    }

    /// Sends one message. Waits at most [`PATIENCE`].
    pub(super) fn send(&mut self, level: Level, text: &str) -> Result<(), Undelivered> {
        let formatted = match level {
            Level::Error => self.logger.err(text),
            Level::Warn => self.logger.warning(text),
            Level::Info => self.logger.info(text),
            Level::Debug | Level::Trace => self.logger.debug(text),
        };
        debug_assert!(formatted.is_ok(), "writing to memory does not fail");
        self.logger.backend.send()
    }
}

/// The crate's format, but for the time (RFC 3164 section 4.1.2: local, a day below 10 with a space before it).
struct LocalTime(Formatter3164);

impl LogFormat<&str> for LocalTime {
    fn format<W: Write>(&self, out: &mut W, severity: Severity, text: &str) -> ::syslog::Result<()> {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let Formatter3164 { facility, process, pid, .. } = &self.0;
        let priority = *facility as u8 | severity as u8;
        let clock::LocalTime { month, day, hour, minute, second } = clock::local_time();
        let month = MONTHS[month];
        write!(out, "<{priority}>{month} {day:2} {hour:02}:{minute:02}:{second:02} {process}[{pid}]: {text}")
            .map_err(::syslog::Error::Write)
    }
}

fn code(facility: Facility) -> ::syslog::Facility {
    use ::syslog::Facility as Code;
    match facility {
        Facility::Daemon => Code::LOG_DAEMON,
        Facility::User => Code::LOG_USER,
        Facility::Ftp => Code::LOG_FTP,
        Facility::Local0 => Code::LOG_LOCAL0,
        Facility::Local1 => Code::LOG_LOCAL1,
        Facility::Local2 => Code::LOG_LOCAL2,
        Facility::Local3 => Code::LOG_LOCAL3,
        Facility::Local4 => Code::LOG_LOCAL4,
        Facility::Local5 => Code::LOG_LOCAL5,
        Facility::Local6 => Code::LOG_LOCAL6,
        Facility::Local7 => Code::LOG_LOCAL7,
    }
}

/// A writer that collects the pieces of a message and sends them as one datagram.
struct Datagram {
    path: PathBuf,
    /// Not there before the first message, and after the log daemon went away.
    socket: Option<UnixDatagram>,
    /// Whether the last message found the socket full.
    stuck: bool,
    message: Vec<u8>,
}

impl Write for Datagram {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.message.write(bytes)
    }

    /// Does nothing: the formatter does not say where a message ends, [`Datagram::send`] does.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Datagram {
    fn new(path: &Path) -> Datagram {
        Datagram { path: path.to_owned(), socket: None, stuck: false, message: Vec::new() }
    }

    /// Sends what was written since the last time, and forgets it, sent or not.
    fn send(&mut self) -> Result<(), Undelivered> {
        let had_socket = self.socket.is_some();
        let mut result = self.try_send();
        if had_socket && result.as_ref().is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
            // A restarted log daemon made a new socket at the same path: ECONNREFUSED, ENOTCONN, ECONNRESET.
            self.socket = None;
            result = self.try_send();
        }
        self.message.clear();
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Undelivered::Full),
            Err(_) => {
                self.socket = None;
                Err(Undelivered::Unreachable)
            }
        }
    }

    fn try_send(&mut self) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                self.stuck = false;
                connect(&self.path)?
            }
        };
        let socket = self.socket.insert(socket);
        loop {
            match socket.send(&self.message) {
                Ok(_) => {
                    if std::mem::take(&mut self.stuck) {
                        socket.set_nonblocking(false)?;
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) && self.message.len() > SHORTEST =>
                {
                    cut(&mut self.message);
                }
                Err(error) => {
                    if error.kind() == ErrorKind::WouldBlock && !self.stuck {
                        self.stuck = true;
                        socket.set_nonblocking(true)?;
                    }
                    return Err(error);
                }
            }
        }
    }
}

/// A socket whose `send` waits at most [`PATIENCE`] (SO_SNDTIMEO of socket(7), which then fails with EAGAIN).
fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(path)?;
    Ok(socket)
}

/// Halves a message, between two characters.
fn cut(message: &mut Vec<u8>) {
    let mut length = message.len() / 2;
    while length > 0 && message[length] & 0xC0 == 0x80 {
        length -= 1;
    }
    message.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(daemon: &UnixDatagram) -> String {
        let mut buffer = vec![0; 1 << 20];
        let length = daemon.recv(&mut buffer).expect("datagram");
        buffer.truncate(length);
        String::from_utf8(buffer).expect("UTF-8")
    }

    #[test]
    fn a_message_is_one_datagram_without_a_host_name() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("bind");
        let mut syslog = Syslog::new(&path, Facility::Local3);
        for (level, priority) in
            [(Level::Error, 3), (Level::Warn, 4), (Level::Info, 6), (Level::Debug, 7), (Level::Trace, 7)]
        {
            assert_eq!(syslog.send(level, "it's \"here\""), Ok(()));
            let message = received(&daemon);
            let (head, rest) = message.split_once('>').expect("priority");
            assert_eq!(head, format!("<{}", 19 * 8 + priority));
            let (time, rest) = rest.split_at("Nov  2 12:00:00 ".len());
            assert!(time.ends_with(' ') && time.as_bytes()[3] == b' ' && time.as_bytes()[9] == b':', "{time:?}");
            assert_eq!(rest, format!("hftpd[{}]: it's \"here\"", std::process::id()));
        }
    }

    #[test]
    fn a_log_daemon_that_is_not_there_is_found_later_and_after_a_restart() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let mut syslog = Syslog::new(&path, Facility::Daemon);
        assert_eq!(syslog.send(Level::Info, "nobody is there"), Err(Undelivered::Unreachable));
        for text in ["first", "second", "third"] {
            let daemon = UnixDatagram::bind(&path).expect("bind");
            assert_eq!(syslog.send(Level::Info, text), Ok(()));
            assert!(received(&daemon).ends_with(text));
            drop(daemon);
            if text == "second" {
                assert_eq!(syslog.send(Level::Info, "between"), Err(Undelivered::Unreachable));
            }
            std::fs::remove_file(&path).expect("remove");
        }
    }

    #[test]
    fn a_log_daemon_that_does_not_read_is_waited_for_once() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("bind");
        let mut syslog = Syslog::new(&path, Facility::Daemon);
        let fit = (0..100_000).take_while(|_| syslog.send(Level::Info, "text").is_ok()).count();
        assert!(syslog.logger.backend.stuck);
        assert_eq!(syslog.send(Level::Info, "text"), Err(Undelivered::Full));
        for _ in 0..fit {
            received(&daemon);
        }
        assert_eq!(syslog.send(Level::Info, "read again"), Ok(()));
        assert!(!syslog.logger.backend.stuck);
        assert!(received(&daemon).ends_with("read again"));
    }

    #[test]
    fn a_message_too_long_for_a_datagram_is_cut() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("bind");
        let mut syslog = Syslog::new(&path, Facility::Daemon);
        assert_eq!(syslog.send(Level::Info, &"é".repeat(1 << 20)), Ok(()));
        let message = received(&daemon);
        assert!(message.len() > 10_000 && message.ends_with('é'), "{} bytes", message.len());
    }
}
