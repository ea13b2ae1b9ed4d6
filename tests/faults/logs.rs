//! Logs that nobody reads, and a service manager that is not there.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::process::behind;
use crate::support::daemon::Daemon;
use crate::support::settings::Settings;
use crate::support::site::{Site, set_mode};
use crate::support::{am_root, skipped};
use crate::{expect_served, reset};

/// The answer to many requests, each of which is a line in the log.
fn make_noise(daemon: &Daemon) {
    let mut client = daemon.client();
    for _ in 0..30 {
        client.send("get_metadata a10\r\n".repeat(500));
        client.expect("0 OK\r\n10\r\n".repeat(500));
    }
}

/// Others are served though the log is stuck, what is lost is counted, and the end comes.
#[track_caller]
fn expect_to_be_none_the_worse(daemon: &mut Daemon) {
    make_noise(daemon);
    daemon.wait_status("log lines are lost", |status| status["log_lost"].as_u64() > Some(0));
    make_noise(daemon);
    let begin = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(8), "it took {:?} to end", begin.elapsed());
}

#[test]
fn standard_error_that_nobody_reads_holds_nothing_up() {
    let site = Site::of_the_examples();
    let fifo = site.at("stderr");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO");
    // Opened both ways, so that it has a reader who does not read.
    let _reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("the FIFO");
    Settings::new(&site).set("log.target", "\"stderr\"").write(&site.config());
    let script = format!("exec 2>{}; exec \"$@\"", fifo.display());
    let mut daemon = Daemon::spawn(&site, &mut behind(&["sh", "-c", &script, "sh"], &site.config()));
    expect_to_be_none_the_worse(&mut daemon);
}

#[test]
fn a_log_daemon_that_does_not_read_holds_nothing_up() {
    if !am_root() {
        return skipped("only root can give the daemon a /dev/log of its own");
    }
    let site = Site::of_the_examples();
    let dev = site.dir("dev", &[("null", b"")]);
    let log = UnixDatagram::bind(dev.join("log")).expect("a socket");
    set_mode(&dev.join("log"), 0o666);
    Settings::new(&site).set("log.target", "\"syslog\"").write(&site.config());
    let script = format!("mount --bind /dev/null {0}/null && mount --rbind {0} /dev && exec \"$@\"", dev.display());
    let wrapper = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let mut daemon = Daemon::spawn(&site, &mut behind(&wrapper, &site.config()));
    expect_to_be_none_the_worse(&mut daemon);
    let mut message = [0; 1024];
    let length = log.recv(&mut message).expect("what was sent before it was full");
    assert!(message[..length].starts_with(b"<"), "{}", message[..length].escape_ascii());
}

#[test]
fn a_service_manager_that_has_gone_is_not_missed() {
    let site = Site::of_the_examples();
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings);
    std::fs::remove_file(site.at("notify")).expect("the notify socket");
    let fresh = settings.set("limits.connections", "77");
    fresh.write(&site.config());
    let mark = daemon.stderr_mark();
    daemon.signal(rustix::process::Signal::HUP);
    daemon.wait_stderr(mark, "reloaded: ");
    assert_eq!(daemon.status()["last_reload"]["ok"], true);
    expect_served(&daemon);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn probes_that_say_nothing_leave_no_line() {
    let site = Site::of_the_examples();
    let daemon = Daemon::start(&site, &Settings::new(&site));
    for round in 0..100 {
        let client = daemon.client();
        if round % 2 == 0 {
            reset(client);
        }
    }
    daemon.wait_status("all have come and gone", |status| {
        status["accepted"].as_u64() >= Some(100) && status["connections"]["total"] == 0
    });
    let mut client = daemon.client();
    client.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    daemon.wait_stderr(0, "get_metadata a10");
    let mut lines = daemon.stderr_lines();
    lines.retain(|line| {
        !line.contains(": serving ") && !line.contains("limits.connections") && !line.contains("get_metadata a10")
    });
    assert!(lines.is_empty(), "the log: {lines:#?}");
}
