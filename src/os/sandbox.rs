//! The sandbox of the process (landlock(7)).
//!
//! It does not restrict what a reload or the log needs: reading files and directories, because the root can change;
//! binding TCP ports, because listeners can be added; and connecting to Unix sockets, for the log daemon and the service
//! manager. The latter includes abstract sockets, because `NOTIFY_SOCKET` can be one (sd_notify(3)).

use std::fmt::{self, Display};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The ABI version of the restricted file rights. Version 5 added ioctl on devices. The only later file right, resolving
/// Unix sockets, is not restricted.
const RIGHTS: ABI = ABI::V5;

/// The state of the sandbox, for `hftpd status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    /// All restrictions are enforced.
    InForce {
        /// The Landlock ABI version.
        abi: i32,
    },
    /// Only the restrictions that an older kernel supports are enforced.
    Partial {
        /// The Landlock ABI version.
        abi: i32,
    },
    /// No restriction: the kernel was built or started without Landlock.
    Unsupported,
    /// No restriction: the kernel supports Landlock, but a call failed.
    Refused(
        /// The reason.
        String,
    ),
}

/// Denies writing, truncating, creating, removing, linking, renaming and executing files, ioctl on devices, outgoing TCP
/// connections, and signals to processes outside the sandbox. `control` is the path of the control socket. If its
/// directory exists, creating sockets and removing files is allowed in it. Sets no_new_privs.
///
/// The restrictions apply to the calling thread and threads that it starts later. Call this in the main thread, before
/// other threads exist. It cannot be undone. On older kernels it enforces the supported part.
pub fn enter(control: Option<&Path>) -> Sandbox {
    match restrict(control) {
        Ok(status) => Sandbox::of(&status),
        Err(error) => Sandbox::Refused(error.to_string()),
    }
}

fn restrict(control: Option<&Path>) -> Result<RestrictionStatus, RulesetError> {
    let rights: BitFlags<AccessFs> = AccessFs::from_all(RIGHTS) & !(AccessFs::ReadFile | AccessFs::ReadDir);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(rights)?
        .handle_access(AccessNet::ConnectTcp)?
        .scope(Scope::Signal)?
        .create()?;
    let directory = control.and_then(Path::parent);
    // A missing directory is not an error: the daemon runs without a control socket and reports that elsewhere.
    if let Some(directory) = directory.and_then(|directory| PathFd::new(directory).ok()) {
        ruleset = ruleset.add_rule(PathBeneath::new(directory, AccessFs::MakeSock | AccessFs::RemoveFile))?;
    }
    ruleset.restrict_self()
}

impl Sandbox {
    fn of(status: &RestrictionStatus) -> Sandbox {
        let LandlockStatus::Available { effective_abi, .. } = status.landlock else {
            return Sandbox::Unsupported;
        };
        let abi = effective_abi as i32;
        match status.ruleset {
            RulesetStatus::FullyEnforced => Sandbox::InForce { abi },
            RulesetStatus::PartiallyEnforced => Sandbox::Partial { abi },
            RulesetStatus::NotEnforced => Sandbox::Refused("the kernel enforced nothing".to_owned()),
        }
    }
}

impl Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sandbox::InForce { abi } => write!(f, "in force (landlock ABI {abi})"),
            Sandbox::Partial { abi } => write!(f, "partly in force (landlock ABI {abi}, an older kernel)"),
            Sandbox::Unsupported => f.write_str("not supported by this kernel (no landlock)"),
            Sandbox::Refused(reason) => write!(f, "refused ({reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::{self, Read};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    /// The test directory; set in the child process that enters the sandbox.
    const CHILD: &str = "HFTPD_TEST_SANDBOX";

    fn denied<T>(what: &str, result: io::Result<T>) {
        match result {
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{what}: {error}"),
            Ok(_) => panic!("{what} was not denied"),
        }
    }

    /// The sandbox cannot be left, so a child process runs this test.
    #[test]
    fn sandbox_denies_only_what_is_documented() {
        let Some(dir) = std::env::var_os(CHILD) else {
            let dir = tempfile::tempdir().expect("dir");
            let output = Command::new(std::env::current_exe().expect("test binary"))
                .args(["--exact", "os::sandbox::tests::sandbox_denies_only_what_is_documented", "--nocapture"])
                .env(CHILD, dir.path())
                .output()
                .expect("child");
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
            return;
        };
        // This is a thread of the test harness. The kernel does not distinguish it from the main thread.
        let dir = Path::new(&dir);
        let control = dir.join("control");
        fs::create_dir(&control).expect("control directory");
        fs::write(dir.join("file"), "text").expect("file");
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address");
        let log_daemon = UnixDatagram::bind(dir.join("log")).expect("a log daemon's socket");

        let sandbox = enter(Some(&control.join("socket")));
        let full = match sandbox {
            Sandbox::InForce { abi } => abi >= 6,
            Sandbox::Partial { abi } => abi >= 6,
            Sandbox::Unsupported => {
                eprintln!("SKIPPED: {sandbox}");
                return;
            }
            Sandbox::Refused(reason) => panic!("{reason}"),
        };

        denied("writing", File::options().write(true).open(dir.join("file")));
        denied("creating", File::create(dir.join("new")));
        denied("removing", fs::remove_file(dir.join("file")));
        denied("creating a directory", fs::create_dir(dir.join("sub")));
        denied("renaming", fs::rename(dir.join("file"), dir.join("other")));
        denied("linking", std::os::unix::fs::symlink("file", dir.join("link")));
        denied("executing", Command::new("/bin/true").status());
        denied("creating a socket elsewhere", UnixDatagram::bind(dir.join("socket")));
        denied("creating a file in the directory of the control socket", File::create(control.join("new")));
        if full {
            denied("connecting", TcpStream::connect(address));
        }

        let mut text = String::new();
        File::open(dir.join("file")).and_then(|mut file| file.read_to_string(&mut text)).expect("reading");
        assert_eq!(text, "text");
        assert_eq!(fs::read_dir(dir).expect("listing").count(), 3);
        TcpListener::bind("127.0.0.1:0").expect("binding a TCP port");
        drop(UnixDatagram::bind(control.join("socket")).expect("creating the control socket"));
        fs::remove_file(control.join("socket")).expect("removing the control socket");
        let socket = UnixDatagram::unbound().expect("socket");
        socket.send_to(b"text", dir.join("log")).expect("sending to the log daemon");
        drop(log_daemon);
    }

    #[test]
    fn status_texts() {
        for (sandbox, words) in [
            (Sandbox::InForce { abi: 7 }, "in force (landlock ABI 7)"),
            (Sandbox::Partial { abi: 2 }, "partly in force (landlock ABI 2, an older kernel)"),
            (Sandbox::Unsupported, "not supported by this kernel (no landlock)"),
            (Sandbox::Refused("why".to_owned()), "refused (why)"),
        ] {
            assert_eq!(sandbox.to_string(), words);
        }
    }
}
