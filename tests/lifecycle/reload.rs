//! Reloads that succeed.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{
    Client, Daemon, LARGE, Settings, TestDir, content, eventually_refused, expect_whole, meanwhile, own_address,
    publish_large, slow_clients,
};

#[test]
fn reload_moves_a_listener_and_keeps_connections() {
    let dir = TestDir::of_the_examples();
    let (old, new) = (own_address(), own_address());
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings.clone().listen_on(old, "fragments"));
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
    let dir = TestDir::of_the_examples();
    let (first, second) = (own_address(), own_address());
    let one = Settings::new(&dir).listen_on(first, "fragments");
    let two = one.clone().listen_on(second, "plain");
    let mut daemon = Daemon::start(&dir, &two);
    for round in 0..4 {
        daemon.reload(&one).expect_code(0);
        Client::connect(first).expect_alive();
        // The listener can be opened again while it is being closed, and afterwards.
        if round % 2 == 0 {
            eventually_refused(second);
        }
        daemon.reload(&two).expect_code(0);
        Client::connect(first).expect_alive();
        Client::connect(second).ask("get_slice a10 3 4\r\n", "0 OK\r\n3456\r\n");
    }
}

#[test]
fn reload_changes_encoding_of_a_listener() {
    let dir = TestDir::of_the_examples();
    let address = own_address();
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings.clone().listen_on(address, "fragments"));
    let mut before = daemon.client();
    before.ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
    daemon.reload(&settings.clone().listen_on(address, "base64")).expect_code(0);
    assert_eq!(daemon.listeners(), [(address, "base64".to_owned())]);
    daemon.client().ask("get_slice a10 0 5\r\n", "0 OK\r\nMDEyMzQ=\r\n");
    // A connection keeps the encoding with which it was accepted.
    before.ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
    before.ask("get_slice a10 3 4 raw\r\n", "0 OK\r\nContent-Length: 4\r\n\r\n3456");
    daemon.reload(&settings.listen_base64_line_on(address, "3")).expect_code(0);
    daemon.client().ask("get_slice a10 0 5\r\n", "0 OK\r\nMDEy\r\nMzQ=\r\n");
}

#[test]
fn reloads_refuse_no_connection() {
    let dir = TestDir::of_the_examples();
    let address = own_address();
    let settings = Settings::new(&dir);
    let versions = ["fragments", "plain"].map(|encoding| settings.clone().listen_on(address, encoding));
    let mut daemon = Daemon::start(&dir, &versions[0]);
    let answered = AtomicUsize::new(0);
    let ask = || {
        let mut client = Client::connect(address);
        client.ask("get_metadata a10\r\nquit\r\n", "0 OK\r\n10\r\n0 OK\r\n");
        client.expect_close();
        answered.fetch_add(1, Ordering::Relaxed);
    };
    meanwhile(4, ask, || {
        for round in 1..=20 {
            daemon.reload(&versions[round % 2]).expect_code(0);
        }
    });
    let answered = answered.into_inner();
    println!("{answered} clients were answered");
    assert!(answered > 20, "fewer clients than reloads: {answered}");
}

#[test]
fn reload_changes_root_and_running_answers_finish() {
    let dir = TestDir::new();
    publish_large(&dir);
    content::write(&dir.create_dir("next", &[]).join("large"), 2, LARGE / 2);
    let settings = Settings::new(&dir).listen_all();
    let mut daemon = Daemon::start(&dir, &settings);
    let mut clients = slow_clients(&daemon);
    daemon.reload(&settings.root(&dir.at("next"))).expect_code(0);
    assert_eq!(daemon.client().size("large"), Ok(LARGE / 2));
    expect_whole(&mut clients);
    for (client, encoding) in &mut clients {
        assert_eq!(client.size("large"), Ok(LARGE / 2), "{encoding:?}: the next request sees the new root");
    }
    assert_eq!(daemon.status()["root"], dir.at("next").to_string_lossy().as_ref());
}

#[test]
fn sighup_reloads() {
    let dir = TestDir::of_the_examples();
    dir.create_dir("next", &[("f", b"next")]);
    let (old, new) = (own_address(), own_address());
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings.clone().listen_on(old, "fragments"));
    settings.root(&dir.at("next")).listen_on(new, "plain").write(&dir.config());
    daemon.hang_up();
    assert_eq!(daemon.listeners(), [(new, "plain".to_owned())]);
    daemon.client().ask("get_slice f 0 4\r\n", "0 OK\r\nnext\r\n");
    eventually_refused(old);
    assert_eq!(daemon.status()["last_reload"]["ok"], true);
}

#[test]
fn reload_without_changes_reports_that() {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings);
    let mut client = daemon.client();
    client.expect_alive();
    let address = daemon.address(0);
    daemon.reload(&settings).expect_code(0).expect_says("nothing changed");
    assert_eq!(daemon.address(0), address, "a listener on port 0 keeps its port");
    client.expect_alive();
    daemon.reload(&settings.set("timeouts.idle", "\"4m\"")).expect_code(0).expect_says("timeouts.idle");
    client.expect_alive();
}

#[test]
fn reload_names_settings_that_need_a_restart() {
    let dir = TestDir::of_the_examples();
    dir.create_dir("next", &[("f", b"next")]);
    let settings = Settings::new(&dir).set("workers", "1");
    let mut daemon = Daemon::start(&dir, &settings);
    let changed = settings.set("workers", "2").root(&dir.at("next"));
    daemon.reload(&changed).expect_code(0).expect_says("workers").expect_says("restart");
    assert_eq!(daemon.client().listing(), ["f"]);
    assert_eq!(daemon.status()["workers"], 1);
}
