//! Many requests in one packet, and answers in one packet.

use crate::support::{Daemon, Settings, TestDir, content, in_parallel};

#[test]
fn thousand_pipelined_requests_are_answered_in_order() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen("fragments").listen("plain").listen("base64"));
    let (mut requests, mut answers) = (String::new(), String::new());
    for index in 0..1000 {
        let (digit, size) = (index % 10, index % 4);
        let (request, answer) = match size {
            0 => (format!("get_metadata no-{index}"), "202 FILE NOT FOUND".to_owned()),
            1 => {
                (format!("get_slice a10 {digit} 1 raw"), format!("0 OK\r\nContent-Length: 1\r\n\r\n{digit}0 OK\r\n10"))
            }
            2 => ("get_metadata a10".to_owned(), "0 OK\r\n10".to_owned()),
            _ => (format!("get_slice a10 {digit} 20"), "203 OFFSET EXCEEDS FILE SIZE".to_owned()),
        };
        let second = if size == 1 { "\r\nget_metadata a10" } else { "" };
        requests += &format!("{request}{second}\r\n");
        answers += &format!("{answer}\r\n");
    }
    for index in 0..daemon.listeners().len() {
        let mut client = daemon.client_of(index);
        client.ask(&requests, &answers);
        client.expect_alive();
        client.send(&requests);
        client.finish();
        client.expect(&answers);
        client.expect_close();
    }
}

#[test]
fn small_answer_arrives_in_one_read() {
    let dir = TestDir::of_the_examples();
    let body = content::pattern(1, 0, 1000);
    dir.file("body", &body);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen("fragments").listen("plain").listen("base64"));
    let raw = [b"0 OK\r\nContent-Length: 1000\r\n\r\n", body.as_slice()].concat();
    let fragments = [b"0 OK\r\n1000 ", body.as_slice(), b"\r\n0 \r\n"].concat();
    let plain = [b"0 OK\r\n", body.as_slice(), b"\r\n"].concat();
    let listing = b"0 OK\r\na10\r\nbody\r\nempty\r\nnoread\r\n\r\n";
    let cases: [(usize, &str, &[u8]); 8] = [
        (0, "get_slice body 0 1000\r\n", &fragments),
        (1, "get_slice body 0 1000\r\n", &plain),
        (2, "get_slice a10 0 10\r\n", b"0 OK\r\nMDEyMzQ1Njc4OQ==\r\n"),
        (0, "get_slice body 0 1000 raw\r\n", &raw),
        (0, "get_file_listing\r\n", listing),
        (0, "get_metadata body\r\n", b"0 OK\r\n1000\r\n"),
        (0, "help\r\n", b"0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n"),
        (0, "verdura\r\n", b"200 NO SUCH COMMAND\r\n"),
    ];
    in_parallel(2, &cases, |&(listener, request, answer)| {
        let mut client = daemon.client_of(listener);
        for round in 0..20 {
            client.send(request);
            let got = client.one_read();
            assert!(got == answer, "round {round} of {request:?}: one read got only {} bytes", got.len());
        }
    });
}

#[test]
fn final_answer_arrives_in_one_read() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    for (request, answer) in [("\r\n", "101 BAD REQUEST\r\n"), ("\n", "100 BAD EOL\r\n"), ("quit\r\n", "0 OK\r\n")] {
        let mut client = daemon.client();
        client.send(request);
        assert_eq!(String::from_utf8_lossy(&client.one_read()), answer);
        client.expect_close();
    }
}
