//! Reloads that succeed.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client::Client;
use crate::support::content;
use crate::support::daemon::Daemon;
use crate::support::settings::Settings;
use crate::support::site::Site;
use crate::support::slow::{expect_whole, slow_in_all_forms};
use crate::support::{eventually, meanwhile, own_address};

const LARGE: u64 = 48 << 20;

#[track_caller]
fn eventually_refused(address: SocketAddr) {
    eventually("connections to the old address are refused", || match TcpStream::connect(address) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(_) => Err("connected".to_owned()),
    });
}

#[test]
fn reload_moves_a_listener_and_keeps_connections() {
    let site = Site::of_the_examples();
    let (old, new) = (own_address(), own_address());
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings.clone().listen_on(old, "fragments"));
    let mut before = daemon.client();
    before.expect_alive();
    daemon.reload(&settings.listen_on(new, "fragments")).expect_code(0);
    assert_eq!(daemon.address(0), new);
    Client::connect(new).ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    eventually_refused(old);
    before.ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
    assert_eq!(daemon.status()["last_reload"]["ok"], true);
}

#[test]
fn reload_adds_and_removes_a_listener() {
    let site = Site::of_the_examples();
    let (first, second) = (own_address(), own_address());
    let one = Settings::new(&site).listen_on(first, "fragments");
    let two = one.clone().listen_on(second, "plain");
    let mut daemon = Daemon::start(&site, &one);
    for _ in 0..3 {
        daemon.reload(&two).expect_code(0);
        Client::connect(first).expect_alive();
        Client::connect(second).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
        daemon.reload(&one).expect_code(0);
        Client::connect(first).expect_alive();
        eventually_refused(second);
    }
}

#[test]
fn reload_changes_encoding_of_a_listener() {
    let site = Site::of_the_examples();
    let address = own_address();
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings.clone().listen_on(address, "fragments"));
    let mut before = daemon.client();
    before.ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
    daemon.reload(&settings.listen_on(address, "base64")).expect_code(0);
    assert_eq!(daemon.listeners(), [(address, "base64".to_owned())]);
    daemon.client().ask("get_slice a10 3 4\r\n", "0 OK\r\nMzQ1Ng==\r\n");
    before.ask("get_slice a10 3 4 raw\r\n", "0 OK\r\nContent-Length: 4\r\n\r\n3456");
}

#[test]
fn reloads_refuse_no_connection() {
    let site = Site::of_the_examples();
    let address = own_address();
    let settings = Settings::new(&site);
    let versions = ["fragments", "plain"].map(|encoding| settings.clone().listen_on(address, encoding));
    let mut daemon = Daemon::start(&site, &versions[0]);
    let answered = AtomicUsize::new(0);
    let come_and_go = || {
        let mut client = Client::connect(address);
        client.ask("get_metadata a10\r\nquit\r\n", "0 OK\r\n10\r\n0 OK\r\n");
        client.expect_close();
        answered.fetch_add(1, Ordering::Relaxed);
    };
    meanwhile(4, come_and_go, || {
        for round in 1..=20 {
            daemon.reload(&versions[round % 2]).expect_code(0);
        }
    });
    println!("{answered:?} clients were answered meanwhile");
}

#[test]
fn reload_changes_root_and_running_answers_finish() {
    let site = Site::new();
    content::write(&site.root().join("f"), 1, LARGE);
    content::write(&site.dir("next", &[]).join("f"), 2, LARGE / 2);
    let settings = Settings::new(&site).listen_all();
    let mut daemon = Daemon::start(&site, &settings);
    let mut clients = slow_in_all_forms(&daemon, "f", LARGE);
    daemon.reload(&settings.root(&site.at("next"))).expect_code(0);
    assert_eq!(daemon.client().size("f"), Ok(LARGE / 2));
    expect_whole(&mut clients, 1, LARGE);
    for (client, form) in &mut clients {
        assert_eq!(client.size("f"), Ok(LARGE / 2), "{form:?}: the next request sees the new root");
    }
    assert_eq!(daemon.status()["root"], site.at("next").to_string_lossy().as_ref());
}

