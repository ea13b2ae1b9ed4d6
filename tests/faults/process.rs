//! The state of the daemon's process, and ways to start it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Daemon, Settings, TestDir, eventually, hftpd_with, proc};

/// The command line of a program that executes the daemon.
pub(crate) fn executed_by(wrapper: &[&str], config: &Path) -> Command {
    let daemon = hftpd_with(&[], config);
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(daemon.get_program()).args(daemon.get_args());
    for (name, value) in daemon.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// A daemon with this limit of open files.
#[track_caller]
pub(crate) fn start_with_files(dir: &TestDir, settings: &Settings, count: usize) -> Daemon {
    // The default would be low enough for the limit of open files.
    settings.clone().set("limits.connections", "10000").write(&dir.config());
    let limit = format!("--nofile={count}:{count}");
    Daemon::spawn(dir, executed_by(&["prlimit", &limit], &dir.config()).current_dir(dir.path()))
}

/// The number of open files of the process.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon runs").count()
}

/// The processor time that the process used during `work`, as a share of the elapsed time.
fn load_during(pid: u32, work: impl FnOnce()) -> f64 {
    let (begin, before) = (Instant::now(), processor_time(pid));
    work();
    (processor_time(pid) - before).as_secs_f64() / begin.elapsed().as_secs_f64()
}

/// No thread spins: the daemon uses less than 5 % of a processor over a second.
#[track_caller]
pub(crate) fn expect_no_spinning(daemon: &Daemon) {
    let load = load_during(daemon.pid(), || std::thread::sleep(Duration::from_secs(1)));
    assert!(load < 0.05, "the daemon takes {:.0} % of a processor", load * 100.0);
}

fn processor_time(pid: u32) -> Duration {
    let times = proc::threads(pid).into_iter().map(|thread| {
        let text = fs::read_to_string(format!("/proc/{thread}/schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_nanos)
    });
    times.sum()
}

/// The sorted names of the process's threads.
pub(crate) fn thread_names(pid: u32) -> Vec<String> {
    // A thread may end meanwhile.
    let name = |thread: String| fs::read_to_string(format!("/proc/{thread}/comm")).ok();
    let mut names: Vec<String> = proc::threads(pid).into_iter().filter_map(name).collect();
    names.iter_mut().for_each(|name| name.truncate(name.trim_end().len()));
    names.sort();
    names
}

/// Waits until the process has a thread of this name.
#[track_caller]
pub(crate) fn wait_for_thread(pid: u32, name: &str) {
    eventually(&format!("a thread {name}"), || {
        let names = thread_names(pid);
        if names.iter().any(|known| known == name) { Ok(()) } else { Err(names.join(" ")) }
    });
}

/// Stops every thread of the process.
#[track_caller]
pub(crate) fn freeze(daemon: &Daemon) {
    daemon.signal(Signal::STOP);
    eventually("the daemon is stopped", || {
        let is_stopped = |thread: &String| proc::status_line(thread, "State").starts_with('T');
        if proc::threads(daemon.pid()).iter().all(is_stopped) { Ok(()) } else { Err("it runs".to_owned()) }
    });
}
