//! The log of a process: macros, access lines, and reload. Each scenario is a run of this test binary whose standard error
//! is a pipe.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use hftpd::config::{Config, Log, LogTarget};
use hftpd::log::{self, Access};

/// The scenario, set in the process that logs.
const SCENARIO: &str = "HFTPD_TEST_LOG";

const SOON: Duration = Duration::from_secs(60);

/// Not a test. The process that logs runs it.
#[test]
fn scenario() {
    let Ok(scenario) = std::env::var(SCENARIO) else { return };
    match scenario.as_str() {
        "reload" => reload(),
        "full" => full(),
        "panic" => panics(),
        other => panic!("{other}?"),
    }
    std::process::exit(0);
}

fn run(scenario: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("test binary"));
    command.args(["--exact", "scenario", "--nocapture", "--test-threads=1"]).env(SCENARIO, scenario);
    command.stderr(Stdio::piped());
    command
}

fn reload() {
    ::log::error!("before anything");
    log::init();
    ::log::info!("before the start");
    ::log::debug!("not at this level");
    assert!(!log::access_enabled());
    log::access(an_access());

    let stderr = Log { target: LogTarget::Stderr, ..Config::default().log };
    let handle = log::start(&stderr, false).expect("start");
    assert!(log::start(&stderr, false).is_err(), "a process has one log");
    assert!(log::access_enabled());
    log::access(an_access());
    // Messages are written before access lines that wait.
    assert!(handle.flush(SOON));
    ::log::warn!("two\nlines");
    ::log::debug!("not at this level");

    handle.apply(&Log { level: ::log::LevelFilter::Debug, access: false, ..stderr.clone() });
    assert!(!log::access_enabled());
    log::access(an_access());
    ::log::debug!("at this level");
    handle.apply(&Log { level: ::log::LevelFilter::Error, ..stderr });
    ::log::warn!("not at this level");
    ::log::error!("the end");
    log::access(Access { request: vec![b'x'; 5000].into(), ..an_access() });
    assert!(handle.flush(SOON));
    assert_eq!(handle.lost(), 0);
}

fn an_access() -> Access {
    Access {
        peer: "[::ffff:203.0.113.5]:4242".parse().expect("address"),
        request: b"get_slice a10 0 5 raw".as_slice().into(),
        code: 0,
        bytes: 45,
        duration: Duration::from_micros(312),
        complete: true,
    }
}

#[test]
fn reload_changes_level_and_access_log() {
    let output = run("reload").output().expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let access = "hftpd: 203.0.113.5:4242 \"get_slice a10 0 5 raw\" 0 45 bytes 0.000312s";
    let long = access.replace("get_slice a10 0 5 raw", &"x".repeat(1024));
    let expected = [
        "hftpd: before the start",
        access,
        r"hftpd: warning: two\nlines",
        "hftpd: at this level",
        "hftpd: error: the end",
        &long,
    ];
    assert_eq!(stderr.lines().collect::<Vec<_>>(), expected);
}

fn full() {
    let settings = Log { target: LogTarget::Stderr, ..Config::default().log };
    let handle = log::start(&settings, false).expect("start");
    ::log::info!("first");
    assert!(handle.flush(SOON));
    let long = "x".repeat(1000);
    for _ in 0..10_000 {
        ::log::info!("{long}");
    }
    assert!(!handle.flush(Duration::from_millis(50)));
    assert!(handle.lost() > 0);
}

/// The process ends although its standard error is full and its writer waits.
#[test]
fn process_ends_with_a_full_standard_error() {
    let mut child = run("full").spawn().expect("run");
    let mut stderr = BufReader::with_capacity(16, child.stderr.take().expect("pipe"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("line");
    assert_eq!(line, "hftpd: first\n");
    assert!(child.wait().expect("end").success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("rest");
    assert!(rest.starts_with("hftpd: xxx") && rest.len() < 1 << 20, "{} bytes", rest.len());
}

fn panics() {
    log::exit_on_panic(70);
    let settings = Log { target: LogTarget::Stderr, ..Config::default().log };
    let _handle = log::start(&settings, false).expect("start");
    let _ = std::thread::spawn(|| panic!("of no\nconsequence")).join();
    unreachable!("the process goes on after a panic");
}

#[test]
fn panic_is_logged_and_ends_the_process() {
    let output = run("panic").output().expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{stderr}");
    assert!(
        stderr.starts_with("hftpd: error: internal error, the daemon stops: panicked at tests/log.rs:"),
        "{stderr}"
    );
    assert!(stderr.contains(r"of no\nconsequence; please report it"), "{stderr}");
}
