//! `hftp get`

use hftpd::wire::Encoding;

use crate::support::stand_in::{AtRaw, Generation, StandIn};
use crate::support::{ALL_ENCODINGS, Daemon, Settings, TestDir, content, put};
use crate::{assert_same, hftp, names, sums, url};

const SIZES: [u64; 6] = [0, 1, 1000, 64 << 10, (64 << 10) + 1, 5 << 20];

#[test]
fn files_of_every_size_in_every_encoding() {
    let dir = TestDir::new();
    SIZES.iter().for_each(|&size| drop(content::write(&dir.root().join(format!("f{size}")), size, size)));
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    for (at, (listener, encoding)) in ALL_ENCODINGS.into_iter().enumerate() {
        let out = dir.create_dir(&format!("out{at}"), &[]);
        let all = url(daemon.address(listener), "*");
        hftp(&out, &["get", &all, "--proto", encoding.name()]).expect_code(0);
        assert_eq!(names(&out), names(&dir.root()), "{encoding:?}");
        names(&out).iter().for_each(|name| assert_same(&out.join(name), &dir.root().join(name)));
        std::fs::remove_dir_all(&out).expect("removed");
    }
}

#[test]
fn files_of_older_servers() {
    let dir = TestDir::new();
    let files: Vec<(String, Vec<u8>)> =
        SIZES.iter().map(|&size| (format!("f{size}"), content::pattern(size, 0, size as usize))).collect();
    for (at, encoding) in [Encoding::Fragments, Encoding::Plain, Encoding::Base64].into_iter().enumerate() {
        let at_raw = AtRaw::Answers("201 INVALID ARGUMENTS FOR COMMAND\r\n");
        let server = StandIn::older(Generation { encoding, at_raw, files: files.clone() });
        let out = dir.create_dir(&format!("out{at}"), &[]);
        hftp(&out, &["get", &url(server.address(), "f*"), "-j", "2"]).expect_code(0);
        for (name, bytes) in &files {
            assert!(std::fs::read(out.join(name)).expect(name) == *bytes, "{encoding:?}, {name}");
        }
        assert_eq!(names(&out).len(), files.len());
    }
}

#[test]
fn a_thousand_small_files_are_pipelined() {
    const BATCH: usize = 50;
    let dir = TestDir::new();
    // The server answers when it has as many requests as this, so that a client with round trips would wait forever.
    let server = StandIn::start(|_, mut requests| {
        let listing: String = (0..1000).map(|index| format!("f{index:03}\r\n")).collect();
        while let Some(first) = requests.next() {
            if first == "get_file_listing" {
                requests.send(format!("0 OK\r\n{listing}\r\n").as_bytes());
                continue;
            }
            let mut lines = vec![first];
            lines.extend((1..BATCH).map_while(|_| requests.next()));
            let mut out = Vec::new();
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                let index: u64 = words[1][1..].parse().expect("a number");
                if words[0] == "get_metadata" {
                    out.extend_from_slice(b"0 OK\r\n1024\r\n");
                } else {
                    out.extend_from_slice(b"0 OK\r\nContent-Length: 1024\r\n\r\n");
                    out.extend_from_slice(&content::pattern(index, 0, 1024));
                }
            }
            requests.send(&out);
        }
    });
    let out = dir.create_dir("out", &[]);
    hftp(&out, &["get", "--proto", "raw", &url(server.address(), "*")]).expect_code(0);
    assert_eq!(names(&out).len(), 1000);
    for index in 0..1000_u64 {
        let bytes = std::fs::read(out.join(format!("f{index:03}"))).expect("a file");
        assert!(bytes == content::pattern(index, 0, 1024), "f{index:03}");
    }
}

