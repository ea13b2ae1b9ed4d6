//! Logs that are not read, and a service manager that is missing.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::expect_served;
use crate::process::executed_by;
use crate::support::{Client, Daemon, LONG, Settings, TestDir, am_root, set_mode, skipped};

/// Sends many requests, each of which is logged.
fn fill_log(daemon: &Daemon) {
    let mut client = daemon.client();
    for _ in 0..30 {
        client.send("get_metadata a10\r\n".repeat(500));
        client.expect("0 OK\r\n10\r\n".repeat(500));
    }
}

/// While the log is stuck, clients are served, lost lines are counted, and the daemon can be stopped.
#[track_caller]
fn expect_unaffected(daemon: &mut Daemon) {
    fill_log(daemon);
    daemon.wait_status("log lines are lost", |status| status["log_lost"].as_u64() > Some(0));
    fill_log(daemon);
    let begin = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(8), "it took {:?} to end", begin.elapsed());
}

/// A daemon whose standard error is a FIFO, and the reading end of it.
fn start_with_fifo(dir: &TestDir) -> (File, Daemon) {
    let fifo = dir.at("stderr");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO");
    // Opened for both, so that open(2) does not block.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("the FIFO");
    Settings::new(dir).set("log.target", "\"stderr\"").write(&dir.config());
    let script = format!("exec 2>{}; exec \"$@\"", fifo.display());
    (reader, Daemon::spawn(dir, &mut executed_by(&["sh", "-c", &script, "sh"], &dir.config())))
}

#[test]
fn full_stderr_does_not_block_the_daemon() {
    let dir = TestDir::of_the_examples();
    let (_reader, mut daemon) = start_with_fifo(&dir);
    expect_unaffected(&mut daemon);
}

/// The socket of a syslog daemon, in the /dev of [`start_with_log_daemon`].
fn log_daemon(dir: &TestDir) -> UnixDatagram {
    let path = dir.at("dev/log");
    let _ = fs::remove_file(&path);
    let log = UnixDatagram::bind(&path).expect("a socket");
    log.set_read_timeout(Some(LONG)).expect("SO_RCVTIMEO");
    set_mode(&path, 0o666);
    log
}

/// A daemon with its own `/dev/log`, and the socket there.
fn start_with_log_daemon(dir: &TestDir) -> Option<(UnixDatagram, Daemon)> {
    if !am_root() {
        skipped("only root can give the daemon its own /dev/log");
        return None;
    }
    let dev = dir.create_dir("dev", &[("null", b"")]);
    let log = log_daemon(dir);
    Settings::new(dir).set("log.target", "\"syslog\"").write(&dir.config());
    let script = format!("mount --bind /dev/null {0}/null && mount --rbind {0} /dev && exec \"$@\"", dev.display());
    let wrapper = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    Some((log, Daemon::spawn(dir, &mut executed_by(&wrapper, &dir.config()))))
}

#[test]
fn restarted_syslog_daemon_gets_the_next_line() {
    let dir = TestDir::of_the_examples();
    let Some((mut log, daemon)) = start_with_log_daemon(&dir) else { return };
    for round in 0..3 {
        daemon.client().ask(format!("get_metadata round-{round}\r\n"), "202 FILE NOT FOUND\r\n");
        let mut message = [0; 1024];
        let found = loop {
            let length = log.recv(&mut message).expect("a line for the request");
            let text = String::from_utf8_lossy(&message[..length]);
            if text.contains(&format!("round-{round}")) {
                break text.into_owned();
            }
        };
        assert!(found.starts_with('<'), "{found}");
        drop(log);
        // The first socket file stays, as after a crash. The second is removed, and lines go to standard error meanwhile.
        if round == 1 {
            fs::remove_file(dir.at("dev/log")).expect("rm");
            daemon.client().ask("get_metadata meanwhile\r\n", "202 FILE NOT FOUND\r\n");
            daemon.wait_stderr(0, "meanwhile");
        }
        log = log_daemon(&dir);
    }
}

/// No client receives a log line, and a line that cannot be written does not end the daemon.
#[test]
fn closed_standard_streams_do_not_affect_service() {
    let dir = TestDir::of_the_examples();
    Settings::new(&dir).set("log.target", "\"stderr\"").write(&dir.config());
    let wrapper = ["sh", "-c", "exec <&- >&- 2>&-; exec \"$@\"", "sh"];
    let mut daemon = Daemon::spawn(&dir, &mut executed_by(&wrapper, &dir.config()));
    let mut clients: Vec<Client> = (0..10).map(|_| expect_served(&daemon)).collect();
    fill_log(&daemon);
    for stream in 0..=2 {
        let file = fs::read_link(format!("/proc/{}/fd/{stream}", daemon.pid())).expect("a file");
        assert_eq!(file.to_string_lossy(), "/dev/null", "descriptor {stream}");
    }
    clients.iter_mut().for_each(Client::expect_alive);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn closed_stderr_pipe_does_not_affect_service() {
    let dir = TestDir::of_the_examples();
    let (reader, mut daemon) = start_with_fifo(&dir);
    drop(reader);
    fill_log(&daemon);
    daemon.wait_status("log lines are lost", |status| status["log_lost"].as_u64() > Some(0));
    expect_served(&daemon);
    daemon.hang_up();
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn full_syslog_socket_does_not_block_the_daemon() {
    let dir = TestDir::of_the_examples();
    let Some((log, mut daemon)) = start_with_log_daemon(&dir) else { return };
    expect_unaffected(&mut daemon);
    let mut message = [0; 1024];
    let length = log.recv(&mut message).expect("a line from before the socket was full");
    assert!(message[..length].starts_with(b"<"), "{}", message[..length].escape_ascii());
}

#[test]
fn missing_notify_socket_does_not_affect_service() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings);
    fs::remove_file(dir.at("notify")).expect("the notify socket");
    settings.set("limits.connections", "77").write(&dir.config());
    let mark = daemon.stderr_mark();
    daemon.signal(rustix::process::Signal::HUP);
    daemon.wait_stderr(mark, "reloaded: ");
    assert_eq!(daemon.status()["last_reload"]["ok"], true);
    expect_served(&daemon);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn silent_probes_are_not_logged() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    for round in 0..100 {
        let client = daemon.client();
        if round % 2 == 0 {
            client.reset();
        }
    }
    daemon.wait_status("all probes are closed", |status| {
        status["accepted"].as_u64() >= Some(100) && status["connections"]["total"] == 0
    });
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    daemon.wait_stderr(0, "get_metadata a10");
    let mut lines = daemon.stderr_lines();
    lines.retain(|line| {
        !line.contains(": serving ") && !line.contains("limits.connections") && !line.contains("get_metadata a10")
    });
    assert!(lines.is_empty(), "the log: {lines:#?}");
}
