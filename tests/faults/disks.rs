//! Disks that hang or fail: only requests that need them wait.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::expect_served;
use crate::process::{freeze, open_files, start_with_files, thread_names, wait_for_thread};
use crate::starts::{Starting, wait_serving};
use crate::support::slowfs::{BYTE, Hang, SIZE, SlowFs};
use crate::support::{
    ALL_ENCODINGS, Client, Daemon, Fault, Settings, TestDir, content, eventually, eventually_refused, hftpd_with,
    own_address, publish_large, put, slice_request,
};

const SIZE_ANSWER: &str = "0 OK\r\n4194304\r\n";

#[test]
fn hanging_lookup_does_not_delay_another_lookup() {
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).root(&fs.root()).set("workers", "1"));
    // Afterwards there is one disk thread, and it sleeps.
    let [mut waiting, mut other] = [daemon.client(), daemon.client()];
    for client in [&mut waiting, &mut other] {
        client.ask("get_metadata fast\r\n", SIZE_ANSWER);
    }
    let hanging = fs.hang(Hang::Lookups);
    // The event loop reads both requests in one round.
    freeze(&daemon);
    waiting.send("get_metadata slow\r\n");
    other.send("get_metadata fast\r\n");
    daemon.signal(Signal::CONT);
    other.expect(SIZE_ANSWER);
    drop(hanging);
    waiting.expect(SIZE_ANSWER);
}

#[test]
fn hanging_small_read_does_not_delay_other_files() {
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).root(&fs.root()).set("workers", "1"));
    let mut clients: Vec<Client> = (0..32).map(|_| daemon.client()).collect();
    let mut waiting: Vec<Client> = (0..4).map(|_| daemon.client()).collect();
    let hanging = fs.hang(Hang::Reads);
    let answer = "0 OK\r\nContent-Length: 3\r\n\r\nzzz";
    // The event loop reads all requests in one round, and finds their files in a few.
    freeze(&daemon);
    for (clients, slow) in clients.chunks_mut(8).zip(&mut waiting) {
        slow.send("get_slice slow 0 3 raw\r\n");
        clients.iter_mut().for_each(|client| client.send("get_slice fast 0 3 raw\r\n"));
    }
    daemon.signal(Signal::CONT);
    for client in &mut clients {
        client.expect(answer);
    }
    drop(hanging);
    for client in &mut waiting {
        client.expect(answer);
    }
}

#[test]
fn hanging_root_leaves_threads_for_the_next_root() {
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::new();
    dir.file("fast", b"good");
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings.clone().root(&fs.root()));
    daemon.client().ask("get_metadata fast\r\n", SIZE_ANSWER);
    // Reads hang in all threads that a device may have, and look-ups in all that a root may have.
    let _reads = fs.hang(Hang::Reads);
    let _transfers: Vec<Client> = (0..12)
        .map(|number| {
            let mut client = daemon.client();
            client.send(format!("get_slice slow{number} 0 {SIZE} raw\r\n"));
            client
        })
        .collect();
    daemon.wait_connections("sending", 12);
    let hanging = fs.hang(Hang::Lookups);
    let mut waiting: Vec<Client> = (0..40)
        .map(|number| {
            let mut client = daemon.client();
            client.send(format!("get_metadata slow{number}\r\n"));
            client
        })
        .collect();
    daemon.wait_status("jobs wait for a thread", |status| status["disk"]["waiting"].as_u64() > Some(0));
    expect_served(&daemon);
    daemon.reload(&settings).expect_code(0);
    daemon.client().ask("get_metadata fast\r\n", "0 OK\r\n4\r\n");
    drop(hanging);
    for client in &mut waiting {
        client.expect(SIZE_ANSWER);
    }
}

#[test]
fn hanging_root_path_delays_only_requests_for_files() {
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::of_the_examples();
    put(&fs.target().join("f"), b"local");
    let settings = Settings::new(&dir).set("workers", "1");
    let mut daemon = Daemon::start(&dir, &settings.clone().root(&fs.root().join("link")));
    let mut client = daemon.client();
    for _ in 0..3 {
        client.ask("get_metadata f\r\n", "0 OK\r\n5\r\n");
    }
    let hanging = fs.hang(Hang::Everything);
    client.send("get_metadata f\r\n");
    daemon.wait_connections("waiting", 1);
    expect_served(&daemon);
    daemon.reload(&settings).expect_code(0);
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    drop(hanging);
    client.expect("0 OK\r\n5\r\n");
}

#[test]
fn clients_that_leave_a_hanging_disk_leak_nothing() {
    const FILES: usize = 300;
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::new();
    let settings = Settings::new(&dir).root(&fs.root()).set("limits.connections", "100");
    let daemon = start_with_files(&dir, &settings, FILES);
    let _hanging = fs.hang(Hang::Reads);
    for round in 0..12 {
        let clients: Vec<Client> = (0..30)
            .map(|number| {
                let mut client = daemon.client();
                client.send(format!("get_slice slow{round}-{number} 0 {SIZE} raw\r\n"));
                client
            })
            .collect();
        // The files are open, and their first reads hang.
        daemon.wait_connections("sending", clients.len() as u64);
        clients.into_iter().for_each(Client::reset);
        daemon.wait_connections("total", 0);
        expect_served(&daemon);
    }
    let left = open_files(daemon.pid());
    assert!(left < FILES / 2, "{left} files are open without a client");
}

