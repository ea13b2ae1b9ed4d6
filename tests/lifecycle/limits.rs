//! Limits of connections, address lists and rates.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::time::Instant;

use crate::support::{
    ALL_ENCODINGS, Client, Daemon, Encoding, PROBE, Settings, TestDir, content, eventually, in_parallel, skipped,
    slice_request,
};

/// Reads a 199 line and the close.
#[track_caller]
pub(super) fn expect_refused(client: &mut Client) {
    let line = client.line();
    assert!(line.starts_with("199 ") && line.len() > 4, "{line:?}");
    client.expect_close();
}

/// A client that has been answered.
#[track_caller]
pub(super) fn admitted(daemon: &Daemon) -> Client {
    let mut client = daemon.client();
    client.expect_alive();
    client
}

/// Connects until a client is accepted.
#[track_caller]
fn wait_admitted(daemon: &Daemon) -> Client {
    let mut client = daemon.client();
    eventually("another client is accepted", || {
        client = daemon.client();
        client.send_if_possible(PROBE);
        let line = client.line();
        if line.starts_with("202 ") { Ok(()) } else { Err(line) }
    });
    client
}

#[test]
fn connections_limit() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("limits.connections", "3"));
    let mut clients: Vec<_> = (0..3).map(|_| admitted(&daemon)).collect();
    for _ in 0..5 {
        expect_refused(&mut daemon.client());
        // Also if it has sent a request.
        let mut client = daemon.client();
        client.send_if_possible(b"get_file_listing\r\n");
        expect_refused(&mut client);
    }
    clients.iter_mut().for_each(Client::expect_alive);
    clients.pop();
    let mut another = wait_admitted(&daemon);
    another.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    expect_refused(&mut daemon.client());
}

#[test]
fn connections_per_address_limit() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("limits.connections-per-address", "2"));
    let mut clients = [admitted(&daemon), admitted(&daemon)];
    expect_refused(&mut daemon.client());
    let other = Ipv4Addr::new(127, 0, 0, 9);
    let mut others = [(); 2].map(|()| Client::connect_from(other, daemon.address(0)));
    for client in clients.iter_mut().chain(&mut others) {
        client.expect_alive();
    }
    expect_refused(&mut Client::connect_from(other, daemon.address(0)));
    drop(clients);
    wait_admitted(&daemon);
    expect_refused(&mut Client::connect_from(other, daemon.address(0)));
}

#[test]
fn allow_and_deny_lists() {
    let dir = TestDir::of_the_examples();
    let allowed = Ipv4Addr::new(127, 0, 1, 1);
    let denied = Ipv4Addr::new(127, 0, 1, 2);
    let settings =
        Settings::new(&dir).set("limits.allow", "[\"127.0.1.0/24\"]").set("limits.deny", "[\"127.0.1.2/32\"]");
    let daemon = Daemon::start(&dir, &settings);
    Client::connect_from(allowed, daemon.address(0)).expect_alive();
    expect_refused(&mut Client::connect_from(denied, daemon.address(0)));
    expect_refused(&mut daemon.client());
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("limits.deny", "[\"127.0.1.2/32\"]"));
    Client::connect_from(allowed, daemon.address(0)).expect_alive();
    expect_refused(&mut Client::connect_from(denied, daemon.address(0)));
}

#[test]
fn dual_stack_listener_sees_ipv4_clients_as_ipv4() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skipped("there is no IPv6");
    }
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen_on("[::]:0", "fragments");
    let of = |last| Ipv4Addr::new(127, 0, 1, last);

    let lists = settings.clone().set("limits.allow", "[\"127.0.1.0/24\"]").set("limits.deny", "[\"127.0.1.2\"]");
    let daemon = Daemon::start(&dir, &lists);
    let port = daemon.address(0).port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Client::connect_from(of(1), address).expect_alive();
    expect_refused(&mut Client::connect_from(of(2), address));
    expect_refused(&mut Client::connect(address));
    expect_refused(&mut Client::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, port))));
    drop(daemon);

    // As mapped IPv6 addresses they would all be in one /64.
    let daemon = Daemon::start(&dir, &settings.set("limits.connections-per-address", "1"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, daemon.address(0).port()));
    let mut clients = [1, 2, 3].map(|last| Client::connect_from(of(last), address));
    clients.iter_mut().for_each(Client::expect_alive);
    expect_refused(&mut Client::connect_from(of(2), address));
}

/// The time over which a rate is measured, in seconds.
const PERIOD: u64 = 10;

/// The time that the daemon takes for the bytes of a period at this rate, in periods.
fn slowness(address: SocketAddr, rate: u64, request: &str) -> f64 {
    let mut client = Client::connect(address);
    let mut writer = client.stream().try_clone().expect("a second handle");
    let took = std::thread::scope(|scope| {
        // The daemon reads requests no faster than it answers them.
        scope.spawn(move || writer.write_all(request.as_bytes()));
        client.exactly(1);
        let start = Instant::now();
        for _ in 0..PERIOD * 4 {
            client.exactly(usize::try_from(rate / 4).expect("a rate"));
        }
        let took = start.elapsed();
        let _ = client.stream().shutdown(Shutdown::Both);
        took
    });
    took.as_secs_f64() / PERIOD as f64
}

#[test]
fn rate_limit_is_exact_within_five_percent() {
    const RATES: [(&str, u64); 3] = [("1 KiB", 1 << 10), ("200 KiB", 200 << 10), ("20 MiB", 20 << 20)];
    const SIZE: u64 = 250 << 20;
    let dir = TestDir::new();
    content::write(&dir.root().join("f"), 1, SIZE);
    let sites = RATES.map(|_| TestDir::new());
    let daemons: Vec<Daemon> = std::iter::zip(&sites, RATES)
        .map(|(own, (rate, _))| {
            let settings = Settings::new(own).root(&dir.root()).listen_all();
            Daemon::start(own, &settings.set("limits.rate-per-connection", &format!("{rate:?}")))
        })
        .collect();
    let whole = |encoding: Encoding| slice_request(encoding, "f", 0, SIZE);
    let small = "get_metadata f\r\n".repeat(200_000);
    let mut jobs: Vec<(usize, usize, String)> =
        ALL_ENCODINGS.into_iter().map(|(listener, encoding)| (1, listener, whole(encoding))).collect();
    jobs.extend([(0, 0, whole(Encoding::Raw)), (0, 3, whole(Encoding::Base64)), (1, 0, small)]);
    jobs.push((2, 0, whole(Encoding::Raw)));
    in_parallel(jobs.len(), &jobs, |(daemon, listener, request)| {
        let (text, rate) = RATES[*daemon];
        let what = format!("{text}/s of {:?}, listener {listener}", request.lines().next().unwrap_or_default());
        // Other load on the machine makes it slower, and nothing makes it faster.
        for last in [false, false, true] {
            let slowness = slowness(daemons[*daemon].address(*listener), rate, request);
            println!("{what}: {slowness:.4} times the expected time");
            assert!(slowness > 0.95, "{what}: too fast, {slowness} times the expected time");
            if slowness < 1.05 {
                return;
            }
            assert!(!last, "{what}: too slow in three measurements, {slowness} times the expected time");
        }
    });
}
