//! `-j`, and several servers.

use crate::support::{Daemon, Settings, TestDir, content};
use crate::{assert_same, hftp, names, url};

const SIZE: u64 = (9 << 20) + 123;

#[test]
fn slices_of_several_connections_and_servers_make_the_file() {
    let dir = TestDir::new();
    content::write(&dir.root().join("f"), 1, SIZE);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let out = dir.create_dir("out", &[]);
    let f = |listener| url(daemon.address(listener), "f");
    for jobs in ["1", "2", "4", "16"] {
        hftp(&out, &["get", "--force", "-j", jobs, &f(0)]).expect_code(0);
        assert_same(&out.join("f"), &dir.root().join("f"));
        hftp(&out, &["get", "--force", "-j", jobs, &f(0), &f(1), &f(2)]).expect_code(0);
        assert_same(&out.join("f"), &dir.root().join("f"));
    }
    assert_eq!(names(&out), ["f"]);
    let said = hftp(&out, &["-v", "get", "--force", "-j", "3", &f(0), &f(1), &f(2)]).expect_code(0).stderr;
    for listener in 0..3 {
        assert!(said.contains(&format!("* connected to {}", daemon.address(listener))), "{said}");
    }
}

#[test]
fn servers_that_differ_are_refused() {
    let (one, other) = (TestDir::new(), TestDir::new());
    content::write(&one.root().join("f"), 1, SIZE);
    content::write(&other.root().join("f"), 1, SIZE - 1);
    let daemons = [&one, &other].map(|dir| Daemon::start(dir, &Settings::new(dir)));
    let urls = [0, 1].map(|at: usize| url(daemons[at].address(0), "f"));
    let out = one.create_dir("out", &[]);
    let finished = hftp(&out, &["get", "-j", "2", &urls[0], &urls[1]]).expect_code(65);
    finished.expect_says(&format!("{SIZE} bytes on ")).expect_says(&format!("{} on ", SIZE - 1));
    assert!(names(&out).is_empty());
}

#[test]
fn server_that_is_gone_leaves_its_slices_to_another() {
    let dir = TestDir::new();
    content::write(&dir.root().join("f"), 1, SIZE);
    let daemon = Daemon::start(&dir, &Settings::new(&dir));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr()).expect("a port");
    let out = dir.create_dir("out", &[]);
    for jobs in ["1", "3"] {
        let words = ["get", "--force", "-j", jobs, &url(gone, "f"), &url(daemon.address(0), "f")];
        hftp(&out, &words).expect_code(0).expect_says("going on without this server");
        assert_same(&out.join("f"), &dir.root().join("f"));
    }
}
