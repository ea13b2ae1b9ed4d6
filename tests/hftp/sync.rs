//! `hftp sync`

use crate::support::{Daemon, Settings, TestDir, content, put};
use crate::{assert_same, hftp, names, sums, url};

#[test]
fn directory_becomes_the_same() {
    let dir = TestDir::new();
    for (name, size) in [("a", 10), ("b", 0), ("large", 3 << 20), ("z.txt", 1000)] {
        content::write(&dir.root().join(name), size, size);
    }
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let all = url(daemon.address(0), "");
    let out = dir.at("out/new");
    let target = out.to_string_lossy();
    let sync = |words: &[&str]| hftp(dir.path(), &[&["sync", &all, &target], words].concat()).expect_code(0);
    let assert_alike = || {
        assert_eq!(names(&out), names(&dir.root()));
        names(&out).iter().for_each(|name| assert_same(&out.join(name), &dir.root().join(name)));
    };
    assert_eq!(sync(&["--dry-run"]).stdout, "would fetch a\nwould fetch b\nwould fetch large\nwould fetch z.txt\n");
    assert!(!out.exists(), "nothing is done");
    sync(&[]);
    assert_alike();
    assert_eq!(sync(&["--json"]).stdout, "", "nothing is left to do");

    put(&out.join("a"), b"longer than before");
    put(&out.join("extra"), b"mine");
    std::fs::remove_file(out.join("b")).expect("removed");
    assert_eq!(sync(&["-n", "--delete"]).stdout, "would fetch a\nwould fetch b\nwould remove extra\n");
    sync(&[]);
    assert!(out.join("extra").exists());
    sync(&["--delete"]);
    assert_alike();

    // The same size, other bytes.
    put(&out.join("z.txt"), &[7; 1000]);
    assert_eq!(sync(&["--dry-run"]).stdout, "");
    assert_eq!(sync(&["--dry-run", "--verify"]).stdout, "would fetch z.txt\n");
    let listed: Vec<(String, Vec<u8>)> = names(&dir.root())
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(dir.root().join(name)).expect("a file")))
        .collect();
    let listed: Vec<(&str, &[u8])> = listed.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    dir.file("SUMS", sums(&listed).as_bytes());
    assert_eq!(sync(&["--dry-run", "--sums", "SUMS"]).stdout, "would fetch SUMS\nwould fetch z.txt\n");
    sync(&["--sums", "SUMS"]);
    assert_alike();
    put(&out.join("large"), &content::pattern(9, 0, 3 << 20));
    sync(&["--verify", "-j", "2"]);
    assert_alike();
}

#[test]
fn only_matching_files_are_fetched_and_removed() {
    let dir = TestDir::new();
    dir.file("a.txt", b"a");
    dir.file("b.bin", b"b");
    let out = dir.create_dir("out", &[("old.txt", b""), ("old.bin", b"")]);
    std::fs::create_dir(out.join("dir.txt")).expect("a directory");
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    hftp(&out, &["sync", &url(daemon.address(0), "*.txt"), ".", "--delete"]).expect_code(0);
    assert_eq!(names(&out), ["a.txt", "dir.txt", "old.bin"]);
}

#[test]
fn nothing_is_removed_after_a_failure() {
    let dir = TestDir::of_the_examples();
    let out = dir.create_dir("out", &[("extra", b"")]);
    let mut daemon = Daemon::start(&dir, &Settings::new(&dir));
    let all = url(daemon.address(0), "");
    if crate::support::am_root() {
        // The daemon runs as nobody, who may not read one of the files.
        let said = hftp(&out, &["sync", &all, ".", "--delete", "--retries", "0"]).expect_code(77);
        said.expect_says("noread: ").expect_says("nothing is removed");
        assert_eq!(names(&out), ["a10", "empty", "extra"]);
    }
    std::fs::rename(dir.root(), dir.at("gone")).expect("rename");
    hftp(&out, &["sync", &all, ".", "--delete", "--retries", "0"]).expect_code(77);
    assert!(out.join("extra").exists());
    assert_eq!(daemon.stop(), Some(0));
}
