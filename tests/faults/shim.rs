//! Injected errors of accept4(2) and jumps of the time of day (`shim.c`).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;

use crate::support::{Daemon, Settings, TestDir, hftpd_with, put, run, set_mode};

/// Controls the calls of the daemon through a shared file.
pub(crate) struct Shim {
    knobs: File,
}

/// The fields of `struct knobs`.
#[derive(Clone, Copy)]
enum Knob {
    AcceptError,
    AcceptTimes,
    ClockOffset,
    ClockReads,
    UserLookups,
}

impl Shim {
    /// A daemon whose calls pass through the shim.
    #[track_caller]
    pub(crate) fn start(dir: &TestDir, settings: &Settings) -> (Shim, Daemon) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let library = dir.at("shim.so");
        run(Command::new("gcc").args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(source))
            .expect_code(0);
        set_mode(&library, 0o755);
        let path = put(&dir.at("knobs"), &[0; 40]);
        let knobs = OpenOptions::new().read(true).write(true).open(&path).expect("the knobs");
        settings.write(&dir.config());
        let mut command = hftpd_with(&[], &dir.config());
        command.env("LD_PRELOAD", library).env("HFTPD_SHIM", path).current_dir(dir.path());
        (Shim { knobs }, Daemon::spawn(dir, &mut command))
    }

    /// The next calls of accept4(2) fail with this error.
    pub(crate) fn fail_accepting(&self, errno: Errno, times: i64) {
        self.set(Knob::AcceptTimes, times);
        self.set(Knob::AcceptError, i64::from(errno.raw_os_error()));
    }

    pub(crate) fn accept_again(&self) {
        self.set(Knob::AcceptError, 0);
    }

    /// Shifts the time of day by so many seconds.
    pub(crate) fn set_clock(&self, offset: i64) {
        self.set(Knob::ClockOffset, offset);
    }

    /// How often the daemon has read the time of day.
    pub(crate) fn clock_reads(&self) -> i64 {
        self.get(Knob::ClockReads)
    }

    /// How often the daemon has asked the name service for a user.
    pub(crate) fn user_lookups(&self) -> i64 {
        self.get(Knob::UserLookups)
    }

    fn get(&self, knob: Knob) -> i64 {
        let mut bytes = [0; 8];
        self.knobs.read_exact_at(&mut bytes, knob as u64 * 8).expect("the knobs");
        i64::from_ne_bytes(bytes)
    }

    fn set(&self, knob: Knob, value: i64) {
        self.knobs.write_all_at(&value.to_ne_bytes(), knob as u64 * 8).expect("the knobs");
    }
}
