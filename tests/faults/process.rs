//! The daemon as the system sees it, and ways to start it that the system knows.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::daemon::Daemon;
use crate::support::run::{self, hftpd_with};
use crate::support::settings::Settings;
use crate::support::site::Site;
use crate::support::{LONG, eventually, proc};

/// The daemon's command line behind that of a program that becomes it.
pub(crate) fn behind(wrapper: &[&str], config: &Path) -> Command {
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

/// A daemon that may have so many files open.
#[track_caller]
pub(crate) fn start_with_files(site: &Site, settings: &Settings, count: usize) -> Daemon {
    settings.write(&site.config());
    let limit = format!("--nofile={count}:{count}");
    Daemon::spawn(site, behind(&["prlimit", &limit], &site.config()).current_dir(site.path()))
}

/// How many files the process has open.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the daemon runs").count()
}

/// The processor time that the process took while `work` was done, as a share of the time that passed.
fn load_during(pid: u32, work: impl FnOnce()) -> f64 {
    let (begin, before) = (Instant::now(), processor_time(pid));
    work();
    (processor_time(pid) - before).as_secs_f64() / begin.elapsed().as_secs_f64()
}

/// Nothing spins: over a second the daemon takes less than 5 % of a processor.
#[track_caller]
pub(crate) fn expect_calm(daemon: &Daemon) {
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

/// The names of the process's threads, in order.
pub(crate) fn thread_names(pid: u32) -> Vec<String> {
    let threads = proc::threads(pid).into_iter();
    let mut names: Vec<String> =
        threads.filter_map(|thread| fs::read_to_string(format!("/proc/{thread}/comm")).ok()).collect();
    names.iter_mut().for_each(|name| name.truncate(name.trim_end().len()));
    names.sort();
    names
}

/// Waits until a thread of this name is there.
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

/// A daemon without a service manager. Dropped, it is killed.
pub(crate) struct Alone {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Alone {
    #[track_caller]
    pub(crate) fn start(site: &Site, settings: &Settings) -> Alone {
        settings.write(&site.config());
        let mut command = hftpd_with(&[], &site.config());
        command.current_dir(site.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the daemon");
        let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        // `hftpd: serving ROOT on ADDRESS (ENCODING)`
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, place) = line.split_once(": serving ")?.1.rsplit_once(" on ")?;
            place.split(' ').next()?.parse().ok()
        });
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{}", line.unwrap_or_default())));
        let Some(address) = address else {
            let _ = child.kill();
            panic!("it does not say where it serves; it ended with {:?}", child.wait());
        };
        Alone { child, address }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal to the daemon");
    }

    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        run::wait(&mut self.child, LONG).unwrap_or_else(|| panic!("the daemon has not ended within {LONG:?}"))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