#[test]
fn servers_that_take_one_request_at_a_time_are_served_so() {
    use std::io::Read;
    let dir = TestDir::new();
    // It answers only the first request of what it receives at once, as some servers of the first years did.
    let server = StandIn::start(|_, mut requests| {
        let mut packet = [0; 4096];
        while let Ok(length @ 1..) = requests.stream.read(&mut packet) {
            let line = String::from_utf8_lossy(&packet[..length]);
            let words: Vec<&str> = line.split([' ', '\r']).collect();
            requests.send(match words[0] {
                "get_file_listing" => b"0 OK\r\na\r\nb\r\nc\r\n\r\n",
                "get_metadata" => b"0 OK\r\n1\r\n",
                _ => b"0 OK\r\nx\r\n",
            });
        }
    });
    let out = dir.create_dir("out", &[]);
    let words = ["get", "--proto", "plain", "--timeout", "300ms", &url(server.address(), "*")];
    hftp(&out, &words).expect_code(0).expect_says("one request at a time");
    assert_eq!(names(&out), ["a", "b", "c"]);
    assert_eq!(std::fs::read(out.join("c")).expect("c"), b"x");
}

#[test]
fn existing_files_stay_without_force() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let a10 = url(daemon.address(0), "a10");
    let out = dir.create_dir("out", &[("a10", b"mine")]);
    hftp(&out, &["get", &a10]).expect_code(74).expect_says("a10 exists; --force replaces it");
    assert_eq!(std::fs::read(out.join("a10")).expect("a10"), b"mine");
    hftp(&out, &["get", &a10, "--force"]).expect_code(0);
    assert_eq!(std::fs::read(out.join("a10")).expect("a10"), b"0123456789");
    put(&out.join("b.part"), b"not to be lost");
    hftp(&out, &["get", &a10, "-o", "b"]).expect_code(74).expect_says("b.part exists; -c resumes it");
    assert_eq!(names(&out), ["a10", "b.part"]);
}

#[test]
fn output_goes_where_it_is_wanted() {
    let dir = TestDir::of_the_examples();
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let of = |name| url(daemon.address(0), name);
    let out = dir.create_dir("out", &[]);
    hftp(&out, &["get", &of("a10"), "-o", "b"]).expect_code(0);
    assert_eq!(names(&out), ["b"]);
    assert_eq!(hftp(&out, &["get", &of("a10"), "-o", "-"]).expect_code(0).stdout, "0123456789");
    hftp(&out, &["get", &of("a10"), "-o", "/dev/null"]).expect_code(0);
    hftp(&out, &["get", &of("a10"), "-o", ".", "--force"]).expect_code(74).expect_says("is no file");
    assert!(!std::path::Path::new("/dev/null.part").exists(), "a device is written to as it is");
    hftp(&out, &["get", &of("a10"), "-d", "absent"]).expect_code(74).expect_says("make it first");
    hftp(&out, &["get", &of("a10"), &of("empty"), "-o", "c"]).expect_code(64).expect_says("use -d");
    hftp(&out, &["get", &of("a10"), &of("absent"), &of("empty")]).expect_code(66).expect_says("absent: ");
    assert_eq!(names(&out), ["a10", "b", "empty"], "the others are fetched all the same");
}

#[test]
fn incomplete_file_is_resumed_after_its_end_is_compared() {
    let dir = TestDir::new();
    let whole = content::pattern(1, 0, 1 << 20);
    put(&dir.root().join("f"), &whole);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let f = url(daemon.address(0), "f");
    let out = dir.create_dir("out", &[]);
    for jobs in ["1", "3"] {
        put(&out.join("f.part"), &whole[..700_000]);
        let said = hftp(&out, &["-v", "get", "-c", "-j", jobs, &f]).expect_code(0).stderr;
        assert!(said.contains(&format!("> get_slice f {} 65536 raw\n", 700_000 - 65536)), "{said}");
        assert!(said.contains("> get_slice f 700000 348576 raw\n"), "{said}");
        assert_same(&out.join("f"), &dir.root().join("f"));
        assert_eq!(names(&out), ["f"]);

        // A byte before the end differs, or there is too much: it is another file.
        let mut other = whole[..700_000].to_vec();
        other[690_000] ^= 1;
        for part in [other, [&whole[..], b"more"].concat()] {
            std::fs::remove_file(out.join("f")).expect("removed");
            put(&out.join("f.part"), &part);
            hftp(&out, &["get", "-c", "-j", jobs, &f]).expect_code(0).expect_says("f has changed on the server");
            assert_same(&out.join("f"), &dir.root().join("f"));
        }
        hftp(&out, &["get", "-c", &f]).expect_code(0);
        std::fs::remove_file(out.join("f")).expect("removed");
    }
}

