//! The end of a connection: half-close, `quit`, a fatal error, a client that disconnects.

use std::time::Duration;

use socket2::SockRef;

use crate::support::{Daemon, Settings, TestDir, content, eventually};

fn started(dir: &TestDir) -> Daemon {
    Daemon::start(dir, &Settings::new(dir))
}

#[test]
fn half_close_answers_complete_requests_and_drops_the_rest() {
    let dir = TestDir::of_the_examples();
    let daemon = started(&dir);
    let cases = [
        ("", ""),
        ("help", ""),
        ("get_metadata a10\r", ""),
        (" ", ""),
        ("get_metadata a10\r\n", "0 OK\r\n10\r\n"),
        ("get_metadata a10\r\nget_met", "0 OK\r\n10\r\n"),
        ("get_metadata a10\r\nget_metadata empty\r", "0 OK\r\n10\r\n"),
        ("verdura\r\nget_metadata empty\r\n\r", "200 NO SUCH COMMAND\r\n0 OK\r\n0\r\n"),
        ("get_metadata a10\r\n\r\n", "0 OK\r\n10\r\n101 BAD REQUEST\r\n"),
        ("quit\r\nget_metadata a10\r\n", "0 OK\r\n"),
    ];
    for (send, answer) in cases {
        let mut client = daemon.client();
        client.send(send);
        client.finish();
        let got = client.rest();
        assert_eq!(String::from_utf8_lossy(&got), answer, "after {send:?} and the half-close");
    }
}

#[test]
fn large_answer_is_completed_after_half_close() {
    const SIZE: usize = 20 << 20;
    let dir = TestDir::new();
    content::write(&dir.root().join("large"), 1, SIZE as u64);
    let daemon = started(&dir);
    let mut client = daemon.client();
    client.send(format!("get_slice large 0 {SIZE} raw\r\nget_metadata large\r\nget_meta"));
    client.finish();
    client.expect(format!("0 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
    assert!(client.exactly(SIZE) == content::pattern(1, 0, SIZE), "other bytes than the file's");
    client.expect(format!("0 OK\r\n{SIZE}\r\n"));
    client.expect_close();
}

#[test]
fn input_after_quit_is_ignored() {
    let dir = TestDir::of_the_examples();
    let daemon = started(&dir);
    for rest in ["\n\n\n", "\r\n", "get_metadata a10\r\n", "quit\r\nquit\r\n", "\u{0}\u{1}"] {
        let mut client = daemon.client();
        client.send(format!("quit\r\n{rest}"));
        client.expect("0 OK\r\n");
        client.expect_close();
    }
}

#[test]
fn final_answer_arrives_while_the_client_still_sends() {
    let dir = TestDir::of_the_examples();
    let daemon = started(&dir);
    let garbage = vec![b'x'; 256 << 10];
    let cases: [(&[u8], &str); 4] = [
        (b"\r\n", "101 BAD REQUEST\r\n"),
        (b"help\n", "100 BAD EOL\r\n"),
        (b"get_slice noread 0 1\r\n", "199 INTERNAL SERVER ERROR\r\n"),
        (b"quit\r\n", "0 OK\r\n"),
    ];
    for (fatal, answer) in cases {
        // In one write with the fatal request.
        let mut client = daemon.client();
        client.send_if_possible(&[fatal, garbage.as_slice()].concat());
        client.expect(answer);
        client.expect_close();
        // After the answer has arrived.
        let mut client = daemon.client();
        client.ask(fatal, answer);
        client.send(&garbage);
        client.expect_close();
    }
}

#[test]
fn resets_and_closes_leave_no_connection() {
    let dir = TestDir::of_the_examples();
    content::write(&dir.root().join("large"), 1, 8 << 20);
    let daemon = started(&dir);
    let mut held = Vec::new();
    for index in 0..100 {
        let mut client = daemon.client();
        match index % 5 {
            0 => {}
            1 => client.send("get_met"),
            2 => client.send("get_slice large 0 8388608\r\n"),
            3 => client.send("get_file_listing\r\n"),
            _ => client.send("quit\r\n"),
        }
        if index % 2 == 0 {
            SockRef::from(client.stream()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        }
        if index % 3 == 0 {
            held.push(client);
        }
    }
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    drop(held);
    daemon.wait_connections("total", 0);
}

#[test]
fn slow_readers_do_not_delay_others() {
    let dir = TestDir::of_the_examples();
    content::write(&dir.root().join("large"), 1, 64 << 20);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).set("workers", "1"));
    let mut slow: Vec<_> = (0..20)
        .map(|_| {
            let mut client = crate::support::client::Client::connect_narrow(daemon.address(0));
            client.send("get_slice large 0 67108864 raw\r\n");
            client
        })
        .collect();
    eventually("twenty answers under way", || {
        let sending = daemon.status()["connections"]["sending"].as_u64();
        if sending == Some(20) { Ok(()) } else { Err(format!("{sending:?}")) }
    });
    let mut byte_by_byte = daemon.client();
    byte_by_byte.send("get_metadata a1");
    daemon.client().ask("get_metadata a10\r\n", "0 OK\r\n10\r\n");
    byte_by_byte.ask("0\r\n", "0 OK\r\n10\r\n");
    for client in &mut slow {
        client.expect("0 OK\r\nContent-Length: 67108864\r\n\r\n");
    }
}