#[test]
fn read_error_leaves_the_answer_incomplete() {
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::new();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).root(&fs.root()).listen_all());
    for (listener, encoding) in ALL_ENCODINGS {
        let mut client = daemon.client_of(listener);
        client.send(slice_request(encoding, "eio", 0, SIZE as u64));
        let mut came = 0;
        let fault = client.answer(encoding, SIZE as u64, &mut |bytes| {
            assert!(bytes.iter().all(|&byte| byte == BYTE), "{encoding:?}: a wrong byte");
            came += bytes.len();
        });
        assert!(matches!(fault, Err(Fault::Ended { .. })), "{encoding:?}: {fault:?} after {came} bytes");
        assert!(came < SIZE, "{encoding:?}: {came} bytes");
    }
    daemon.wait_status("incomplete answers", |status| status["incomplete_answers"] == ALL_ENCODINGS.len());
}

#[test]
fn status_does_not_wait_for_a_hanging_reload() {
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir);
    let mut daemon = Daemon::start(&dir, &settings);
    let hanging = fs.hang(Hang::Everything);
    settings.clone().root(&fs.root()).write(&dir.config());
    daemon.signal(Signal::HUP);
    wait_for_thread(daemon.pid(), "reload");
    let ask = || hftpd_with(&["reload"], &dir.config()).stderr(std::process::Stdio::null()).spawn().expect("hftpd");
    let mut commands: Vec<_> = (0..16).map(|_| ask()).collect();
    for _ in 0..5 {
        assert_eq!(daemon.status()["state"], "serving");
        daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    }
    for child in &mut commands {
        child.kill().expect("kill");
        child.wait().expect("waitpid");
    }
    assert_eq!(daemon.status()["reloads"]["succeeded"], 0);
    drop(hanging);
    daemon.reload(&settings).expect_code(0);
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
}

#[test]
fn shutdown_does_not_wait_for_a_hanging_reload() {
    let Some(fs) = SlowFs::mount() else { return };
    let (dir, address) = (TestDir::new(), own_address());
    publish_large(&dir);
    let settings = Settings::new(&dir).listen_on(address, "fragments").set("timeouts.drain", "\"5m\"");
    settings.write(&dir.config());
    // Without a service manager, which would keep the listener open.
    let mut daemon = Starting::spawn(&dir, &mut hftpd_with(&[], &dir.config()));
    wait_serving(address);
    let mut client = Client::connect_narrow(address);
    client.ask("get_slice large 0 50331648 raw\r\n", "0 OK\r\nContent-Length: 50331648\r\n\r\n");
    let hanging = fs.hang(Hang::Everything);
    settings.root(&fs.root()).write(&dir.config());
    daemon.signal(Signal::HUP);
    wait_for_thread(daemon.pid(), "reload");
    daemon.signal(Signal::TERM);
    eventually_refused(address);
    // The preparation of the reload ends, and its result is not used.
    drop(hanging);
    eventually("the thread has ended", || {
        let names = thread_names(daemon.pid());
        if names.iter().all(|name| name != "reload") { Ok(()) } else { Err(names.join(" ")) }
    });
    eventually_refused(address);
    assert!(client.exactly(48 << 20) == content::pattern(1, 0, 48 << 20), "wrong bytes");
    client.expect_close();
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn drain_timeout_applies_while_a_disk_hangs() {
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::new();
    let settings = Settings::new(&dir).root(&fs.root()).set("timeouts.drain", "\"1s\"");
    let mut daemon = Daemon::start(&dir, &settings);
    let hanging = fs.hang(Hang::Reads);
    let mut client = daemon.client();
    client.send(format!("get_slice slow 0 {SIZE} raw\r\n"));
    daemon.wait_connections("sending", 1);
    let begin = Instant::now();
    daemon.drain();
    // The daemon can only close the connection; the process cannot exit before the read returns.
    client.drain();
    assert!(begin.elapsed() < Duration::from_secs(4), "a client was cut after {:?}", begin.elapsed());
    drop(hanging);
    assert_eq!(daemon.wait_exit().code(), Some(0));
}

#[test]
fn clients_of_a_hanging_disk_are_closed_after_stall_timeout() {
    const CLIENTS: u64 = 20;
    let Some(fs) = SlowFs::mount() else { return };
    let dir = TestDir::new();
    let settings = (Settings::new(&dir).root(&fs.root()))
        .set("limits.connections", &CLIENTS.to_string())
        .set("timeouts.stall", "\"1s\"");
    let daemon = Daemon::start(&dir, &settings);
    let hanging = fs.hang(Hang::Lookups);
    let mut patient = daemon.client();
    patient.send("get_metadata slow\r\n");
    for _ in 1..CLIENTS {
        // An orderly close, which the daemon does not notice while it waits for the disk.
        daemon.client().send("get_metadata slow\r\n");
    }
    daemon.wait_connections("waiting", CLIENTS);
    patient.expect("199 INTERNAL SERVER ERROR\r\n");
    patient.expect_close();
    daemon.wait_connections("total", 0);
    expect_served(&daemon);
    drop(hanging);
    let mut client = daemon.client();
    client.ask("get_metadata slow\r\n", SIZE_ANSWER);
    let _hanging = fs.hang(Hang::Reads);
    let mut patient: Vec<Client> = (1..CLIENTS).map(|_| daemon.client()).collect();
    for client in &mut patient {
        client.send(format!("get_slice slow 0 {SIZE} raw\r\n"));
    }
    // Reads that hang may delay look-ups in this file system.
    daemon.wait_status("clients that wait for the disk", |status| {
        let count = |phase: &str| status["connections"][phase].as_u64().unwrap_or(0);
        count("sending") > 0 && count("sending") + count("waiting") == CLIENTS - 1
    });
    for client in &mut patient {
        client.drain();
    }
    daemon.wait_status("clients cut off", |status| status["closed"]["disk-timeout"] == 2 * CLIENTS - 1);
    expect_served(&daemon);
}
