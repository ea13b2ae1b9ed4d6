//! No descriptor left: who comes is told so, nothing spins, and it passes by itself.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::expect_served;
use crate::process::{expect_calm, open_files, start_with_files};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::run::{self, hftpd_with};
use crate::support::settings::Settings;
use crate::support::site::Site;
use crate::support::{LONG, eventually, own_address};

/// What the daemon may have open, and more clients than that allows.
const FILES: usize = 80;
const STORM: usize = 120;

/// The clients that are served of those that come, and how many are told that there is no room. Nobody is left waiting.
#[track_caller]
fn storm(daemon: &Daemon) -> (Vec<Client>, usize) {
    let mut clients: Vec<Client> = (0..STORM).map(|_| daemon.client()).collect();
    clients.iter_mut().for_each(|client| client.send_if_possible(b"help\r\n"));
    clients.retain(is_served);
    let told = STORM - clients.len();
    (clients, told)
}

/// A client that is served, if there is room for one.
#[track_caller]
fn one_more(daemon: &Daemon) -> Option<Client> {
    let mut client = daemon.client();
    client.send_if_possible(b"help\r\n");
    Some(client).filter(is_served)
}

/// Whether a client that has asked for help is answered, and not turned away.
#[track_caller]
fn is_served(client: &Client) -> bool {
    let mut first = [0];
    match client.stream().peek(&mut first) {
        Ok(1) => first == *b"0",
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("a client is neither served nor turned away")
        }
        // What a client sees that said something before it was turned away.
        Ok(_) | Err(_) => false,
    }
}

/// Clients that take the last descriptor; what others have given back in being turned away is taken too.
#[track_caller]
fn as_many_as_fit(daemon: &Daemon) -> Vec<Client> {
    let (mut served, _) = storm(daemon);
    served.extend(std::iter::from_fn(|| one_more(daemon)));
    served
}

/// Descriptors that are kept to be given up, among them those of the standard streams, which are always there.
fn spares(daemon: &Daemon) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("the daemon runs");
    let is_null = |file: &fs::DirEntry| fs::read_link(file.path()).is_ok_and(|path| path == Path::new("/dev/null"));
    files.map_while(Result::ok).filter(is_null).count()
}

#[test]
fn emfile_clients_are_answered_199_and_later_ones_served() {
    let site = Site::of_the_examples();
    let daemon = start_with_files(&site, &Settings::new(&site).set("workers", "8"), FILES);
    let spares = spares(&daemon);
    for round in 0..20 {
        let (served, told) = storm(&daemon);
        assert!(served.len() > FILES / 4 && told > 0, "round {round}: {} served, {told} told", served.len());
        if round == 0 {
            expect_calm(&daemon);
        }
        drop(served);
        daemon.wait_connections("total", 0);
        expect_served(&daemon);
    }
    eventually("each worker has its spare descriptor again", || {
        // A worker that accepts a client looks after it.
        expect_served(&daemon);
        match self::spares(&daemon) {
            count if count == spares => Ok(()),
            count => Err(format!("{count} of {spares}")),
        }
    });
    let lines = daemon.stderr_lines();
    let complaints = lines.iter().filter(|line| line.contains("cannot accept clients")).count();
    assert_eq!(complaints, 1, "of eight workers in less than a minute: {lines:#?}");
}

#[test]
fn accepting_resumes_within_a_second_of_a_free_descriptor() {
    let site = Site::of_the_examples();
    let daemon = start_with_files(&site, &Settings::new(&site).set("workers", "2"), FILES);
    for round in 0..10 {
        let mut served = as_many_as_fit(&daemon);
        let begin = Instant::now();
        // The daemon first takes back what it keeps to be given up, for each event loop and for the control socket.
        served.truncate(served.len() - 4);
        eventually("a client is served", || one_more(&daemon).map(drop).ok_or_else(|| "turned away".to_owned()));
        assert!(begin.elapsed() < Duration::from_secs(1), "round {round}: after {:?}", begin.elapsed());
        drop(served);
        daemon.wait_connections("total", 0);
    }
}

#[test]
fn removed_listener_does_not_spin_on_emfile() {
    let site = Site::of_the_examples();
    let [stays, goes, comes] = [own_address(), own_address(), own_address()];
    let one = Settings::new(&site).set("workers", "2").listen_on(stays, "fragments");
    let daemon = start_with_files(&site, &one.clone().listen_on(goes, "fragments"), FILES);
    let mut clients: Vec<Client> = (0..FILES / 2).map(|_| expect_served(&daemon)).collect();
    one.listen_on(comes, "fragments").write(&site.config());
    let mark = daemon.stderr_mark();
    daemon.signal(Signal::HUP);
    eventually("the new listener is there", || TcpStream::connect(comes).map(drop).map_err(|error| error.to_string()));
    Client::connect(comes).expect_alive();
    // The old one is closed a moment later, when there is no descriptor left.
    clients.extend((0..FILES).map(|_| Client::connect(stays)));
    eventually("descriptors are short", || match open_files(daemon.pid()) {
        count if count + 5 > FILES => Ok(()),
        count => Err(format!("{count} are open")),
    });
    expect_calm(&daemon);
    drop(clients);
    daemon.wait_stderr(mark, "reloaded: ");
    expect_served(&daemon);
    eventually("the old listener is closed", || match TcpStream::connect(goes) {
        Err(_) => Ok(()),
        Ok(_) => Err("connected".to_owned()),
    });
    expect_calm(&daemon);
}

#[test]
fn status_works_on_emfile_and_reload_exits_71() {
    let site = Site::of_the_examples();
    let mut daemon = start_with_files(&site, &Settings::new(&site).set("workers", "2"), FILES);
    for _ in 0..5 {
        let served = as_many_as_fit(&daemon);
        for _ in 0..10 {
            assert_eq!(daemon.status()["state"], "serving");
        }
        // It has to read the file and the root, and can say what is missing.
        daemon.reload_command().expect_code(71).expect_says("LimitNOFILE");
        drop(served);
        daemon.wait_connections("total", 0);
        daemon.reload_command().expect_code(0);
    }
}

#[test]
fn status_works_serially_on_emfile() {
    let site = Site::of_the_examples();
    let daemon = start_with_files(&site, &Settings::new(&site).set("workers", "2"), FILES);
    let served = as_many_as_fit(&daemon);
    let ask = || hftpd_with(&["status"], &site.config()).stdout(Stdio::null()).spawn().expect("hftpd status");
    let mut asking: Vec<_> = (0..20).map(|_| ask()).collect();
    for child in &mut asking {
        let status = run::wait(child, LONG);
        let _ = child.kill();
        assert!(status.is_some_and(|status| status.success()), "hftpd status: {status:?}");
    }
    drop(served);
    expect_served(&daemon);
}