#[test]
fn limits_timeouts_and_names_apply_from_the_next_request() {
    let site = Site::of_the_examples();
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings);
    let long = format!("get_metadata {}\r\n", "n".repeat(3000));
    let mut before = daemon.client();
    before.ask(&long, "202 FILE NOT FOUND\r\n");
    before.ask("get_metadata at@b\r\n", "201 INVALID ARGUMENTS FOR COMMAND\r\n");
    let mut idle = daemon.client();
    idle.expect_alive();

    let settings = settings.set("limits.request-line", "2048").set("files.names", "\"printable\"");
    daemon.reload(&settings).expect_code(0);
    before.ask("get_metadata at@b\r\n", "0 OK\r\n2\r\n");
    before.send_if_possible(long.as_bytes());
    before.expect("101 BAD REQUEST\r\n");
    before.expect_close();

    daemon.reload(&settings.set("timeouts.idle", "\"1s\"")).expect_code(0);
    daemon.client().expect_close();
    idle.send_if_possible(crate::support::client::PROBE);
    idle.expect(crate::support::client::PROBE_ANSWER);
    idle.expect_close();
}

#[test]
fn a_limit_of_connections_that_is_lowered_throws_nobody_out() {
    let site = Site::of_the_examples();
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings);
    let mut inside: Vec<_> = (0..5).map(|_| daemon.client()).collect();
    inside.iter_mut().for_each(Client::expect_alive);
    daemon.reload(&settings.set("limits.connections", "2")).expect_code(0);
    inside.iter_mut().for_each(Client::expect_alive);
    let line = daemon.client().line();
    assert!(line.starts_with("199 "), "{line:?}");
}

#[test]
fn sighup_reloads() {
    let site = Site::of_the_examples();
    site.dir("next", &[("f", b"next")]);
    let (old, new) = (own_address(), own_address());
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings.clone().listen_on(old, "fragments"));
    settings.root(&site.at("next")).listen_on(new, "plain").write(&site.config());
    daemon.hang_up();
    assert_eq!(daemon.listeners(), [(new, "plain".to_owned())]);
    daemon.client().ask("get_slice f 0 4\r\n", "0 OK\r\nnext\r\n");
    eventually_refused(old);
    assert_eq!(daemon.status()["last_reload"]["ok"], true);
}

#[test]
fn reload_without_changes_reports_that() {
    let site = Site::of_the_examples();
    let settings = Settings::new(&site);
    let mut daemon = Daemon::start(&site, &settings);
    let mut client = daemon.client();
    client.expect_alive();
    let address = daemon.address(0);
    let says_so = |text: String| {
        let text = text.to_lowercase();
        ["unchanged", "no change", "nothing", "not changed"].iter().any(|word| text.contains(word))
    };
    let finished = daemon.reload(&settings).expect_code(0);
    assert!(says_so(finished.output()), "it only said: {}", finished.output());
    assert_eq!(daemon.address(0), address, "a listener on any free port keeps the port it has");
    client.expect_alive();
    let finished = daemon.reload(&settings.set("timeouts.idle", "\"4m\"")).expect_code(0);
    assert!(!says_so(finished.output()), "something was changed, and it said: {}", finished.output());
    client.expect_alive();
}

#[test]
fn reload_names_settings_that_need_a_restart() {
    let site = Site::of_the_examples();
    site.dir("next", &[("f", b"next")]);
    let settings = Settings::new(&site).set("workers", "1");
    let mut daemon = Daemon::start(&site, &settings);
    let changed = settings.set("workers", "2").root(&site.at("next"));
    daemon.reload(&changed).expect_code(0).expect_says("workers").expect_says("restart");
    assert_eq!(daemon.client().listing(), ["f"]);
    assert_eq!(daemon.status()["workers"], 1);
}
