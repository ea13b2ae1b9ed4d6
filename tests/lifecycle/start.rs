//! Starting, and the exit codes of a start that fails.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::daemon::{refused, refused_config, refused_file};
use crate::support::{
    Client, Daemon, Settings, TestDir, am_root, hftpd_with, nobody, own_address, put, run, set_mode, skipped,
};

#[test]
fn start_logs_root_and_listeners() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen("fragments").listen("plain").listen("base64");
    let mut daemon = Daemon::start(&dir, &settings);
    let line = daemon.wait_stderr(0, "serving ");
    assert!(line.starts_with("hftpd: "), "{line:?}");
    assert!(line.contains(&format!("serving {} on ", dir.root().display())), "{line:?}");
    let encodings: Vec<&str> = daemon.listeners().iter().map(|(_, encoding)| encoding.as_str()).collect();
    assert_eq!(encodings, ["fragments", "plain", "base64"]);
    for (address, encoding) in daemon.listeners() {
        assert_ne!(address.port(), 0);
        assert!(line.contains(&format!("{address} ({encoding})")), "no {address} ({encoding}) in {line:?}");
    }
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn requests_are_logged_and_escaped() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = daemon.client();
    let local = client.local();
    client.ask("get_slice a10 0 5 raw\r\n", "0 OK\r\nContent-Length: 5\r\n\r\n01234");
    let line = daemon.wait_stderr(0, "get_slice a10 0 5 raw");
    assert!(line.starts_with(&format!("hftpd: {local} \"get_slice a10 0 5 raw\" 0 ")), "{line:?}");
    client.ask("get_metadata a\x1b[31m10\r\n", "201 INVALID ARGUMENTS FOR COMMAND\r\n");
    let line = daemon.wait_stderr(0, "[31m10");
    assert!(!line.contains('\x1b'), "an escape sequence reaches the log: {line:?}");
    client.ask("get_metadata a\rb\r\n", "201 INVALID ARGUMENTS FOR COMMAND\r\n");
    let line = daemon.wait_stderr(0, "\"get_metadata a\\");
    assert!(!line.contains('\r'), "a CR reaches the log: {line:?}");
}

#[test]
fn status_reports_state_listeners_and_connections() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen("fragments").listen("base64").set("workers", "2"));
    let mut client = daemon.client();
    client.expect_alive();
    daemon.wait_connections("total", 1);
    let status = daemon.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"), "{status}");
    assert_eq!(status["pid"], daemon.pid(), "{status}");
    assert_eq!(status["state"], "serving", "{status}");
    assert_eq!(status["root"], dir.root().to_string_lossy().as_ref(), "{status}");
    assert_eq!(status["workers"], 2, "{status}");
    assert!(status["uptime_seconds"].is_number(), "{status}");
    assert!(status["last_reload"].is_null(), "{status}");
    for (index, (address, encoding)) in daemon.listeners().iter().enumerate() {
        assert_eq!(status["listeners"][index]["address"], address.to_string(), "{status}");
        assert_eq!(status["listeners"][index]["encoding"], encoding.as_str(), "{status}");
    }
    daemon.wait_connections("idle", 1);
    client.send("get_meta");
    daemon.wait_connections("reading", 1);
    client.ask("data a10\r\n", "0 OK\r\n10\r\n");
    daemon.wait_connections("idle", 1);
    drop(client);
    daemon.wait_connections("total", 0);
    let text = run(&mut hftpd_with(&["status"], &dir.config())).expect_code(0);
    assert!(text.stdout.contains(&*dir.root().to_string_lossy()), "{}", text.stdout);
}

#[test]
fn missing_or_broken_configuration_is_78() {
    let dir = TestDir::of_the_examples();
    refused_file(&dir.at("absent.toml")).expect_code(78).expect_says("absent.toml");
    for (text, places) in [
        ("root = \"/srv\"\n\nport = 19500\ncolour = \"red\"\n", ["bad.toml:4:", "colour"]),
        ("root = \"/srv\nport = 1\n", ["bad.toml:1:", "root"]),
        ("root = \"/srv\"\nport = 70000\n", ["bad.toml:2:", "70000"]),
        ("port = 0\n", ["bad.toml", "root"]),
        ("root = \"/srv\"\n[timeouts]\nidle = \"5 fortnights\"\n", ["bad.toml:3:", "5 fortnights"]),
    ] {
        let file = put(&dir.at("bad.toml"), text.as_bytes());
        refused_file(&file).expect_code(78).expect_says(places[0]).expect_says(places[1]);
    }
}

