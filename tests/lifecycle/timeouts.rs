//! Clients that take their time.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::decode::{Fault, Form};
use crate::support::settings::Settings;
use crate::support::site::Site;
use crate::support::slow::slow_in_all_forms;
use crate::support::{content, in_parallel};

const LARGE: u64 = 48 << 20;

#[test]
fn idle_connection_is_closed_silently() {
    let site = Site::of_the_examples();
    let daemon = Daemon::start(&site, &Settings::new(&site).set("timeouts.idle", "\"2s\""));
    let mut silent = daemon.client();
    let mut polite = daemon.client();
    for _ in 0..12 {
        // Each request starts the time anew, so that this takes longer than the timeout.
        polite.ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
        std::thread::sleep(Duration::from_millis(200));
    }
    let start = Instant::now();
    polite.expect_close();
    assert!(start.elapsed() > Duration::from_millis(1500), "closed after {:?}, too soon", start.elapsed());
    silent.expect_close();
}

#[test]
fn slow_request_is_101_even_if_bytes_keep_coming() {
    let site = Site::of_the_examples();
    let daemon = Daemon::start(&site, &Settings::new(&site).set("timeouts.request", "\"1s\""));
    in_parallel(3, &["g", "get_metadata a10\r\nhel", "get_metadata a"], |start| {
        let mut client = daemon.client();
        client.send(start);
        if start.contains('\n') {
            client.expect("0 OK\r\n10\r\n");
        }
        let begun = Instant::now();
        client.stream().set_read_timeout(Some(Duration::from_millis(100))).expect("SO_RCVTIMEO");
        let mut byte = [0];
        while client.stream().peek(&mut byte).is_err() {
            client.send_if_possible(b"x");
            assert!(begun.elapsed() < crate::support::LONG, "a byte a while for {:?}, and no answer", begun.elapsed());
        }
        assert!(begun.elapsed() > Duration::from_millis(800), "answered after {:?}, too soon", begun.elapsed());
        client.expect("101 BAD REQUEST\r\n");
        client.expect_close();
    });
}

#[test]
fn stalled_client_is_closed() {
    let site = Site::new();
    content::write(&site.root().join("large"), 1, LARGE);
    let settings = Settings::new(&site).listen_all().set("timeouts.stall", "\"1s\"");
    let daemon = Daemon::start(&site, &settings);
    let mut clients = slow_in_all_forms(&daemon, "large", LARGE);
    daemon.wait_connections("total", 0);
    for (client, form) in &mut clients {
        let outcome = client.answer(*form, LARGE, &mut |_| {});
        assert!(matches!(outcome, Err(Fault::Ended { .. })), "{form:?}: {outcome:?}");
    }
}

#[test]
fn slow_reader_is_not_closed() {
    let site = Site::new();
    content::write(&site.root().join("large"), 1, LARGE);
    let daemon = Daemon::start(&site, &Settings::new(&site).listen_all().set("timeouts.stall", "\"2s\""));
    in_parallel(5, &Form::ALL, |&(listener, form)| {
        let mut client = Client::connect_narrow(daemon.address(listener));
        client.send(form.request("large", 0, LARGE));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            client.exactly(32 << 10);
            std::thread::sleep(Duration::from_millis(100));
        }
        // Had it been cut off, what the kernel still holds would not be this much.
        for _ in 0..40 {
            client.exactly(1 << 20);
        }
    });
}
