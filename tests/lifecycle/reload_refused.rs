//! Reloads that fail: nothing changes, and the exit code gives the reason.

use std::net::{TcpListener, TcpStream};

use crate::support::{Daemon, Encoding, Settings, TestDir, expect_whole, own_address, publish_large, put, slow_client};

/// A daemon and its good configuration.
struct Running {
    dir: TestDir,
    settings: Settings,
    daemon: Daemon,
}

impl Running {
    fn new() -> Running {
        let dir = TestDir::of_the_examples();
        dir.create_dir("next", &[("f", b"next")]);
        let settings = Settings::new(&dir).listen_on(own_address(), "fragments");
        let daemon = Daemon::start(&dir, &settings);
        Running { dir, settings, daemon }
    }

    /// The daemon serves as before the reload.
    #[track_caller]
    fn expect_unchanged(&mut self) {
        assert!(self.daemon.is_running(), "the daemon has ended");
        let mut client = self.daemon.client();
        assert_eq!(client.listing(), ["a10", "empty", "noread"]);
        client.ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
        // The broken file may not even name the control socket.
        self.settings.write(&self.dir.config());
        let status = self.daemon.status();
        assert_eq!(status["root"], self.dir.root().to_string_lossy().as_ref(), "{status}");
        assert_eq!(status["listeners"].as_array().map(Vec::len), Some(1), "{status}");
        assert_eq!(status["listeners"][0]["address"], self.daemon.address(0).to_string(), "{status}");
        assert_eq!(status["listeners"][0]["encoding"], "fragments", "{status}");
    }
}

/// The settings with an invalid line, and its place as `FILE:LINE:`.
fn broken(settings: &Settings, line: &str) -> (String, String) {
    let text = settings.to_toml();
    let place = text.find("[[listen]]").expect("a listener");
    let number = text[..place].lines().count() + 1;
    (format!("{}{line}\n{}", &text[..place], &text[place..]), format!("hftp.toml:{number}:"))
}

/// Whether the text contains the place with a column.
fn names_place(text: &str, place: &str) -> bool {
    let column = text.split_once(place).map(|(_, rest)| rest.chars().next());
    matches!(column, Some(Some('1'..='9')))
}

#[test]
fn reload_of_a_broken_file_is_78_with_its_line() {
    let mut running = Running::new();
    let changed = running.settings.clone().root(&running.dir.at("next"));
    for line in ["colour = \"red\"", "port port", "workers = \"some\"", "user = \"nobody"] {
        let (text, place) = broken(&changed, line);
        put(&running.dir.config(), text.as_bytes());
        let finished = running.daemon.reload_command().expect_code(78);
        assert!(names_place(&finished.stderr, &place), "no {place}COLUMN in: {}", finished.stderr);
        running.expect_unchanged();
    }
}

#[test]
fn sighup_with_a_broken_file_changes_nothing() {
    let mut running = Running::new();
    let (text, place) = broken(&running.settings.clone().root(&running.dir.at("next")), "colour = \"red\"");
    put(&running.dir.config(), text.as_bytes());
    let mark = running.daemon.stderr_mark();
    running.daemon.hang_up();
    let line = running.daemon.wait_stderr(mark, &place);
    assert!(names_place(&line, &place), "{line:?}");
    running.expect_unchanged();
    let status = running.daemon.status();
    assert_eq!(status["last_reload"]["ok"], false, "{status}");
    let message = status["last_reload"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(&place), "{status}");
    assert!(status["last_reload"]["seconds_ago"].is_number(), "{status}");

    // The next reload of a good file succeeds.
    running.settings.clone().root(&running.dir.at("next")).write(&running.dir.config());
    running.daemon.hang_up();
    assert_eq!(running.daemon.client().listing(), ["f"]);
    assert_eq!(running.daemon.status()["last_reload"]["ok"], true);
}

#[test]
fn reload_of_a_missing_file_is_78() {
    let mut running = Running::new();
    std::fs::remove_file(running.dir.config()).expect("rm");
    let mark = running.daemon.stderr_mark();
    running.daemon.hang_up();
    running.daemon.wait_stderr(mark, "hftp.toml");
    running.daemon.reload_command().expect_code(78);
    running.expect_unchanged();
}

#[test]
fn reload_with_a_missing_root_is_66() {
    let mut running = Running::new();
    let absent = running.settings.clone().root(&running.dir.at("absent")).set("workers", "3");
    running.daemon.reload(&absent).expect_code(66).expect_says("absent");
    running.expect_unchanged();
    let file = running.settings.clone().root(&running.dir.root().join("a10"));
    running.daemon.reload(&file).expect_code(66).expect_says("a10");
    running.expect_unchanged();
}

#[test]
fn reload_with_a_port_in_use_is_71() {
    let mut running = Running::new();
    let taken = TcpListener::bind(own_address()).expect("an address of our own");
    let taken_address = taken.local_addr().expect("its address");
    let free = own_address();
    let settings = running.settings.clone().without_listeners().root(&running.dir.at("next"));
    let settings = settings.listen_on(free, "plain").listen_on(taken_address, "plain");
    running.daemon.reload(&settings).expect_code(71).expect_says(&taken_address.to_string());
    running.expect_unchanged();
    assert!(TcpStream::connect(free).is_err(), "the other new listener is open");

    drop(taken);
    running.daemon.reload(&settings).expect_code(0);
    let listeners: Vec<_> = running.daemon.listeners().iter().map(|(address, _)| *address).collect();
    assert_eq!(listeners, [free, taken_address]);
    assert_eq!(running.daemon.client().listing(), ["f"]);
}

#[test]
fn failed_reload_does_not_affect_transfers() {
    let mut running = Running::new();
    publish_large(&running.dir);
    let mut client = slow_client(&running.daemon, Encoding::Raw);
    running.daemon.wait_connections("sending", 1);
    let (text, _) = broken(&running.settings, "colour = \"red\"");
    put(&running.dir.config(), text.as_bytes());
    running.daemon.reload_command().expect_code(78);
    running.daemon.hang_up();
    expect_whole(std::slice::from_mut(&mut client));
    client.0.expect_alive();
}
