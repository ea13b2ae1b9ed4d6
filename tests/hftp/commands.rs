//! `ls`, `stat`, `cat`, options, messages and exit codes.

use std::process::Stdio;

use hftpd::hftp::Exit;
use serde_json::Value;

use crate::support::stand_in::StandIn;
use crate::support::{Daemon, Settings, TestDir, content};
use crate::{command, hftp, url};

#[test]
fn ls_lists_names_sizes_and_a_total() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let all = url(daemon.address(0), "");
    let printed = |words: &[&str]| hftp(dir.path(), words).expect_code(0).stdout;
    assert_eq!(printed(&["ls", &all]), "a10\nempty\nnoread\n");
    assert_eq!(printed(&["ls", &url(daemon.address(0), "[ae]*")]), "a10\nempty\n");
    let long = printed(&["ls", "-l", &all]);
    assert_eq!(
        long.lines().map(str::trim_start).collect::<Vec<_>>(),
        ["10 a10", "0 empty", "10 noread", "20 bytes in 3 files"]
    );
    assert_eq!(printed(&["ls", "--json", &all]).lines().next(), Some("{\"name\":\"a10\"}"));
    for line in printed(&["ls", "-l", "--json", &all]).lines() {
        let value: Value = serde_json::from_str(line).expect("JSON");
        assert!(value["name"].is_string() && value["size"].is_u64(), "{line}");
    }
    hftp(dir.path(), &["ls", &url(daemon.address(0), "x*")]).expect_code(66).expect_says("matches no file");
}

#[test]
fn stat_prints_sizes_and_reports_missing_files() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let of = |name| url(daemon.address(0), name);
    let finished = hftp(dir.path(), &["stat", &of("a10"), &of("absent"), &of("empty")]).expect_code(66);
    assert_eq!(finished.stdout.split_whitespace().collect::<Vec<_>>(), ["10", "a10", "0", "empty"]);
    assert!(finished.stderr.starts_with("hftp: absent: ") && finished.stderr.contains("202 FILE NOT FOUND"));
    let finished = hftp(dir.path(), &["stat", "--json", &of("a*")]).expect_code(0);
    assert_eq!(finished.stdout, "{\"name\":\"a10\",\"size\":10}\n");
}

#[test]
fn cat_writes_the_file_or_a_range() {
    let dir = TestDir::of_the_examples();
    content::write(&dir.root().join("large"), 1, 3 << 20);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    for listener in 0..4 {
        let of = |name| url(daemon.address(listener), name);
        let cat = |words: &[&str]| hftp(dir.path(), &[&["cat"], words].concat());
        assert_eq!(cat(&[&of("a10")]).expect_code(0).stdout, "0123456789");
        assert_eq!(cat(&[&of("a10"), "--range", "3:4"]).expect_code(0).stdout, "3456");
        assert_eq!(cat(&[&of("a10"), "--range", "7:"]).expect_code(0).stdout, "789");
        assert_eq!(cat(&[&of("a10"), "--range", "10:0"]).expect_code(0).stdout, "");
        assert_eq!(cat(&[&of("empty")]).expect_code(0).stdout, "");
        cat(&[&of("a10"), "--range", "3:8"]).expect_code(77).expect_says("which has 10 bytes");
        cat(&[&of("absent")]).expect_code(66).expect_says("absent: ");
        cat(&[&of("a*")]).expect_code(64).expect_says("get takes globs");
        for proto in [None, Some(["fragments", "plain", "base64", "base64"][listener]), Some("raw")] {
            let large = of("large");
            let mut words = vec!["cat", &large];
            words.extend(proto.iter().flat_map(|proto| ["--proto", proto]));
            let output = command(dir.path(), &words).output().expect("hftp");
            assert!(output.status.success() && output.stdout == content::pattern(1, 0, 3 << 20), "{words:?}");
        }
    }
}

#[test]
fn reader_that_leaves_ends_the_program_silently() {
    let dir = TestDir::new();
    content::write(&dir.root().join("large"), 1, 3 << 20);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let mut command = command(dir.path(), &["cat", &url(daemon.address(0), "large")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("hftp");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn verbose_shows_the_conversation_and_quiet_only_errors() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let of = |name| url(daemon.address(0), name);
    let said = hftp(dir.path(), &["-v", "stat", &of("a10")]).expect_code(0).stderr;
    assert_eq!(said, format!("* connected to {}\n> get_metadata a10\n< 0 OK\n", daemon.address(0)));
    assert_eq!(hftp(dir.path(), &["-q", "get", &of("a10")]).expect_code(0).output(), "");
    assert_eq!(hftp(dir.path(), &["get", &of("empty")]).expect_code(0).output(), "", "no terminal, no bars");
    assert!(hftp(dir.path(), &["-q", "stat", &of("x")]).expect_code(66).stderr.contains("202"));
}

#[test]
fn exit_codes_are_distinct_and_in_the_help() {
    let dir = TestDir::new();
    let help = hftp(dir.path(), &["--help"]).expect_code(0).stdout;
    for (_, code, meaning) in Exit::TABLE {
        assert!(help.contains(&format!("{code:>2}  {meaning}")), "{code} {meaning}");
    }
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr()).expect("a port");
    // A server that was never there is not waited for.
    hftp(dir.path(), &["ls", &url(gone, "")]).expect_code(69).expect_says("Connection refused");
    hftp(dir.path(), &["ls", "http://localhost/"]).expect_code(64).expect_says("is not hftp");
    hftp(dir.path(), &["ls"]).expect_code(64).expect_says("URL");
    hftp(dir.path(), &["ls", "--timeout", "never", "localhost"]).expect_code(64).expect_says("is no time");
    hftp(dir.path(), &["get", "-j", "99", "localhost"]).expect_code(64).expect_says("1..=16");
    let web = StandIn::answering(|_| b"HTTP/1.1 400 Bad Request\r\n".to_vec());
    hftp(dir.path(), &["ls", &url(web.address(), "")])
        .expect_code(76)
        .expect_says("expected a code, a space and a text");
    let full = StandIn::answering(|_| b"199 TOO MANY CONNECTIONS\r\n".to_vec());
    hftp(dir.path(), &["ls", "--retries", "1", &url(full.address(), "")])
        .expect_code(77)
        .expect_says("trying again in")
        .expect_says("199 TOO MANY CONNECTIONS");
}

#[test]
fn host_names_and_ipv6_addresses_are_servers() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_on("[::]:0", "fragments"));
    let port = daemon.address(0).port();
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        if host == "[::1]" && std::net::TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let url = format!("hftp://{host}:{port}/a10");
        assert_eq!(hftp(dir.path(), &["cat", &url]).expect_code(0).stdout, "0123456789", "{host}");
    }
}
