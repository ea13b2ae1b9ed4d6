//! Tests of queue, writer thread and target together. `tests/log.rs` tests the log of a process.

use std::io::{self, BufRead, BufReader, PipeReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::log::Level;

use super::record::Target;
use super::stderr::Style;
use super::*;
use crate::config::{Facility, LogTarget};

/// A timeout that is not reached if the test passes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A log with a pipe for standard error.
struct TestLog {
    queue: Arc<Queue>,
    stderr: BufReader<PipeReader>,
}

impl TestLog {
    fn start(capacity: usize, settings: Settings) -> TestLog {
        let (reader, writer) = io::pipe().expect("pipe");
        let queue = Arc::new(Queue::new(capacity, capacity));
        let stderr = Stderr::to(Box::new(writer), Style::Plain);
        Writer::new(Arc::clone(&queue), settings, stderr).spawn().expect("thread");
        TestLog { queue, stderr: BufReader::new(reader) }
    }

    fn message(&self, text: &str) {
        self.queue.push(Record::Message(Level::Info, text.to_owned()));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("line");
        line.trim_end_matches('\n').to_owned()
    }
}

fn settings(target: Target, socket: &Path, fallback_to_stderr: bool) -> Settings {
    Settings { target, facility: Facility::Daemon, socket: socket.to_owned(), fallback_to_stderr }
}

fn to_stderr() -> Settings {
    settings(Target::Stderr, Path::new("/nonexistent"), true)
}

/// The text of the next message that the log daemon receives.
fn received(daemon: &UnixDatagram) -> String {
    let mut buffer = vec![0; 8192];
    let length = daemon.recv(&mut buffer).expect("datagram");
    let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
    message.split_once("]: ").expect("head").1.to_owned()
}

#[test]
fn access_records_are_one_line() {
    let access = |peer: &str, request: &[u8], complete| Access {
        peer: peer.parse().expect("address"),
        request: request.into(),
        code: 0,
        bytes: 45,
        duration: Duration::from_nanos(312_499),
        complete,
    };
    for (access, line) in [
        (
            access("203.0.113.5:4242", b"get_slice a10 0 5 raw", true),
            "203.0.113.5:4242 \"get_slice a10 0 5 raw\" 0 45 bytes 0.000312s",
        ),
        (
            access("[::ffff:203.0.113.5]:4242", b"quit\" 0\n", false),
            "203.0.113.5:4242 \"quit\\\" 0\\x0a\" 0 45 bytes 0.000312s incomplete",
        ),
        (access("[2001:db8::1]:1", b"", true), "[2001:db8::1]:1 \"\" 0 45 bytes 0.000312s"),
    ] {
        assert_eq!(access.to_string(), line);
    }
}

#[test]
fn auto_is_syslog_only_for_a_daemon() {
    let log = |target| config::Log { target, ..config::Config::default().log };
    for (target, daemon, decided) in [
        (LogTarget::Auto, false, Target::Stderr),
        (LogTarget::Auto, true, Target::Syslog),
        (LogTarget::Stderr, true, Target::Stderr),
        (LogTarget::Syslog, false, Target::Syslog),
    ] {
        assert_eq!(Settings::new(&log(target), daemon).target, decided);
    }
}

/// While standard error is not read, logging does not block and a flush times out. When it is read again, the queued
/// messages and the number of lost ones are written.
#[test]
fn full_standard_error_does_not_block_logging() {
    let mut log = TestLog::start(100, to_stderr());
    // More than the capacity of the pipe (64 KiB), the batch in flight and the queue together.
    let long = "x".repeat(LIMIT);
    let sent = 1000;
    for _ in 0..sent {
        log.message(&long);
    }
    assert!(!log.queue.flush(Duration::from_millis(10)));
    let lost = log.queue.lost();
    assert!(lost >= sent - 100 - 2 * 64 - 64 && lost < sent, "{lost} lost");

    let (mut read, mut reported) = (0, 0);
    while read + reported < sent {
        let line = log.line();
        if line == format!("hftpd: {long}") {
            read += 1;
        } else {
            reported += line
                .strip_prefix("hftpd: warning: ")
                .and_then(|notice| notice.split_once(" log message"))
                .and_then(|(count, _)| count.parse::<u64>().ok())
                .unwrap_or_else(|| panic!("neither a message nor a loss: {line}"));
        }
    }
    assert_eq!((read, reported), (sent - lost, lost));
    log.message("later");
    assert_eq!(log.line(), "hftpd: later");
    assert!(log.queue.flush(TIMEOUT));
}

#[test]
fn full_syslog_socket_does_not_block_logging() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).expect("bind");
    let log = TestLog::start(10_000, settings(Target::Syslog, &path, true));
    let sent = 5000;
    for _ in 0..sent {
        log.message("text");
    }
    assert!(log.queue.flush(TIMEOUT), "a flush does not wait for lost messages");
    let lost = log.queue.lost();
    assert!(lost > 0 && lost < sent, "{lost} lost");
    for _ in 0..sent - lost {
        assert_eq!(received(&daemon), "text");
    }
    log.message("later");
    assert_eq!(received(&daemon), format!("{lost} log messages were lost"));
    assert_eq!(received(&daemon), "later");
}

#[test]
fn messages_go_to_standard_error_until_a_log_daemon_runs() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let mut log = TestLog::start(10, settings(Target::Syslog, &path, true));
    log.message("one");
    assert_eq!(log.line(), "hftpd: one");
    let daemon = UnixDatagram::bind(&path).expect("bind");
    log.message("two");
    assert_eq!(received(&daemon), "two");
    assert_eq!(log.queue.lost(), 0);
}

#[test]
fn daemon_counts_lost_messages_without_a_log_daemon() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let log = TestLog::start(10, settings(Target::Syslog, &path, false));
    log.message("one");
    log.message("two");
    assert!(log.queue.flush(TIMEOUT));
    assert_eq!(log.queue.lost(), 2);
    let daemon = UnixDatagram::bind(&path).expect("bind");
    log.message("three");
    assert_eq!(received(&daemon), "2 log messages were lost");
    assert_eq!(received(&daemon), "three");
}

#[test]
fn change_of_target_applies_to_later_messages() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).expect("bind");
    let mut log = TestLog::start(10, to_stderr());
    log.message("one");
    log.queue.change(settings(Target::Syslog, &path, true));
    log.message("two");
    log.queue.change(to_stderr());
    log.message("three");
    assert_eq!(log.line(), "hftpd: one");
    assert_eq!(received(&daemon), "two");
    assert_eq!(log.line(), "hftpd: three");
}

#[test]
fn messages_for_closed_standard_error_are_lost() {
    let TestLog { queue, stderr } = TestLog::start(10, to_stderr());
    drop(stderr);
    queue.push(Record::Message(Level::Info, "one".to_owned()));
    queue.push(Record::Message(Level::Info, "two".to_owned()));
    assert!(queue.flush(TIMEOUT));
    assert_eq!(queue.lost(), 2);
}
