//! The local log daemon as a target, through the datagram socket of syslog(3).
//!
//! The `syslog` crate provides the logger. This file replaces its socket, which blocks if the log daemon does not read and
//! does not reconnect to a restarted one, and its time stamp, which is UTC instead of the local time of syslog(3).

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::log::Level;
use ::syslog::{Formatter3164, LogFormat, Logger, Severity};

use rustix::io::Errno;

use crate::config::Facility;
use crate::os::clock;

/// The socket of the log daemon.
pub(super) const DEV_LOG: &str = "/dev/log";

/// The time that the first message waits if the socket is full. Later messages do not wait until one has been sent.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// Messages of this length or less are not truncated further if they are too long for a datagram.
const TRUNCATE_MIN: usize = 256;

/// The log daemon.
pub(super) struct Syslog {
    logger: Logger<Datagram, LocalTime>,
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendError {
    /// The socket is full: the log daemon does not read.
    Full,
    /// No log daemon runs.
    Unreachable,
}

impl Syslog {
    /// The log daemon at `path`. Connects when a message is sent.
    pub(super) fn new(path: &Path, facility: Facility) -> Syslog {
        let formatter = Formatter3164 {
            facility: code(facility),
            // Local messages have no host name: the log daemon would parse it as the name of the program.
            hostname: None,
            process: "hftpd".to_owned(),
            pid: std::process::id(),
        };
        Syslog { logger: Logger::new(Datagram::new(path), LocalTime(formatter)) }
    }

    /// Sends one message. Waits at most [`SEND_TIMEOUT`].
    pub(super) fn send(&mut self, level: Level, text: &str) -> Result<(), SendError> {
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

/// The format of the crate with the local time (RFC 3164 section 4.1.2).
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

/// A writer that collects a message and sends it as one datagram.
struct Datagram {
    path: PathBuf,
    /// `None` if not connected.
    socket: Option<UnixDatagram>,
    /// Whether the socket was full for the last message.
    full: bool,
    message: Vec<u8>,
}

impl Write for Datagram {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.message.write(bytes)
    }

    /// Does nothing: the formatter does not call it at the end of a message. [`Datagram::send`] sends.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Datagram {
    fn new(path: &Path) -> Datagram {
        Datagram { path: path.to_owned(), socket: None, full: false, message: Vec::new() }
    }

    /// Sends the message written since the last call, and clears it even after an error.
    fn send(&mut self) -> Result<(), SendError> {
        let had_socket = self.socket.is_some();
        let mut result = self.try_send();
        if had_socket && result.as_ref().is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
            // A restarted log daemon has a new socket at the same path: ECONNREFUSED, ENOTCONN, ECONNRESET.
            self.socket = None;
            result = self.try_send();
        }
        self.message.clear();
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(SendError::Full),
            Err(_) => {
                self.socket = None;
                Err(SendError::Unreachable)
            }
        }
    }

    fn try_send(&mut self) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                self.full = false;
                connect(&self.path)?
            }
        };
        let socket = self.socket.insert(socket);
        loop {
            match socket.send(&self.message) {
                Ok(_) => {
                    if std::mem::take(&mut self.full) {
                        socket.set_nonblocking(false)?;
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
                        && self.message.len() > TRUNCATE_MIN =>
                {
                    halve(&mut self.message);
                }
                Err(error) => {
                    if error.kind() == ErrorKind::WouldBlock && !self.full {
                        self.full = true;
                        socket.set_nonblocking(true)?;
                    }
                    return Err(error);
                }
            }
        }
    }
}

/// Connects a socket whose `send` fails with EAGAIN after [`SEND_TIMEOUT`] (SO_SNDTIMEO, socket(7)).
fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    socket.connect(path)?;
    Ok(socket)
}

/// Truncates a message to half, between two characters.
fn halve(message: &mut Vec<u8>) {
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
    fn messages_are_datagrams_without_a_host_name() {
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
    fn log_daemon_is_found_after_a_late_start_and_a_restart() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let mut syslog = Syslog::new(&path, Facility::Daemon);
        assert_eq!(syslog.send(Level::Info, "no daemon"), Err(SendError::Unreachable));
        for text in ["first", "second", "third"] {
            let daemon = UnixDatagram::bind(&path).expect("bind");
            assert_eq!(syslog.send(Level::Info, text), Ok(()));
            assert!(received(&daemon).ends_with(text));
            drop(daemon);
            if text == "second" {
                assert_eq!(syslog.send(Level::Info, "between"), Err(SendError::Unreachable));
            }
            std::fs::remove_file(&path).expect("remove");
        }
    }

    #[test]
    fn only_the_first_message_waits_for_a_full_socket() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("bind");
        let mut syslog = Syslog::new(&path, Facility::Daemon);
        let fit = (0..100_000).take_while(|_| syslog.send(Level::Info, "text").is_ok()).count();
        assert!(syslog.logger.backend.full);
        assert_eq!(syslog.send(Level::Info, "text"), Err(SendError::Full));
        for _ in 0..fit {
            received(&daemon);
        }
        assert_eq!(syslog.send(Level::Info, "read again"), Ok(()));
        assert!(!syslog.logger.backend.full);
        assert!(received(&daemon).ends_with("read again"));
    }

    #[test]
    fn messages_too_long_for_a_datagram_are_truncated() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("bind");
        let mut syslog = Syslog::new(&path, Facility::Daemon);
        assert_eq!(syslog.send(Level::Info, &"é".repeat(1 << 20)), Ok(()));
        let message = received(&daemon);
        assert!(message.len() > 10_000 && message.ends_with('é'), "{} bytes", message.len());
    }
}
