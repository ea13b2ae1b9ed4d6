//! What the process takes away from itself with landlock(7).
//!
//! Reading files and directories stays with file permissions and with the kernel's path resolution, since a reload may
//! change the root; so do binding TCP ports, since it may add a listener, and Unix sockets that others made, for they
//! are how the log daemon and the service manager are talked to. Those of the abstract name space stay as well: the
//! service manager's `NOTIFY_SOCKET` may be one (sd_notify(3)).

use std::fmt::{self, Display};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest file rights that are taken away: ioctl on devices came with ABI 5, and none since but resolving Unix
/// sockets, which is left.
const RIGHTS: ABI = ABI::V5;

/// How much of the sandbox the kernel gave, for `hftpd status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    /// All that was asked for.
    InForce {
        /// The version of landlock's interface that was used.
        abi: i32,
    },
    /// As much as an older kernel knows.
    Partial {
        /// The version of landlock's interface that was used.
        abi: i32,
    },
    /// Nothing: the kernel was built or started without landlock.
    Unsupported,
    /// Nothing: the kernel has it, and something went wrong.
    Refused(
        /// What went wrong.
        String,
    ),
}

/// Takes away writing, truncating, creating, removing, linking, renaming and executing files, ioctl on devices, TCP
/// connections to others, and signals to processes outside. `control` is the path of the control socket: where its
/// directory exists, sockets may be made and files removed beneath it. Sets no_new_privs.
///
/// The kernel restricts the calling thread and those that it starts later, so this has to be called in the main thread
/// before there is another one. It cannot be undone. On a kernel that cannot do all of it, it does what it can.
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
    // A directory that is not there is no fault: the daemon runs without a control socket, and says so elsewhere.
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

    /// Set in the child process that enters the sandbox: the directory it tries things in.
    const CHILD: &str = "HFTPD_TEST_SANDBOX";

    fn denied<T>(what: &str, result: io::Result<T>) {
        match result {
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{what}: {error}"),
            Ok(_) => panic!("{what} was not denied"),
        }
    }

    /// The sandbox cannot be left again, so it is tried in a process of its own: this test, run by itself.
    #[test]
    fn takes_away_what_it_says_and_nothing_else() {
        let Some(dir) = std::env::var_os(CHILD) else {
            let dir = tempfile::tempdir().expect("dir");
            let output = Command::new(std::env::current_exe().expect("test binary"))
                .args(["--exact", "os::sandbox::tests::takes_away_what_it_says_and_nothing_else", "--nocapture"])
                .env(CHILD, dir.path())
                .output()
                .expect("child");
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
            return;
        };
        // The harness made this thread; as far as the kernel is concerned it is as good as a main thread.
        let dir = Path::new(&dir);
        let control = dir.join("control");
        fs::create_dir(&control).expect("control directory");
        fs::write(dir.join("file"), "text").expect("file");
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address");
        let others = UnixDatagram::bind(dir.join("log")).expect("somebody's socket");

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
        denied("making a directory", fs::create_dir(dir.join("sub")));
        denied("renaming", fs::rename(dir.join("file"), dir.join("other")));
        denied("linking", std::os::unix::fs::symlink("file", dir.join("link")));
        denied("executing", Command::new("/bin/true").status());
        denied("making a socket elsewhere", UnixDatagram::bind(dir.join("socket")));
        denied("making a file beside the control socket", File::create(control.join("new")));
        if full {
            denied("connecting", TcpStream::connect(address));
        }

        let mut text = String::new();
        File::open(dir.join("file")).and_then(|mut file| file.read_to_string(&mut text)).expect("reading");
        assert_eq!(text, "text");
        assert_eq!(fs::read_dir(dir).expect("listing").count(), 3);
        TcpListener::bind("127.0.0.1:0").expect("binding a TCP port");
        drop(UnixDatagram::bind(control.join("socket")).expect("making the control socket"));
        fs::remove_file(control.join("socket")).expect("removing the control socket");
        let socket = UnixDatagram::unbound().expect("socket");
        socket.send_to(b"text", dir.join("log")).expect("talking to the log daemon");
        drop(others);
    }

    #[test]
    fn status_is_told_in_words() {
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
