//! `--daemon` with real processes. Each scenario is a run of this test binary that detaches.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};

use hftpd::detach::detach;

/// The scenario, set in the process that detaches.
const SCENARIO: &str = "HFTPD_TEST_DETACH";
/// Its pid file.
const PID_FILE: &str = "HFTPD_TEST_PID_FILE";
/// The socket of the test, to which the daemon of scenario `ready` connects.
const SOCKET: &str = "HFTPD_TEST_SOCKET";

/// Not a test. The process that detaches runs it in its main thread.
#[test]
fn scenario() {
    let Ok(scenario) = std::env::var(SCENARIO) else { return };
    let pid_file = std::env::var_os(PID_FILE);
    let mut detached = match detach(pid_file.as_deref().map(Path::new)) {
        Ok(detached) => detached,
        Err(error) => panic!("cannot detach: {error}"),
    };
    match scenario.as_str() {
        "ready" => {
            eprintln!("said before it was ready");
            let mut socket = UnixStream::connect(std::env::var_os(SOCKET).expect("socket")).expect("connect");
            detached.ready().expect("ready");
            eprintln!("said to nobody");
            writeln!(socket, "{}", std::process::id()).expect("pid");
            // Until the test is complete.
            let _ = socket.read(&mut [0]);
            drop(detached);
        }
        "failed" => detached.failed(hftpd::exit::Exit::Config, "/etc/hftp.toml:3:1: no such key\nand more"),
        "dropped" => drop(detached),
        "killed" => {
            let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
        }
        other => panic!("{other}?"),
    }
    std::process::exit(0);
}

/// Starts a daemon. Returns the exit code and the output of the process that was started, when its standard error is
/// closed.
fn start(scenario: &str, dir: &Path, pid_file: &Path) -> Output {
    Command::new(std::env::current_exe().expect("test binary"))
        .args(["--exact", "scenario", "--nocapture", "--test-threads=1"])
        .current_dir(dir)
        .env(SCENARIO, scenario)
        .env(PID_FILE, pid_file)
        .env(SOCKET, dir.join("socket"))
        .output()
        .expect("start")
}

#[track_caller]
fn assert_outcome(output: &Output, code: i32, stderr: &str) {
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(code), stderr));
}

#[test]
fn parent_exits_when_the_daemon_is_ready() {
    let dir = tempfile::tempdir().expect("dir");
    let pid_file = dir.path().join("hftpd.pid");
    let listener = UnixListener::bind(dir.path().join("socket")).expect("listener");

    // The path of the pid file is relative to the directory of the start.
    let output = start("ready", dir.path(), Path::new("hftpd.pid"));
    assert_outcome(&output, 0, "said before it was ready\n");

    let (socket, _) = listener.accept().expect("the daemon");
    let mut daemon = BufReader::new(socket);
    let mut pid = String::new();
    daemon.read_line(&mut pid).expect("pid");
    assert_eq!(std::fs::read_to_string(&pid_file).expect("pid file"), pid);
    let proc = Path::new("/proc").join(pid.trim());
    for (link, target) in [("cwd", "/"), ("fd/0", "/dev/null"), ("fd/1", "/dev/null"), ("fd/2", "/dev/null")] {
        assert_eq!(std::fs::read_link(proc.join(link)).expect(link), Path::new(target), "{link}");
    }
    let status = std::fs::read_to_string(proc.join("status")).expect("status");
    assert!(status.contains("Umask:\t0027\n"), "{status}");
    // After "PID (name) state": parent, process group, session, terminal. A session leader could acquire a terminal.
    let stat = std::fs::read_to_string(proc.join("stat")).expect("stat");
    let fields: Vec<_> = stat.rsplit_once(") ").expect("name").1.split(' ').collect();
    assert_ne!(fields[3], pid.trim());
    assert_eq!(fields[4], "0");

    let second = start("ready", dir.path(), &pid_file);
    let message =
        format!("hftpd: error: --daemon: {}: locked by a running daemon, process {}\n", pid_file.display(), pid.trim());
    assert_outcome(&second, 71, &message);
    assert_eq!(
        std::fs::read_to_string(&pid_file).expect("pid file"),
        pid,
        "the pid file of the first daemon is unchanged"
    );

    daemon.get_mut().write_all(b"\n").expect("the end");
    let mut rest = Vec::new();
    daemon.read_to_end(&mut rest).expect("the end");
    assert!(!pid_file.exists());
}

#[test]
fn failed_daemon_sets_the_exit_code_of_the_parent() {
    let dir = tempfile::tempdir().expect("dir");
    let pid_file = dir.path().join("hftpd.pid");
    let output = start("failed", dir.path(), &pid_file);
    assert_outcome(&output, 78, "hftpd: error: /etc/hftp.toml:3:1: no such key\nhftpd: error: and more\n");
    for scenario in ["dropped", "killed"] {
        let output = start(scenario, dir.path(), &pid_file);
        assert_outcome(&output, 70, "hftpd: error: the daemon died before it was ready to serve\n");
    }
    // The pid file of a killed daemon remains, but it is not locked.
    assert!(pid_file.exists());
    assert_eq!(start("failed", dir.path(), &pid_file).status.code(), Some(78));
    assert!(!pid_file.exists());
}

#[test]
fn unwritable_pid_file_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    for (pid_file, message) in [
        (dir.path().join("missing/pid"), "No such file or directory (os error 2)"),
        (dir.path().to_owned(), "Is a directory (os error 21)"),
        ("/dev/full".into(), "not a regular file, or it has several links; remove it, or use another pid file"),
    ] {
        let output = start("ready", dir.path(), &pid_file);
        assert_outcome(&output, 71, &format!("hftpd: error: --daemon: {}: {message}\n", pid_file.display()));
    }
}

/// The daemon's user may own the directory and replace the pid file by a link to a file of root.
#[test]
fn linked_pid_file_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let (pid_file, precious) = (dir.path().join("hftpd.pid"), dir.path().join("shadow"));
    std::fs::write(&precious, "root:*:19000\n").expect("a file");
    std::os::unix::fs::symlink(&precious, &pid_file).expect("symlink");
    let output = start("ready", dir.path(), &pid_file);
    let message = "not a regular file, or it has several links; remove it, or use another pid file";
    assert_outcome(&output, 71, &format!("hftpd: error: --daemon: {}: {message}\n", pid_file.display()));
    assert_eq!(std::fs::read_to_string(&precious).expect("the file"), "root:*:19000\n");
}
