//! `hftpd check` accepts what a start accepts.

use std::fs;

use crate::support::daemon::refused_config;
use crate::support::run::{Finished, hftpd_with, run};
use crate::support::{Settings, TestDir, am_root, put, set_mode, skipped};

fn check(dir: &TestDir, words: &[&str]) -> Finished {
    run(&mut hftpd_with(&[&["check"], words].concat(), &dir.config()))
}

#[test]
fn valid_file_is_0() {
    let dir = TestDir::of_the_examples();
    Settings::new(&dir).write(&dir.config());
    let finished = check(&dir, &[]).expect_code(0);
    assert_eq!(finished.stdout, format!("{}: ok\n", dir.config().display()));
    assert_eq!(finished.stderr, "");
}

#[test]
fn dump_is_a_file_with_the_same_dump() {
    let dir = TestDir::of_the_examples();
    Settings::new(&dir).write(&dir.config());
    let dump = check(&dir, &["--dump"]).expect_code(0).stdout;
    assert!(dump.contains(&format!("root = {:?}", dir.root())), "{dump}");
    put(&dir.config(), dump.as_bytes());
    assert_eq!(check(&dir, &["--dump"]).expect_code(0).stdout, dump);
}

#[test]
fn all_errors_of_a_file_are_78() {
    let dir = TestDir::of_the_examples();
    put(&dir.config(), b"root = 'x'\nport = 70000\n");
    for words in [&[][..], &["--dump"]] {
        let finished = check(&dir, words).expect_code(78).expect_says(":1:8: root: ").expect_says(":2:8: port: ");
        assert_eq!(finished.stdout, "");
    }
    fs::remove_file(dir.config()).expect("unlink");
    check(&dir, &[]).expect_code(78).expect_says("cannot read ");
}

#[test]
fn control_path_of_another_file_is_78() {
    let dir = TestDir::of_the_examples();
    put(&dir.control(), b"");
    Settings::new(&dir).write(&dir.config());
    check(&dir, &[]).expect_code(78).expect_says("not a socket; remove it, or set another path");
}

/// Each root is refused with the same code and the same message.
#[test]
fn root_that_a_start_refuses_is_66() {
    let dir = TestDir::of_the_examples();
    let unreadable = dir.create_dir("unreadable", &[]);
    let above = dir.create_dir("above", &[]);
    fs::create_dir(above.join("root")).expect("a directory");
    for path in [&unreadable, &above] {
        set_mode(path, 0o000);
    }
    let roots =
        [dir.at("none"), dir.root().join("a10"), dir.root().join("a10/below"), unreadable.clone(), above.join("root")];
    for root in &roots {
        let settings = Settings::new(&dir).root(root);
        let started = refused_config(&dir, &settings).expect_code(66);
        let checked = check(&dir, &[]).expect_code(66);
        let message = started.stderr.trim_start_matches("hftpd: ");
        assert_eq!(checked.stderr, format!("{}: {message}", dir.config().display()), "{}", root.display());
        assert_eq!(checked.stdout, "");
    }
    for path in [&unreadable, &above] {
        set_mode(path, 0o700);
    }
}

#[test]
fn user_that_a_start_refuses_is_78() {
    if !am_root() {
        return skipped("only root changes its user");
    }
    let dir = TestDir::of_the_examples();
    for (key, value) in [("user", "\"no-such-user\""), ("group", "\"no-such-group\""), ("user", "\"root\"")] {
        let settings = Settings::new(&dir).set(key, value);
        let started = refused_config(&dir, &settings).expect_code(78);
        let checked = check(&dir, &[]).expect_code(78);
        let message = started.stderr.trim_start_matches("hftpd: ");
        assert_eq!(checked.stderr, format!("{}: {message}", dir.config().display()));
    }
}
