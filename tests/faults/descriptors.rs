//! A lack of descriptors: new clients are answered 199, nothing spins, and the daemon recovers by itself.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::expect_served;
use crate::process::{executed_by, expect_no_spinning, open_files, start_with_files};
use crate::support::{
    Client, Daemon, LONG, Settings, TestDir, eventually, eventually_refused, hftpd_with, own_address, run,
};

/// The limit of open files, and a number of clients that exceeds it.
const FILES: usize = 80;
const CLIENTS: usize = 120;

/// Connects clients; returns those that are served and the number of those that are refused. None is left waiting.
#[track_caller]
fn connect_clients(daemon: &Daemon) -> (Vec<Client>, usize) {
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| daemon.client()).collect();
    clients.iter_mut().for_each(|client| client.send_if_possible(b"help\r\n"));
    clients.retain(is_served);
    let refused = CLIENTS - clients.len();
    (clients, refused)
}

/// A client that is served, if there is room for one.
#[track_caller]
fn one_more(daemon: &Daemon) -> Option<Client> {
    let mut client = daemon.client();
    client.send_if_possible(b"help\r\n");
    Some(client).filter(is_served)
}

/// Whether the first byte of the answer to `help` is that of 0 OK.
#[track_caller]
fn is_served(client: &Client) -> bool {
    let mut first = [0];
    match client.stream().peek(&mut first) {
        Ok(1) => first == *b"0",
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("a client is neither served nor refused")
        }
        // A refused client that has sent something may see a reset.
        Ok(_) | Err(_) => false,
    }
}

/// Clients that use all descriptors, also those that refused clients have returned.
#[track_caller]
fn use_all_descriptors(daemon: &Daemon) -> Vec<Client> {
    let (mut served, _) = connect_clients(daemon);
    served.extend(std::iter::from_fn(|| one_more(daemon)));
    served
}

/// The reserve descriptors, which are /dev/null, and those of the standard streams, which do not change.
fn reserves(daemon: &Daemon) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("the daemon runs");
    let is_null = |file: &fs::DirEntry| fs::read_link(file.path()).is_ok_and(|path| path == Path::new("/dev/null"));
    files.map_while(Result::ok).filter(is_null).count()
}

#[test]
fn emfile_clients_are_answered_199_and_later_ones_served() {
    let dir = TestDir::of_the_examples();
    let daemon = start_with_files(&dir, &Settings::new(&dir).set("workers", "8"), FILES);
    let reserves = reserves(&daemon);
    for round in 0..20 {
        let (served, refused) = connect_clients(&daemon);
        assert!(served.len() > FILES / 4 && refused > 0, "round {round}: {} served, {refused} refused", served.len());
        if round == 0 {
            expect_no_spinning(&daemon);
        }
        drop(served);
        daemon.wait_connections("total", 0);
        expect_served(&daemon);
    }
    eventually("each worker has its reserve descriptor again", || {
        // A worker opens its reserve when it accepts a client.
        expect_served(&daemon);
        match self::reserves(&daemon) {
            count if count == reserves => Ok(()),
            count => Err(format!("{count} of {reserves}")),
        }
    });
    let lines = daemon.stderr_lines();
    let complaints = lines.iter().filter(|line| line.contains("cannot accept clients")).count();
    assert_eq!(complaints, 1, "lines of eight workers in less than a minute: {lines:#?}");
}

#[test]
fn accepting_resumes_within_a_second_of_a_free_descriptor() {
    let dir = TestDir::of_the_examples();
    let daemon = start_with_files(&dir, &Settings::new(&dir).set("workers", "2"), FILES);
    for round in 0..10 {
        let mut served = use_all_descriptors(&daemon);
        let begin = Instant::now();
        // The daemon first reopens the reserves of its event loops and of the control socket.
        served.truncate(served.len() - 4);
        eventually("a client is served", || one_more(&daemon).map(drop).ok_or_else(|| "refused".to_owned()));
        assert!(begin.elapsed() < Duration::from_secs(1), "round {round}: after {:?}", begin.elapsed());
        drop(served);
        daemon.wait_connections("total", 0);
    }
}

#[test]
fn removed_listener_does_not_spin_on_emfile() {
    let dir = TestDir::of_the_examples();
    let [kept, removed, added] = [own_address(), own_address(), own_address()];
    let settings = Settings::new(&dir).set("workers", "2").set("limits.connections", "10000");
    let one = settings.listen_on(kept, "fragments");
    let daemon = start_with_files(&dir, &one.clone().listen_on(removed, "fragments"), FILES);
    let mut clients: Vec<Client> = (0..FILES / 2).map(|_| expect_served(&daemon)).collect();
    one.listen_on(added, "fragments").write(&dir.config());
    let mark = daemon.stderr_mark();
    daemon.signal(Signal::HUP);
    eventually("the new listener accepts", || TcpStream::connect(added).map(drop).map_err(|error| error.to_string()));
    Client::connect(added).expect_alive();
    // The old listener is closed when no descriptor is left.
    clients.extend((0..FILES).map(|_| Client::connect(kept)));
    eventually("descriptors are short", || match open_files(daemon.pid()) {
        count if count + 5 > FILES => Ok(()),
        count => Err(format!("{count} are open")),
    });
    expect_no_spinning(&daemon);
    drop(clients);
    daemon.wait_stderr(mark, "reloaded: ");
    expect_served(&daemon);
    eventually_refused(removed);
    expect_no_spinning(&daemon);
}

#[test]
fn status_works_on_emfile_and_reload_exits_71() {
    let dir = TestDir::of_the_examples();
    let mut daemon = start_with_files(&dir, &Settings::new(&dir).set("workers", "2"), FILES);
    for _ in 0..5 {
        let served = use_all_descriptors(&daemon);
        for _ in 0..10 {
            assert_eq!(daemon.status()["state"], "serving");
        }
        // A reload needs descriptors for the file and the root.
        daemon.reload_command().expect_code(71).expect_says("LimitNOFILE");
        drop(served);
        daemon.wait_connections("total", 0);
        daemon.reload_command().expect_code(0);
    }
}

#[test]
fn status_works_serially_on_emfile() {
    let dir = TestDir::of_the_examples();
    let daemon = start_with_files(&dir, &Settings::new(&dir).set("workers", "2"), FILES);
    let served = use_all_descriptors(&daemon);
    let ask = || hftpd_with(&["status"], &dir.config()).stdout(Stdio::null()).spawn().expect("hftpd status");
    let mut commands: Vec<_> = (0..20).map(|_| ask()).collect();
    for child in &mut commands {
        let status = run::wait(child, LONG);
        let _ = child.kill();
        assert!(status.is_some_and(|status| status.success()), "hftpd status: {status:?}");
    }
    drop(served);
    expect_served(&daemon);
}

#[test]
fn descriptor_limit_covers_the_cached_files_of_all_workers() {
    const WORKERS: u64 = 32;
    const CACHED: u64 = 256;
    let site = TestDir::new();
    let settings = Settings::new(&site).set("workers", "32").set("limits.connections", "1000");
    settings.write(&site.config());
    let daemon =
        Daemon::spawn(&site, executed_by(&["prlimit", "--nofile=1024:20000"], &site.config()).current_dir(site.path()));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("the limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit of open files");
    let limit: u64 = line.split_whitespace().nth(3).and_then(|word| word.parse().ok()).expect("a number");
    assert!(limit >= 2 * 1000 + WORKERS * CACHED, "{line}");
}
