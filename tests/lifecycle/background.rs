//! `--daemon --pid-file`: the exit code reports whether the daemon serves.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::run::{Finished, hftpd};
use crate::support::{Client, Settings, TestDir, eventually, hftpd_with, own_address, proc, run};

/// A daemon that is not a child of the test. Dropped, it is killed if it still runs.
struct Background {
    pid: u32,
}

impl Background {
    #[track_caller]
    fn from_pid_file(path: &Path) -> Background {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let pid = text.trim().parse().unwrap_or_else(|_| panic!("no pid in the pid file: {text:?}"));
        let background = Background { pid };
        let binary = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_else(|error| panic!("process {pid}: {error}"));
        let wanted = Path::new(env!("CARGO_BIN_EXE_hftpd")).canonicalize().expect("the binary");
        assert_eq!(binary, wanted, "pid {pid} of the pid file is another program");
        background
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal to {pid:?}: {error}"));
    }

    #[track_caller]
    fn stop(&self) {
        self.signal(Signal::TERM);
        eventually("it ends after SIGTERM", || match proc::is_alive(self.pid) {
            true => Err(format!("{} is alive", self.pid)),
            false => Ok(()),
        });
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if proc::is_alive(self.pid) {
            self.signal(Signal::KILL);
        }
    }
}

/// `hftpd -c CONFIG --daemon --pid-file FILE`
fn start(dir: &TestDir) -> Finished {
    run(hftpd_with(&["--daemon"], &dir.config()).arg("--pid-file").arg(dir.at("pid")))
}

#[test]
fn daemon_option_returns_when_serving_and_writes_the_pid() {
    let dir = TestDir::of_the_examples();
    let address = own_address();
    Settings::new(&dir).listen_on(address, "fragments").write(&dir.config());
    start(&dir).expect_code(0);
    // Without a wait: exit code 0 means that it serves.
    let mut client = Client::connect(address);
    client.ask("get_slice a10 3 4\r\n", "0 OK\r\n4 3456\r\n0 \r\n");
    let background = Background::from_pid_file(&dir.at("pid"));
    let status = run(&mut hftpd_with(&["status", "--json"], &dir.config())).expect_code(0);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(status["pid"], background.pid);
    background.stop();
    client.expect_close();
}

#[test]
fn failed_background_start_has_its_exit_code() {
    let dir = TestDir::of_the_examples();
    let taken = TcpListener::bind(own_address()).expect("an address of our own");
    let taken = (taken.local_addr().expect("its address"), taken);
    let settings = Settings::new(&dir);
    let cases = [
        (settings.clone().root(&dir.at("absent")), 66, "absent".to_owned()),
        (settings.clone().listen_on(taken.0, "plain"), 71, taken.0.to_string()),
        (settings.clone().set("colour", "\"red\""), 78, "colour".to_owned()),
    ];
    for (settings, code, word) in cases {
        settings.write(&dir.config());
        start(&dir).expect_code(code).expect_says(&word);
    }
}

#[test]
fn relative_configuration_path_works_for_reloads() {
    let dir = TestDir::of_the_examples();
    dir.create_dir("next", &[("f", b"next")]);
    let address = own_address();
    let settings = Settings::new(&dir).listen_on(address, "fragments");
    settings.write(&dir.config());
    let arguments = ["-c", "hftp.toml", "--daemon", "--pid-file", "pid"];
    run(hftpd().args(arguments).current_dir(dir.path())).expect_code(0);
    let background = Background::from_pid_file(&dir.at("pid"));
    settings.root(&dir.at("next")).write(&dir.config());
    run(&mut hftpd_with(&["reload"], &dir.config())).expect_code(0);
    assert_eq!(Client::connect(address).listing(), ["f"]);
    background.stop();
}
