//! The distribution of connections among workers: a connection wakes few of them, long connections are spread evenly, and
//! none is forgotten while workers are busy or cannot accept.

use std::fs;
use std::path::Path;
use std::time::Instant;

use rustix::io::Errno;

use crate::expect_served;
use crate::shim::Shim;
use crate::support::{Client, Daemon, LONG, Settings, TestDir, content, eventually, meanwhile, own_address, proc};

fn start(workers: usize) -> (TestDir, Daemon) {
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).set("workers", &workers.to_string()).set("log.access", "false");
    let daemon = Daemon::start(&dir, &settings);
    (dir, daemon)
}

/// The threads of the workers, as paths in `/proc`.
fn workers(daemon: &Daemon) -> Vec<String> {
    let is_worker = |thread: &String| proc::status_line(thread, "Name").starts_with("worker-");
    proc::threads(daemon.pid()).into_iter().filter(is_worker).collect()
}

/// How often all workers together have waited.
fn waits(daemon: &Daemon) -> u64 {
    let count = |thread: &String| proc::status_line(thread, "voluntary_ctxt_switches").parse::<u64>();
    workers(daemon).iter().map(|thread| count(thread).expect("a number")).sum()
}

/// The TCP sockets that an epoll instance watches.
#[derive(Debug, Default, PartialEq, Eq)]
struct Watched {
    clients: usize,
    listeners: usize,
}

/// The epoll instances with clients or listeners of TCP, from `/proc`: one for each worker that has some.
fn polls(daemon: &Daemon) -> Vec<Watched> {
    let process = format!("/proc/{}", daemon.pid());
    let table = |name| fs::read_to_string(format!("{process}/net/{name}")).unwrap_or_default();
    let listening: Vec<String> = (table("tcp") + &table("tcp6")).lines().filter_map(inode_that_listens).collect();
    let files = fs::read_dir(format!("{process}/fd")).expect("the daemon runs").map_while(Result::ok);
    let links = files.filter_map(|file| Some((file.file_name(), fs::read_link(file.path()).ok()?)));
    let is_poll = |(_, link): &(_, std::path::PathBuf)| link == Path::new("anon_inode:[eventpoll]");
    let polls = links.filter(is_poll).map(|(name, _)| {
        let mut watched = Watched::default();
        let info = fs::read_to_string(format!("{process}/fdinfo/{}", name.display())).unwrap_or_default();
        for target in info.lines().filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next()) {
            let link = fs::read_link(format!("{process}/fd/{target}")).unwrap_or_default();
            let Some(inode) = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')) else {
                continue;
            };
            match listening.iter().any(|listens| listens == inode) {
                true => watched.listeners += 1,
                false => watched.clients += 1,
            }
        }
        watched
    });
    polls.filter(|watched| *watched != Watched::default()).collect()
}

/// The inode of a line of `/proc/net/tcp`, if that socket listens.
fn inode_that_listens(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    (*fields.get(3)? == "0A").then(|| fields[9].to_owned())
}

/// Waits until the clients are connected, and the numbers of any two workers differ by at most `slack`.
#[track_caller]
fn expect_even(daemon: &Daemon, workers: usize, clients: usize, slack: usize) {
    daemon.wait_connections("total", clients as u64);
    eventually(&format!("{clients} clients are distributed over {workers} workers"), || {
        // The supervisor's epoll instance may look like that of a worker with few clients.
        let mut loads: Vec<usize> = polls(daemon).iter().map(|poll| poll.clients).collect();
        loads.sort_unstable_by(|a, b| b.cmp(a));
        loads.truncate(workers);
        let (most, least) = (loads[0], loads.last().copied().unwrap_or_default());
        let all = loads.len() == workers && loads.iter().sum::<usize>() >= clients;
        if all && most - least <= slack { Ok(()) } else { Err(format!("{loads:?}")) }
    });
}