#[test]
fn missing_root_is_66() {
    let dir = TestDir::of_the_examples();
    for (root, name) in [(dir.at("absent"), "absent"), (dir.root().join("a10"), "a10")] {
        refused_config(&dir, &Settings::new(&dir).root(&root)).expect_code(66).expect_says(name);
    }
}

#[test]
fn port_in_use_is_71() {
    let dir = TestDir::of_the_examples();
    let listener = TcpListener::bind(own_address()).expect("an unused address");
    let address = listener.local_addr().expect("its address");
    let settings = Settings::new(&dir).listen("plain").listen_on(address, "fragments");
    refused_config(&dir, &settings).expect_code(71).expect_says(&address.to_string());
}

#[test]
fn invalid_command_line_is_64() {
    let dir = TestDir::of_the_examples();
    for arguments in [
        ["--bogus"].as_slice(),
        &["frobnicate"],
        &["-p", "seventy"],
        &["-p", "70000"],
        &["-p", "-1"],
        &["-c"],
        &["-a", "not an address", "-d", ".", "-p", "0"],
        &["reload", "--json"],
    ] {
        let finished = refused(&dir, arguments).expect_code(64);
        assert!(finished.stdout.is_empty(), "{arguments:?} wrote to standard output: {}", finished.stdout);
        assert!(finished.stderr.starts_with("hftpd: "), "{arguments:?}: {}", finished.stderr);
    }
}

#[test]
fn commands_without_a_daemon_are_69() {
    let dir = TestDir::of_the_examples();
    Settings::new(&dir).write(&dir.config());
    let expect_69 = || {
        for command in ["reload", "status"] {
            run(&mut hftpd_with(&[command], &dir.config())).expect_code(69);
        }
    };
    expect_69();
    let mut daemon = Daemon::start(&dir, &Settings::new(&dir));
    assert_eq!(daemon.stop(), Some(0));
    expect_69();
}

#[test]
fn start_succeeds_after_sigkill_of_the_previous_daemon() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen_on(own_address(), "fragments");
    let mut daemon = Daemon::start(&dir, &settings);
    let mut client = daemon.client();
    client.expect_alive();
    daemon.signal(rustix::process::Signal::KILL);
    daemon.wait_exit();
    let daemon = Daemon::start(&dir, &settings);
    daemon.client().expect_alive();
    daemon.status();
}

#[test]
fn version_and_help_go_to_standard_output() {
    let dir = TestDir::new();
    let version = refused(&dir, &["--version"]).expect_code(0);
    assert_eq!(version.stdout, format!("hftpd {}\n", env!("CARGO_PKG_VERSION")));
    let help = refused(&dir, &["--help"]).expect_code(0);
    for word in ["-c", "-d", "-a", "-p", "--daemon", "--pid-file", "check", "reload", "status", "--version"] {
        assert!(help.stdout.contains(word), "no {word} in --help:\n{}", help.stdout);
    }
    assert_eq!(version.stderr + &help.stderr, "");
}

/// A copy of the daemon that a user other than root can run, if there is no configuration file here.
fn copy_for_other_users(dir: &TestDir) -> Option<PathBuf> {
    if Path::new("/etc/hftp.toml").exists() {
        skipped("there is an /etc/hftp.toml here");
        return None;
    }
    let binary = dir.at("hftpd");
    // Copied by another process: if this one did it, a child forked by another test could hold the copy open for
    // writing, and it could not be executed.
    run(Command::new("cp").arg(env!("CARGO_BIN_EXE_hftpd")).arg(&binary)).expect_code(0);
    set_mode(&binary, 0o755);
    Some(binary)
}

/// Changes the user, the directory and `XDG_RUNTIME_DIR` of a command.
fn as_other_user<'c>(dir: &TestDir, command: &'c mut Command, runtime_dir: Option<&Path>) -> &'c mut Command {
    if am_root() {
        let (uid, gid) = nobody();
        command.uid(uid).gid(gid);
    }
    match runtime_dir {
        Some(path) => command.env("XDG_RUNTIME_DIR", path),
        None => command.env_remove("XDG_RUNTIME_DIR"),
    };
    command.current_dir(dir.at("run"))
}

/// Starts a daemon without a configuration file, as a user other than root.
fn start_without_configuration(dir: &TestDir, arguments: &[&str]) -> Option<Daemon> {
    let binary = copy_for_other_users(dir)?;
    Some(Daemon::spawn(dir, as_other_user(dir, Command::new(binary).args(arguments), None)))
}

