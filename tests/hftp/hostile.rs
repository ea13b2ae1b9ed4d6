//! Servers that are broken or hostile: a clear error, nothing outside the directory, no file that looks right.

use std::time::{Duration, Instant};

use crate::support::TestDir;
use crate::support::stand_in::StandIn;
use crate::{hftp, names, url};

/// A server that lists these names, each a file of one byte.
fn listing(names: &'static [u8]) -> StandIn {
    StandIn::answering(move |line| match line.split(' ').next() {
        Some("get_file_listing") => [b"0 OK\r\n", names, b"\r\n"].concat(),
        Some("get_metadata") => b"0 OK\r\n1\r\n".to_vec(),
        _ => b"0 OK\r\nContent-Length: 1\r\n\r\nx".to_vec(),
    })
}

#[test]
fn names_cannot_leave_the_directory_or_reach_the_terminal() {
    let server =
        listing(b"../x\r\n/etc/x\r\n..\r\na\x1b[2Jb\r\nCON\r\nnul.txt\r\nc:x\r\nlast.\r\na b\r\nok\r\nok.part\r\n");
    for words in [&["get", "ALL"][..], &["sync", "ALL", "."], &["get", "ALL", "-j", "3"]] {
        let dir = TestDir::new();
        let out = dir.create_dir("out", &[]);
        let all = url(server.address(), "*");
        let words: Vec<&str> = words.iter().map(|&word| if word == "ALL" { all.as_str() } else { word }).collect();
        let finished = hftp(&out, &words);
        assert!(matches!(finished.code, Some(74 | 76)), "{:?}", finished.code);
        assert_eq!(names(&out), ["ok"]);
        assert_eq!(names(dir.path()), ["out", "root", "run"]);
        assert!(!finished.output().contains('\x1b'), "{}", finished.output());
        for name in ["../x", "/etc/x", "..: ", "a\\x1b[2Jb", "CON", "nul.txt", "c:x", "last.", "a b", "ok.part"] {
            assert!(finished.stderr.contains(name), "no {name} in {}", finished.stderr);
        }
    }
    let dir = TestDir::new();
    let finished = hftp(dir.path(), &["ls", &url(server.address(), "")]).expect_code(0);
    assert!(finished.stdout.contains("a\\x1b[2Jb\n") && !finished.output().contains('\x1b'));
}

#[test]
fn wrong_answers_leave_no_file() {
    let table: [(&str, i32); 9] = [
        ("0 OK\r\nContent-Length: 3\r\n\r\nabc", 76),
        ("0 OK\r\nContent-Length: -4\r\n\r\nabcd", 76),
        ("0 OK\r\nContent-Length: 4\r\n\r\nabcde", 76),
        ("0 OK\r\n5 abcde\r\n0 \r\n", 76),
        ("0 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", 76),
        ("0 OK\r\nabcdefgh\r\n", 76),
        ("202 FILE NOT FOUND\r\n", 66),
        ("201 INVALID ARGUMENTS FOR COMMAND\r\n", 77),
        ("100 BAD EOL\r\n", 77),
    ];
    for (answer, code) in table {
        let server = StandIn::answering(move |line| match line.split(' ').next() {
            Some("get_metadata") => b"0 OK\r\n4\r\n".to_vec(),
            _ => answer.as_bytes().to_vec(),
        });
        let dir = TestDir::new();
        let out = dir.create_dir("out", &[]);
        let words = ["get", &url(server.address(), "f"), "--proto", "raw", "--retries", "0"];
        hftp(&out, &words).expect_code(code).expect_says("f: ");
        assert!(!out.join("f").exists(), "{answer:?}");
    }
}

#[test]
fn sizes_that_no_disk_holds_are_errors() {
    let server = StandIn::answering(|line| match line.split(' ').next() {
        Some("get_metadata") => b"0 OK\r\n18446744073709551615\r\n".to_vec(),
        _ => b"0 OK\r\nContent-Length: 1\r\n\r\nx".to_vec(),
    });
    let dir = TestDir::new();
    for (at, words) in [&["get"][..], &["get", "-j", "4"], &["cat"]].into_iter().enumerate() {
        let out = dir.create_dir(&format!("out{at}"), &[]);
        let url = url(server.address(), "f");
        let finished = hftp(&out, &[words, &[&url, "--retries", "0"]].concat());
        assert_eq!(finished.code, Some(76), "{words:?}: {}", finished.stderr);
    }
}

#[test]
fn silence_ends_at_the_timeout() {
    let dir = TestDir::new();
    let silent = StandIn::start(|_, mut requests| while requests.next().is_some() {});
    let slow = StandIn::start(|_, mut requests| {
        requests.next();
        while requests.send(b"0") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    for server in [silent, slow] {
        let url = url(server.address(), "");
        for words in [&["ls", &url][..], &["get", &url], &["sync", &url, "."], &["cat", &format!("{url}f")]] {
            let begun = Instant::now();
            let options = ["--timeout", "300ms", "--retries", "1"];
            let finished = hftp(dir.path(), &[words, &options].concat());
            assert!(matches!(finished.code, Some(69)), "{:?}: {}", words, finished.stderr);
            assert!(begun.elapsed() < Duration::from_secs(5), "{words:?}: {:?}", begun.elapsed());
        }
    }
    assert_eq!(names(dir.path()), ["root", "run"]);
}

#[test]
fn endless_listing_is_an_error_in_bounded_memory() {
    let server = StandIn::start(|_, mut requests| {
        requests.next();
        let names = [&[b'n'; 500][..], b"\r\n"].concat().repeat(1000);
        requests.send(b"0 OK\r\n");
        while requests.send(&names) {}
    });
    let dir = TestDir::new();
    // Of virtual memory, which is more than what is used.
    let program = env!("CARGO_BIN_EXE_hftp");
    let script = format!("ulimit -v 400000; exec {program} ls {}", url(server.address(), ""));
    let finished =
        crate::support::run::run(std::process::Command::new("sh").arg("-c").arg(script).current_dir(dir.path()));
    finished.expect_code(76).expect_says("more names than can be kept");
}
