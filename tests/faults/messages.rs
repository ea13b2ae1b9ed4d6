//! Log lines and reports of failures.

use std::fs;
use std::process::Command;

use crate::expect_served;
use crate::process::{executed_by, freeze};
use crate::shim::Shim;
use crate::support::{Client, Daemon, LONG, Settings, TestDir, eventually, hftpd_with, run, set_mode};

fn lines_with(daemon: &Daemon, text: &str) -> Vec<String> {
    daemon.stderr_lines().into_iter().filter(|line| line.contains(text)).collect()
}

#[track_caller]
fn expect_failure(daemon: &Daemon, request: &str) {
    let mut client = daemon.client();
    client.send(request);
    let line = client.line();
    assert!(!line.starts_with("0 "), "{line}");
}

#[test]
fn root_outage_is_logged_once_by_all_workers() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).set("workers", "2").set("log.access", "false");
    let daemon = Daemon::start(&dir, &settings);
    // Clients of both workers. Each has used the root.
    let mut clients: Vec<Client> = (0..8).map(|_| daemon.client()).collect();
    clients.iter_mut().for_each(|client| client.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n"));
    fs::rename(dir.root(), dir.at("elsewhere")).expect("the root is renamed");
    for _ in 0..20 {
        expect_failure(&daemon, "get_metadata a10\r\n");
        // This request needs no root, so its worker may not have noticed the outage.
        clients.iter_mut().for_each(|client| client.ask("quiz\r\n", "200 NO SUCH COMMAND\r\n"));
    }
    daemon.wait_stderr(0, "is unavailable");
    let lost = lines_with(&daemon, "is unavailable");
    assert_eq!((lost.len(), lines_with(&daemon, "is available again").len()), (1, 0), "{:#?}", daemon.stderr_lines());
    fs::rename(dir.at("elsewhere"), dir.root()).expect("the root is back");
    for _ in 0..3 {
        clients.iter_mut().for_each(|client| client.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n"));
    }
    daemon.wait_stderr(0, "is available again");
    expect_served(&daemon);
    let (lost, found) = (lines_with(&daemon, "is unavailable"), lines_with(&daemon, "is available again"));
    assert_eq!((lost.len(), found.len()), (1, 1), "{:#?}", daemon.stderr_lines());
}

#[test]
fn unreadable_file_does_not_hide_another() {
    let dir = TestDir::of_the_examples();
    for name in ["noisy", "quiet"] {
        set_mode(&dir.file(name, b"not to see"), 0o000);
    }
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("workers", "1").set("log.access", "false"));
    for name in ["noisy", "noisy", "noisy", "quiet", "noisy"] {
        expect_failure(&daemon, &format!("get_slice {name} 0 1\r\n"));
    }
    daemon.wait_stderr(0, "cannot read quiet in");
    assert_eq!(lines_with(&daemon, "cannot read noisy in").len(), 1, "{:#?}", daemon.stderr_lines());
}

#[test]
fn foreign_inherited_descriptors_are_logged() {
    let dir = TestDir::of_the_examples();
    Settings::new(&dir).write(&dir.config());
    for (variables, message) in [
        ("LISTEN_FDS=1 LISTEN_FDNAMES=strange", "ignoring inherited descriptor strange"),
        ("LISTEN_FDS=1 LISTEN_FDNAMES=one:two", "LISTEN_FDNAMES"),
        ("LISTEN_FDS=many", "LISTEN_FDS"),
    ] {
        let script = format!("exec 3</dev/null; export LISTEN_PID=$$ {variables}; exec \"$@\"");
        let mut daemon = Daemon::spawn(&dir, &mut executed_by(&["bash", "-c", &script, "bash"], &dir.config()));
        daemon.wait_stderr(0, message);
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[test]
fn lost_readiness_message_is_logged() {
    let dir = TestDir::of_the_examples();
    Settings::new(&dir).write(&dir.config());
    let log = fs::File::create(dir.at("log")).expect("a log");
    let mut command = hftpd_with(&[], &dir.config());
    let mut daemon = command.env("NOTIFY_SOCKET", dir.at("absent")).stderr(log).spawn().expect("the daemon");
    eventually("the lost READY=1 is reported", || {
        let log = fs::read_to_string(dir.at("log")).expect("the log");
        if log.contains("cannot report READY=1") { Ok(()) } else { Err(log) }
    });
    daemon.kill().and_then(|()| daemon.wait()).expect("the end");
}

#[test]
fn control_client_gives_up_on_a_frozen_daemon() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    freeze(&daemon);
    let status: &mut Command = &mut hftpd_with(&["status"], &dir.config());
    run(status).expect_code(69).expect_says("no answer within");
    daemon.signal(rustix::process::Signal::CONT);
    expect_served(&daemon);
}

#[test]
fn status_does_not_ask_the_name_service() {
    let dir = TestDir::of_the_examples();
    let (shim, daemon) = Shim::start(&dir, &Settings::new(&dir));
    let status = daemon.status();
    assert!(status["protection"]["user"].is_string(), "{status}");
    let before = shim.user_lookups();
    assert!(before > 0, "the name is looked up at the start");
    daemon.status();
    assert_eq!(shim.user_lookups(), before);
}

#[test]
fn abstract_notify_socket_is_notified() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let site = TestDir::new();
    Settings::new(&site).write(&site.config());
    let name = format!("hftpd-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("an address");
    let manager = UnixDatagram::bind_addr(&address).expect("a socket");
    manager.set_read_timeout(Some(LONG)).expect("SO_RCVTIMEO");
    let mut daemon = hftpd_with(&[], &site.config())
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("hftpd");
    let mut buffer = [0; 4096];
    let received = std::iter::from_fn(|| manager.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()))
        .find(|message| message.starts_with(b"READY=1\n"));
    daemon.kill().expect("kill");
    daemon.wait().expect("waitpid");
    assert!(received.is_some(), "READY=1 did not arrive");
}