#[test]
fn start_without_configuration_prints_no_warning() {
    let dir = TestDir::of_the_examples();
    let Some(binary) = copy_for_other_users(&dir) else { return };
    // With a low limit of open files, and without a directory for the control socket.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 1400 && exec \"$@\"", "sh"]).arg(binary);
    command.args(["-a", "127.0.0.1", "-p", "0", "-d", "../root"]);
    let daemon = Daemon::spawn(&dir, as_other_user(&dir, &mut command, None));
    daemon.client().expect_alive();
    let lines = daemon.stderr_lines();
    let (serving, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.contains("serving "));
    assert_eq!(serving.len(), 1, "{lines:#?}");
    assert!(others.iter().all(|line| line.contains("connected") || line.contains("get_")), "{lines:#?}");
}

#[test]
fn start_without_configuration_uses_the_runtime_directory() {
    let dir = TestDir::of_the_examples();
    let Some(binary) = copy_for_other_users(&dir) else { return };
    let runtime_dir = dir.at("run");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 1400 && exec \"$@\"", "sh"]).arg(&binary);
    command.args(["-a", "127.0.0.1", "-p", "0", "-d", "../root"]);
    let mut daemon = Daemon::spawn(&dir, as_other_user(&dir, &mut command, Some(&runtime_dir)));
    let socket = runtime_dir.join("hftpd/control");
    assert!(socket.exists(), "no {}", socket.display());
    let mode = std::fs::metadata(runtime_dir.join("hftpd")).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let mut command = Command::new(&binary);
    let status = run(as_other_user(&dir, command.args(["status", "--json"]), Some(&runtime_dir))).expect_code(0);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    let connections = status["limits"]["connections"].as_u64().expect("a number");
    assert!((1..700).contains(&connections), "1,400 open files are not enough for {connections} clients");
    assert_eq!(daemon.stop(), Some(0));
    assert!(!socket.exists(), "{} is left", socket.display());
}

#[test]
fn limit_of_connections_in_the_file_is_warned_about_if_too_high() {
    let dir = TestDir::of_the_examples();
    for (settings, warned) in
        [(Settings::new(&dir), false), (Settings::new(&dir).set("limits.connections", "9000"), true)]
    {
        settings.write(&dir.config());
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 1400 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_hftpd"), "-c"]);
        let mut daemon = Daemon::spawn(&dir, command.arg(dir.config()));
        assert_eq!(daemon.stop(), Some(0));
        let lines = daemon.stderr_lines();
        let found = lines.iter().any(|line| line.contains("raise LimitNOFILE"));
        assert_eq!(found, warned, "{lines:#?}");
    }
}

#[test]
fn status_of_another_users_daemon_is_77() {
    if !am_root() {
        return skipped("only root can be two users");
    }
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let Some(binary) = copy_for_other_users(&dir) else { return };
    set_mode(&dir.config(), 0o644);
    // Neither root nor nobody, the user of the daemon.
    let uid = nobody().0 - 1;
    for command in ["status", "reload"] {
        let mut command_line = Command::new(&binary);
        command_line.args([command, "-c"]).arg(dir.config()).uid(uid).gid(uid);
        let finished = run(&mut command_line).expect_code(77);
        assert!(finished.stderr.contains("run as root or as the user of the daemon"), "{}", finished.stderr);
    }
    drop(daemon);
}

#[test]
fn directory_option_works_without_a_configuration() {
    let dir = TestDir::of_the_examples();
    let arguments = ["-a", "127.0.0.1", "-p", "0", "-d", "../root"];
    let Some(daemon) = start_without_configuration(&dir, &arguments) else { return };
    let mut client = daemon.client();
    assert_eq!(client.listing(), ["a10", "empty", "noread"]);
    client.ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
}

#[test]
fn port_option_listens_on_ipv4_and_ipv6() {
    let dir = TestDir::of_the_examples();
    let Some(daemon) = start_without_configuration(&dir, &["-p", "0", "-d", "../root"]) else { return };
    let port = daemon.address(0).port();
    Client::connect((Ipv4Addr::LOCALHOST, port).into()).expect_alive();
    if TcpListener::bind("[::1]:0").is_err() {
        return skipped("no IPv6 here");
    }
    Client::connect((Ipv6Addr::LOCALHOST, port).into()).expect_alive();
}
