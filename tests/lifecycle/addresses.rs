//! Clients with several IPv6 addresses, in a network namespace that has them on its loopback interface.

use std::net::{Ipv6Addr, SocketAddr};
use std::process::Command;

use super::limits::expect_refused;
use crate::support::{Client, Daemon, Settings, TestDir, am_root, run, skipped};

/// Set when this binary runs in the namespace.
const INSIDE: &str = "HFTPD_TEST_ADDRESSES";

/// Adds the addresses and executes the test.
const SCRIPT: &str = "ip link set lo up &&
    for address in fd00:0:0:1::1 fd00:0:0:1:8000::2 fd00:0:0:1::3 fd00:0:0:2::1 fd01:0:0:1::1; do
        ip address add $address/128 dev lo nodad || exit
    done && exec \"$0\" \"$@\"";

/// Runs a test of this binary in a new network namespace.
#[track_caller]
fn run_inside(test: &str) {
    let namespace: &[&str] =
        if am_root() { &["--net"] } else { &["--user", "--map-current-user", "--keep-caps", "--net"] };
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(namespace);
        command
    };
    if !unshare().args(["ip", "link", "set", "lo", "up"]).status().is_ok_and(|status| status.success()) {
        return skipped("cannot make a network namespace: unshare(1) or ip(8) is missing, or it is not permitted");
    }
    let this = std::env::current_exe().expect("this binary");
    let mut command = unshare();
    command.args(["sh", "-c", SCRIPT]).arg(this).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let finished = run(&mut command).expect_code(0);
    assert!(finished.stdout.contains("1 passed"), "the test did not run: {}", finished.output());
}

fn from(source: &str, daemon: &Daemon) -> Client {
    let source: Ipv6Addr = source.parse().expect("an address");
    Client::connect_from(source, SocketAddr::from((Ipv6Addr::LOCALHOST, daemon.address(0).port())))
}

#[test]
fn ipv6_clients_count_by_their_64_prefix() {
    if std::env::var_os(INSIDE).is_none() {
        return run_inside("addresses::ipv6_clients_count_by_their_64_prefix");
    }
    let dir = TestDir::of_the_examples();
    let settings = Settings::new(&dir).listen_on("[::]:0", "fragments");
    let mut daemon = Daemon::start(&dir, &settings.clone().set("limits.connections-per-address", "2"));
    let mut clients = ["fd00:0:0:1::1", "fd00:0:0:1:8000::2"].map(|source| from(source, &daemon));
    clients.iter_mut().for_each(Client::expect_alive);
    for source in ["fd00:0:0:1::1", "fd00:0:0:1::3"] {
        expect_refused(&mut from(source, &daemon));
    }
    // Networks that differ in the last and in the first bits of the prefix.
    for source in ["fd00:0:0:2::1", "fd01:0:0:1::1", "::1"] {
        let mut others = [(); 2].map(|()| from(source, &daemon));
        others.iter_mut().for_each(Client::expect_alive);
        expect_refused(&mut from(source, &daemon));
    }
    let networks = settings.set("limits.allow", "[\"fd00::/16\"]").set("limits.deny", "[\"fd00:0:0:1::/64\"]");
    daemon.reload(&networks).expect_code(0);
    from("fd00:0:0:2::1", &daemon).expect_alive();
    for source in ["fd00:0:0:1::3", "fd01:0:0:1::1", "::1"] {
        expect_refused(&mut from(source, &daemon));
    }
    clients.iter_mut().for_each(Client::expect_alive);
}