#[test]
fn truncated_answers_are_resumed_and_changed_files_start_again() {
    let dir = TestDir::new();
    let old = content::pattern(1, 0, 300_000);
    let new = content::pattern(2, 0, 300_000);
    for is_changed in [false, true] {
        let second = if is_changed { new.clone() } else { old.clone() };
        let (first, then) = (old.clone(), second.clone());
        let server = StandIn::start(move |number, mut requests| {
            let bytes = if number == 0 { &first } else { &then };
            while let Some(line) = requests.next() {
                let words: Vec<&str> = line.split(' ').collect();
                if words[0] == "get_metadata" {
                    requests.send(b"0 OK\r\n300000\r\n");
                    continue;
                }
                let (offset, size): (usize, usize) =
                    (words[2].parse().expect("offset"), words[3].parse().expect("size"));
                requests.send(format!("0 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes());
                if number == 0 && size > 1 {
                    requests.send(&bytes[offset..offset + 200_000]);
                    return;
                }
                requests.send(&bytes[offset..offset + size]);
            }
        });
        let out = dir.create_dir(if is_changed { "changed" } else { "same" }, &[]);
        let finished = hftp(&out, &["get", &url(server.address(), "f")]).expect_code(0);
        let finished = finished.expect_says("closed the connection before the answer was complete; trying again");
        assert_eq!(finished.stderr.contains("has changed"), is_changed, "{}", finished.stderr);
        assert!(std::fs::read(out.join("f")).expect("f") == second, "changed: {is_changed}");
    }
}

#[test]
fn files_are_verified_against_their_sums() {
    let dir = TestDir::new();
    let large = content::pattern(1, 0, 1 << 20);
    dir.file("a", b"right");
    dir.file("b", b"wrong");
    dir.file("large", &large);
    dir.file("SUMS", sums(&[("a", b"right"), ("b", b"other"), ("large", &large)]).as_bytes());
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let of = |name| url(daemon.address(0), name);
    let out = dir.create_dir("out", &[]);
    let finished = hftp(&out, &["get", &of("*"), "--sums", "SUMS"]).expect_code(65);
    assert!(finished.stderr.starts_with("hftp: b: its SHA-256 is "), "{}", finished.stderr);
    assert_eq!(names(&out), ["SUMS", "a", "large"], "what is wrong is not kept");
    std::fs::remove_file(out.join("large")).expect("removed");
    put(&out.join("large.part"), &large[..300_000]);
    hftp(&out, &["get", &of("large"), "--sums", "SUMS", "-c", "-j", "2"]).expect_code(0);
    assert_same(&out.join("large"), &dir.root().join("large"));
    dir.file("large", &content::pattern(2, 0, 1 << 20));
    hftp(&out, &["get", &of("large"), "--sums", "SUMS", "--force"]).expect_code(65).expect_says("its SHA-256 is");
    assert_eq!(names(&out), ["SUMS", "a", "large"]);
    dir.file("c", b"not in the list");
    hftp(&out, &["get", &of("c"), "--sums", "SUMS"]).expect_code(65).expect_says("SUMS has no line for it");
    hftp(&out, &["get", &of("c"), "--sums", "absent"]).expect_code(66).expect_says("absent: ");
}

#[test]
fn rate_is_limited_and_events_are_json() {
    let dir = TestDir::new();
    content::write(&dir.root().join("f"), 1, 1 << 20);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let out = dir.create_dir("out", &[]);
    let f = url(daemon.address(0), "f");
    for (name, jobs) in [("one", "1"), ("two", "2")] {
        let begun = std::time::Instant::now();
        let words = ["get", &f, "-o", name, "--json", "-j", jobs, "--limit-rate", "1M"];
        let finished = hftp(&out, &words).expect_code(0);
        let seconds = begun.elapsed().as_secs_f64();
        assert!((0.9..3.0).contains(&seconds), "{seconds} s for one second's worth");
        assert_eq!(finished.stdout, "{\"event\":\"fetched\",\"name\":\"f\",\"size\":1048576}\n");
    }
    let finished = hftp(&out, &["get", &url(daemon.address(0), "x"), "--json"]).expect_code(66);
    let event: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&event["event"], &event["code"]), (&"error".into(), &66.into()));
}
