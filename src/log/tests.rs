//! The queue, the thread and a target together, each with an instance of its own; the one log of a process is tried in
//! `tests/log.rs`.

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

/// Long enough for anything that happens at all.
const SOON: Duration = Duration::from_secs(60);

/// A log with a pipe for standard error.
struct Lab {
    queue: Arc<Queue>,
    stderr: BufReader<PipeReader>,
}

impl Lab {
    fn start(capacity: usize, settings: Settings) -> Lab {
        let (reader, writer) = io::pipe().expect("pipe");
        let queue = Arc::new(Queue::new(capacity, capacity));
        let stderr = Stderr::to(Box::new(writer), Style::Plain);
        Writer::new(Arc::clone(&queue), settings, stderr).spawn().expect("thread");
        Lab { queue, stderr: BufReader::new(reader) }
    }

    fn say(&self, text: &str) {
        self.queue.push(Record::Message(Level::Info, text.to_owned()));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("line");
        line.trim_end_matches('\n').to_owned()
    }
}

fn settings(target: Target, socket: &Path, stand_in: bool) -> Settings {
    Settings { target, facility: Facility::Daemon, socket: socket.to_owned(), stand_in }
}

fn to_stderr() -> Settings {
    settings(Target::Stderr, Path::new("/nonexistent"), true)
}

/// The text of the next message that a log daemon gets.
fn received(daemon: &UnixDatagram) -> String {
    let mut buffer = vec![0; 8192];
    let length = daemon.recv(&mut buffer).expect("datagram");
    let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
    message.split_once("]: ").expect("head").1.to_owned()
}

#[test]
fn an_access_is_one_line() {
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
fn auto_is_syslog_for_a_daemon_alone() {
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

/// Nobody reads standard error: the speakers go on, a flush gives up at its deadline, and once somebody reads again,
/// everything that was kept comes, with the number of those that were not.
#[test]
fn a_full_standard_error_holds_up_nobody() {
    let mut lab = Lab::start(100, to_stderr());
    // More than the pipe (64 KiB), the batch in hand and the queue can hold together.
    let long = "x".repeat(LIMIT);
    let said = 1000;
    for _ in 0..said {
        lab.say(&long);
    }
    assert!(!lab.queue.flush(Duration::from_millis(10)));
    let lost = lab.queue.lost();
    assert!(lost >= said - 100 - 2 * 64 - 64 && lost < said, "{lost} lost");

    let (mut read, mut told) = (0, 0);
    while read + told < said {
        let line = lab.line();
        if line == format!("hftpd: {long}") {
            read += 1;
        } else {
            told += line
                .strip_prefix("hftpd: warning: ")
                .and_then(|notice| notice.split_once(" log message"))
                .and_then(|(count, _)| count.parse::<u64>().ok())
                .unwrap_or_else(|| panic!("neither a message nor a notice: {line}"));
        }
    }
    assert_eq!((read, told), (said - lost, lost));
    lab.say("there is room again");
    assert_eq!(lab.line(), "hftpd: there is room again");
    assert!(lab.queue.flush(SOON));
}

#[test]
fn a_log_daemon_that_does_not_read_holds_up_nobody() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).expect("bind");
    let lab = Lab::start(10_000, settings(Target::Syslog, &path, true));
    let said = 5000;
    for _ in 0..said {
        lab.say("text");
    }
    assert!(lab.queue.flush(SOON), "dropped is done");
    let lost = lab.queue.lost();
    assert!(lost > 0 && lost < said, "{lost} lost");
    for _ in 0..said - lost {
        assert_eq!(received(&daemon), "text");
    }
    lab.say("there is room again");
    assert_eq!(received(&daemon), format!("{lost} log messages were lost"));
    assert_eq!(received(&daemon), "there is room again");
}

#[test]
fn standard_error_stands_in_until_the_log_daemon_is_there() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let mut lab = Lab::start(10, settings(Target::Syslog, &path, true));
    lab.say("one");
    assert_eq!(lab.line(), "hftpd: one");
    let daemon = UnixDatagram::bind(&path).expect("bind");
    lab.say("two");
    assert_eq!(received(&daemon), "two");
    assert_eq!(lab.queue.lost(), 0);
}

#[test]
fn a_daemon_without_a_log_daemon_counts() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let lab = Lab::start(10, settings(Target::Syslog, &path, false));
    lab.say("one");
    lab.say("two");
    assert!(lab.queue.flush(SOON));
    assert_eq!(lab.queue.lost(), 2);
    let daemon = UnixDatagram::bind(&path).expect("bind");
    lab.say("three");
    assert_eq!(received(&daemon), "2 log messages were lost");
    assert_eq!(received(&daemon), "three");
}

#[test]
fn another_target_takes_over_between_two_messages() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).expect("bind");
    let mut lab = Lab::start(10, to_stderr());
    lab.say("one");
    lab.queue.change(settings(Target::Syslog, &path, true));
    lab.say("two");
    lab.queue.change(to_stderr());
    lab.say("three");
    assert_eq!(lab.line(), "hftpd: one");
    assert_eq!(received(&daemon), "two");
    assert_eq!(lab.line(), "hftpd: three");
}

#[test]
fn a_reader_of_standard_error_that_goes_away_costs_only_the_lines() {
    let Lab { queue, stderr } = Lab::start(10, to_stderr());
    drop(stderr);
    queue.push(Record::Message(Level::Info, "one".to_owned()));
    queue.push(Record::Message(Level::Info, "two".to_owned()));
    assert!(queue.flush(SOON));
    assert_eq!(queue.lost(), 2);
}