#[test]
fn connection_wakes_few_workers() {
    const CLIENTS: u64 = 500;
    let (_site, daemon) = start(16);
    expect_served(&daemon);
    let before = waits(&daemon);
    for _ in 0..CLIENTS {
        daemon.client().ask("get_metadata a10\r\nquit\r\n", "0 OK\r\n10\r\n0 OK\r\n");
    }
    let each = (waits(&daemon) - before) as f64 / CLIENTS as f64;
    println!("{each:.2} waits a connection of {CLIENTS}");
    assert!(each < 6.0, "a connection makes workers wait {each:.1} times");
}

#[test]
fn long_connections_are_spread_evenly() {
    for workers in [4, 8] {
        let (_site, daemon) = start(workers);
        let mut clients: Vec<Client> = (0..64).map(|_| daemon.client()).collect();
        expect_even(&daemon, workers, 64, 3);
        clients.iter_mut().for_each(Client::expect_alive);
        // Short connections before do not change that.
        drop(clients);
        daemon.wait_connections("total", 0);
        (0..200).for_each(|_| drop(expect_served(&daemon)));
        let clients: Vec<Client> = (0..64).map(|_| expect_served(&daemon)).collect();
        expect_even(&daemon, workers, 64, 8);
        drop(clients);
    }
}

#[test]
fn only_some_workers_poll_the_listeners() {
    let dir = TestDir::of_the_examples();
    let [first, second] = [own_address(), own_address()];
    let one = Settings::new(&dir).set("workers", "64").listen_on(first, "fragments");
    let two = one.clone().listen_on(second, "plain");
    let mut daemon = Daemon::start(&dir, &one);
    let most = std::thread::available_parallelism().map_or(1, usize::from).max(2);
    let expect = |daemon: &Daemon, listeners: usize| {
        eventually(&format!("workers poll {listeners} listeners"), || {
            let polls = polls(daemon);
            let listening: Vec<_> = polls.iter().filter(|poll| poll.listeners > 0).collect();
            let right = listening.len() == most.min(64) && listening.iter().all(|poll| poll.listeners == listeners);
            if right { Ok(()) } else { Err(format!("{polls:?}")) }
        });
    };
    expect(&daemon, 1);
    for _ in 0..3 {
        daemon.reload(&two).expect_code(0);
        expect(&daemon, 2);
        daemon.reload(&one).expect_code(0);
        expect(&daemon, 1);
    }
    Client::connect(first).expect_alive();
}

#[test]
fn connection_bursts_are_served_by_busy_workers() {
    const LARGE: u64 = 8 << 20;
    const BURST: usize = 400;
    for workers in [1, 2, 4, 8] {
        let (dir, daemon) = start(workers);
        content::write(&dir.root().join("f"), 1, LARGE);
        let transfer = || {
            let mut client = daemon.client();
            client.send(format!("get_slice f 0 {LARGE} raw\r\nquit\r\n"));
            assert!(client.drain() > LARGE);
        };
        meanwhile(4, transfer, || {
            for round in 0..5 {
                let begin = Instant::now();
                let mut clients: Vec<Client> = (0..BURST).map(|_| daemon.client()).collect();
                clients.iter_mut().for_each(|client| client.send("get_metadata a10\r\n"));
                clients.iter_mut().for_each(|client| client.expect("0 OK\r\n10\r\n"));
                let took = begin.elapsed();
                assert!(took < LONG / 2, "{workers} workers, round {round}: the last was answered after {took:?}");
            }
        });
    }
}

#[test]
fn paused_workers_do_not_poll_the_listener() {
    let dir = TestDir::of_the_examples();
    let (shim, daemon) = Shim::start(&dir, &Settings::new(&dir).set("workers", "2"));
    let listening = || polls(&daemon).iter().filter(|poll| poll.listeners > 0).count();
    for _ in 0..10 {
        eventually("both workers poll the listener", || match listening() {
            2 => Ok(()),
            count => Err(format!("{count} do")),
        });
        shim.fail_accepting(Errno::NOBUFS, i64::MAX);
        let mut waiting = Vec::new();
        eventually("no worker polls the listener", || {
            // The connection wakes a worker that polls the listener, and its accept4(2) fails.
            waiting.push(daemon.client());
            match listening() {
                0 => Ok(()),
                count => Err(format!("{count} do")),
            }
        });
        shim.accept_again();
        waiting.iter_mut().for_each(|client| client.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n"));
    }
}
