//! The daemon's memory per client, request and answer, without the kernel's socket buffers.

use support::{ALL_ENCODINGS, Client, Daemon, Settings, TestDir, allow_open_files, in_parallel, proc, skipped};

mod support;

const MIB: usize = 1 << 20;

/// The growth of the daemon's peak memory during `work`, in KiB.
fn peak_growth(daemon: &Daemon, work: impl FnOnce()) -> u64 {
    // The first listing and the first status allocate memory once.
    daemon.client().listing();
    daemon.status();
    proc::reset_peak(daemon.pid());
    let before = proc::peak_kib(daemon.pid());
    work();
    let after = proc::peak_kib(daemon.pid());
    println!("VmHWM: {before} KiB before, {after} KiB after");
    after.saturating_sub(before)
}

#[test]
fn names_of_5_mib_cost_less_than_128_kib() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let name = "n".repeat(5 * MIB);
    let growth = peak_growth(&daemon, || {
        in_parallel(8, &[(); 8], |()| {
            let mut client = daemon.client();
            client.ask(format!("get_metadata {name}\r\n"), "202 FILE NOT FOUND\r\n");
            client.ask(format!("get_slice {name} 0 1\r\n"), "202 FILE NOT FOUND\r\n");
            client.ask(format!("{name}\r\n"), "200 NO SUCH COMMAND\r\n");
            client.expect_alive();
        });
    });
    assert!(growth < 1024, "eight names of 5 MiB at a time made the daemon grow by {growth} KiB");
}

/// Waits until the daemon has used no processor time for a second.
fn wait_until_quiet(daemon: &Daemon) {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("the daemon runs");
        let fields = stat.rsplit_once(')').expect("a stat line").1.split(' ').skip(12).take(2);
        fields.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut quiet_since = (std::time::Instant::now(), ticks());
    let start = std::time::Instant::now();
    while quiet_since.0.elapsed().as_secs() < 1 {
        assert!(start.elapsed() < support::LONG, "the daemon is busy though no client reads");
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = ticks();
        if now != quiet_since.1 {
            quiet_since = (std::time::Instant::now(), now);
        }
    }
}

#[test]
fn ten_thousand_unread_answers_cost_less_than_4_mib() {
    const REQUESTS: usize = 10_000;
    const NAMES: usize = 500;
    let dir = TestDir::new();
    let names: Vec<String> = (0..NAMES).map(|index| format!("a-file-of-many-{index:05}")).collect();
    for name in &names {
        dir.file(name, b"");
    }
    let answer = format!("0 OK\r\n{}\r\n\r\n", names.join("\r\n")).into_bytes();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut client = Client::connect_narrow(daemon.address(0));
    let growth = std::thread::scope(|scope| {
        let stream = client.stream().try_clone().expect("a second descriptor");
        let growth = peak_growth(&daemon, || {
            scope.spawn(move || {
                let requests = "get_file_listing\r\n".repeat(REQUESTS);
                std::io::Write::write_all(&mut &stream, requests.as_bytes()).expect("all requests are read in the end");
            });
            daemon.wait_connections("sending", 1);
            wait_until_quiet(&daemon);
        });
        for round in 0..REQUESTS {
            let got = client.exactly(answer.len());
            assert!(got == answer, "answer {round} is wrong: {}", support::show(&got));
        }
        client.expect_alive();
        growth
    });
    let kib = answer.len() / 1024;
    assert!(growth < 4 * 1024, "{REQUESTS} requests for {kib} KiB each made the daemon grow by {growth} KiB");
}

#[test]
fn unread_answers_cost_less_than_2_kib_in_every_encoding() {
    const CLIENTS: usize = 2000;
    if !allow_open_files(CLIENTS as u64 * 4) {
        return skipped("not enough open files are allowed");
    }
    let dir = TestDir::new();
    dir.file("small", &[7; 32 * 1024]);
    dir.file("large", &vec![7; 4 * MIB]);
    let settings = Settings::new(&dir).listen_all().set("log.access", "false");
    let small = "get_slice small 0 32768\r\n".repeat(400);
    let raw = "get_slice small 0 32768 raw\r\n".repeat(400);
    let large = "get_slice large 0 4194304\r\n".repeat(4);
    let listeners = ALL_ENCODINGS.iter().map(|&(listener, _)| listener);
    let mut asked: Vec<(usize, String)> = listeners.flat_map(|at| [(at, small.clone()), (at, large.clone())]).collect();
    asked.extend([(0, raw), (0, "help\r\n".repeat(100_000))]);
    for (listener, requests) in asked {
        let daemon = Daemon::start(&dir, &settings);
        let crowd = |count| -> Vec<Client> {
            let client = |_| {
                let mut client = Client::connect_narrow(daemon.address(listener));
                client.send_what_fits(requests.as_bytes());
                client
            };
            (0..count).map(client).collect()
        };
        // The first clients allocate memory once.
        let _first = crowd(CLIENTS / 10);
        daemon.wait_connections("sending", (CLIENTS / 10) as u64);
        wait_until_quiet(&daemon);
        let before = proc::anonymous_kib(daemon.pid());
        let _clients = crowd(CLIENTS);
        daemon.wait_connections("sending", (CLIENTS + CLIENTS / 10) as u64);
        wait_until_quiet(&daemon);
        let growth = proc::anonymous_kib(daemon.pid()).saturating_sub(before);
        let line = requests.lines().next().unwrap_or_default();
        println!("{CLIENTS} clients of listener {listener} that ask `{line}` cost {growth} KiB");
        // A device has up to eight threads, each with half a MiB to make answers in.
        let bound = 2 * CLIENTS as u64 + 8 * 512;
        assert!(growth < bound, "`{line}` at listener {listener}: {growth} KiB for {CLIENTS} clients");
    }
}

#[test]
fn unread_listings_cost_no_more_than_their_size() {
    const CLIENTS: usize = 20;
    const NAMES: usize = 20_000;
    let dir = TestDir::new();
    let padding = "x".repeat(52);
    let names: Vec<String> = (0..NAMES).map(|index| format!("file-{padding}-{index:05}")).collect();
    for name in &names {
        dir.file(name, b"");
    }
    let answer = format!("0 OK\r\n{}\r\n\r\n", names.join("\r\n")).into_bytes();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect_narrow(daemon.address(0))).collect();
    let growth = peak_growth(&daemon, || {
        for client in &mut clients {
            client.send("get_file_listing\r\n".repeat(5));
        }
        wait_until_quiet(&daemon);
    });
    // Each client has at most one listing in progress. Reading the directory needs further memory.
    let bound = ((CLIENTS + 8) * answer.len() / 1024) as u64;
    println!("grew by {growth} KiB for {CLIENTS} times {} KiB", answer.len() / 1024);
    assert!(growth < bound, "{CLIENTS} listings that nobody reads made the daemon grow by {growth} KiB");
    in_parallel_mut(&mut clients, |client| {
        for round in 0..5 {
            let got = client.exactly(answer.len());
            assert!(got == answer, "answer {round} is wrong: {}", support::show(&got));
        }
        client.expect_alive();
    });
}

fn in_parallel_mut(clients: &mut [Client], work: impl Fn(&mut Client) + Sync) {
    std::thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| work(client));
        }
    });
}
