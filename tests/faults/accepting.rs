//! Errors of accept4(2).

use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::expect_served;
use crate::process::expect_no_spinning;
use crate::shim::Shim;
use crate::support::{Client, Settings, TestDir};

const ALWAYS: i64 = i64::MAX;

/// The time within which clients are accepted again.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn accept_errors_delay_clients_and_are_logged_once() {
    // EPERM is the answer of a security module.
    for errno in [Errno::NOBUFS, Errno::NOMEM, Errno::PERM] {
        let dir = TestDir::of_the_examples();
        let (shim, daemon) = Shim::start(&dir, &Settings::new(&dir).set("workers", "2"));
        let mut before = expect_served(&daemon);
        shim.fail_accepting(errno, ALWAYS);
        let mut waiting: Vec<Client> = (0..20).map(|_| daemon.client()).collect();
        waiting.iter_mut().for_each(|client| client.send("get_metadata a10\r\n"));
        daemon.wait_status("accepting has failed", |status| status["accept_pauses"].as_u64() > Some(2));
        expect_no_spinning(&daemon);
        before.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
        shim.accept_again();
        let begin = Instant::now();
        waiting.iter_mut().for_each(|client| client.expect("0 OK\r\n10\r\n"));
        assert!(begin.elapsed() < SOON, "{errno:?}: accepted again after {:?}", begin.elapsed());
        let mut complaints = daemon.stderr_lines();
        complaints.retain(|line| line.contains("cannot accept clients"));
        assert_eq!(complaints.len(), 1, "lines of two workers in less than a minute: {complaints:#?}");
        assert!(!complaints[0].contains("LimitNOFILE"), "{errno:?} is not a lack of descriptors: {}", complaints[0]);
    }
}

#[test]
fn econnaborted_does_not_pause_accepting() {
    const ABORTED: usize = 50;
    const SERVED: usize = 100;
    let dir = TestDir::of_the_examples();
    let (shim, daemon) = Shim::start(&dir, &Settings::new(&dir));
    shim.fail_accepting(Errno::CONNABORTED, i64::try_from(ABORTED).expect("few"));
    let mut clients: Vec<Client> = (0..ABORTED + SERVED).map(|_| daemon.client()).collect();
    clients.iter_mut().for_each(|client| client.send_if_possible(b"quit\r\n"));
    let served = clients.iter_mut().map(Client::drain).filter(|&length| length > 0).count();
    assert_eq!(served, SERVED);
    assert_eq!(daemon.status()["accept_pauses"], 0);
    let lines = daemon.stderr_lines();
    assert!(!lines.iter().any(|line| line.contains("accept")), "the log: {lines:#?}");
}
