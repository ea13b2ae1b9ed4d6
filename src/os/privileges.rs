//! Credentials and capabilities of the process: credentials(7), capabilities(7).
#![expect(unsafe_code, reason = "only the C library changes the IDs of all threads")]

mod identity;

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

pub use identity::{Identity, IdentityError};

/// Root privileges were not dropped, or not irrevocably. The process must exit.
#[derive(Debug)]
pub enum DropError {
    /// A system call failed.
    Call(
        /// The name of the call.
        &'static str,
        /// The error.
        io::Error,
    ),
    /// A check failed.
    Verify(
        /// The failed check.
        &'static str,
    ),
}

/// The credentials of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The effective user.
    pub uid: u32,
    /// The name of the user, if it has one.
    pub user: Option<String>,
    /// The effective group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// Whether the effective user is root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the effective user of the process owns the file at `path`. False if it cannot be determined.
#[must_use]
pub fn is_owner(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

/// Drops root privileges irrevocably: changes the groups and the user, drops all capabilities and the bounding set, and
/// verifies the result. Without an identity, which is only allowed if the process is not root, keeps the user, the groups
/// and the capabilities of the process, for example to bind low ports. In both cases sets no_new_privs
/// (PR_SET_NO_NEW_PRIVS(2const)).
///
/// User and groups change in all threads (nptl(7)), capabilities and no_new_privs in the calling thread and threads that
/// it starts later. Call this in the main thread, before other threads exist. After a change of the user the kernel
/// denies core dumps and ptrace(2), depending on `fs.suid_dumpable` (proc_sys_fs(5)). This function does not change that,
/// so that the operator decides about core dumps.
///
/// # Errors
///
/// A call or a check fails. The privileges may be partly dropped: the process must exit.
pub fn drop_privileges(identity: Option<&Identity>) -> Result<(), DropError> {
    if let Some(identity) = identity {
        drop_root(identity)?;
    }
    check("prctl(PR_SET_NO_NEW_PRIVS)", prctl(libc::PR_SET_NO_NEW_PRIVS, 1))
}

/// The current credentials.
///
/// # Errors
///
/// getgroups(2) fails. It is not an error if the name of the user cannot be determined.
pub fn current() -> io::Result<Current> {
    let uid = rustix::process::geteuid().as_raw();
    let groups = rustix::process::getgroups()?.into_iter().map(rustix::process::Gid::as_raw).collect();
    let user = identity::user_name(uid).unwrap_or_default();
    Ok(Current { uid, user, gid: rustix::process::getegid().as_raw(), groups })
}

/// Whether the calling thread has no_new_privs set.
#[must_use]
pub fn no_new_privileges() -> bool {
    prctl(libc::PR_GET_NO_NEW_PRIVS, 0) == 1
}

/// The effective capabilities of the calling thread as a bit mask (capabilities(7)).
///
/// # Errors
///
/// capget(2) fails.
pub fn effective_capabilities() -> io::Result<u64> {
    let [low, high] = capabilities()?;
    Ok(u64::from(high.effective) << 32 | u64::from(low.effective))
}

fn drop_root(identity: &Identity) -> Result<(), DropError> {
    let Identity { uid, gid, groups, .. } = identity;
    if *uid == 0 || *gid == 0 || groups.contains(&0) {
        return Err(DropError::Verify("hftpd does not run as root"));
    }
    // SAFETY: pointer and length belong to one vector.
    check("setgroups", unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: takes three numbers and no pointer.
    check("setresgid", unsafe { libc::setresgid(*gid, *gid, *gid) })?;
    // Dropping the bounding set requires CAP_SETPCAP, which root may lack in a container.
    for capability in 0..64 {
        if prctl(libc::PR_CAPBSET_DROP, capability) < 0 {
            break;
        }
    }
    // SAFETY: takes three numbers and no pointer.
    check("setresuid", unsafe { libc::setresuid(*uid, *uid, *uid) })?;
    // The change of the user has cleared the other sets, except the inheritable set, unless securebits prevent it. The
    // call fails on a kernel without ambient capabilities, which has none to clear.
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong);
    clear_capabilities().map_err(|error| DropError::Call("capset", error))?;
    verify(identity)
}

/// Checks the credentials, and that the process cannot become root again.
fn verify(identity: &Identity) -> Result<(), DropError> {
    let Identity { uid, gid, groups, .. } = identity;
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: three pointers to a number each.
    check("getresuid", unsafe { libc::getresuid(real, effective, saved) })?;
    if ids != [*uid; 3] {
        return Err(DropError::Verify("the user did not change"));
    }
    let [real, effective, saved] = &mut ids;
    // SAFETY: three pointers to a number each.
    check("getresgid", unsafe { libc::getresgid(real, effective, saved) })?;
    if ids != [*gid; 3] {
        return Err(DropError::Verify("the group did not change"));
    }
    let mut current = current().map_err(|error| DropError::Call("getgroups", error))?.groups;
    let mut wanted = groups.clone();
    current.sort_unstable();
    wanted.sort_unstable();
    if current != wanted {
        return Err(DropError::Verify("the supplementary groups did not change"));
    }
    let remaining = capabilities().map_err(|error| DropError::Call("capget", error))?;
    if remaining.iter().any(|set| set.effective | set.permitted | set.inheritable != 0) {
        return Err(DropError::Verify("capabilities remain"));
    }
    // SAFETY: takes a number and no pointer.
    if unsafe { libc::setuid(0) } == 0 {
        return Err(DropError::Verify("setuid(0) still succeeds"));
    }
    // SAFETY: takes a number and no pointer.
    if unsafe { libc::setgid(0) } == 0 {
        return Err(DropError::Verify("setgid(0) still succeeds"));
    }
    Ok(())
}

/// The header of capget(2). The C library does not declare it.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`, with two [`CapabilitySets`]: the low and the high half.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

fn capabilities() -> io::Result<[CapabilitySets; 2]> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: the kernel reads and writes one header, and writes two sets in this version.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(sets)
}

fn clear_capabilities() -> io::Result<()> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let sets = [CapabilitySets::default(); 2];
    // SAFETY: the kernel reads and writes one header, and reads two sets in this version.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// prctl(2) with an option that takes one number. The C library reads all arguments as `unsigned long`.
fn prctl(option: libc::c_int, argument: libc::c_ulong) -> libc::c_int {
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: none of the options used here takes a pointer.
    unsafe { libc::prctl(option, argument, UNUSED, UNUSED, UNUSED) }
}

fn check(call: &'static str, result: libc::c_int) -> Result<(), DropError> {
    if result < 0 { Err(DropError::Call(call, io::Error::last_os_error())) } else { Ok(()) }
}

impl Display for DropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot drop root privileges: ")?;
        match self {
            DropError::Call(call, error) => write!(f, "{call}: {error}"),
            DropError::Verify(check) => f.write_str(check),
        }
    }
}

impl std::error::Error for DropError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Set in the child process that drops root privileges.
    const CHILD: &str = "HFTPD_TEST_PRIVILEGES";

    /// Dropping root privileges cannot be undone, so a child process runs this test.
    #[test]
    fn privileges_are_dropped_irrevocably() {
        if std::env::var_os(CHILD).is_some() {
            return drop_root_privileges();
        }
        if !is_root() {
            eprintln!("SKIPPED: privileges_are_dropped_irrevocably needs root");
            return;
        }
        let output = Command::new(std::env::current_exe().expect("test binary"))
            .args(["--exact", "os::privileges::tests::privileges_are_dropped_irrevocably", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .expect("child");
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }

    fn drop_root_privileges() {
        let identity = Identity { name: "x".to_owned(), uid: 4242, gid: 4243, groups: vec![4243, 4244] };
        const CAP_SETPCAP: u32 = 8;
        let has_setpcap = effective_capabilities().expect("capabilities") & 1 << CAP_SETPCAP != 0;
        drop_privileges(Some(&identity)).expect("dropped privileges");

        let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim_start_matches(':').split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid"), "4242 4242 4242 4242");
        assert_eq!(field("Gid"), "4243 4243 4243 4243");
        assert_eq!(field("Groups"), "4243 4244");
        assert_eq!(field("NoNewPrivs"), "1");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
        if has_setpcap {
            assert_eq!(field("CapBnd"), "0000000000000000");
        }
        // This is not the main thread. The C library has changed the user of the main thread, too.
        let main = std::fs::read_to_string("/proc/self/status").expect("status");
        assert!(main.contains("Uid:\t4242\t4242\t4242\t4242\n"), "{main}");

        let now = current().expect("current");
        assert_eq!(now, Current { uid: 4242, user: None, gid: 4243, groups: vec![4243, 4244] });
        assert!(!is_root() && no_new_privileges());
        assert_eq!(effective_capabilities().expect("capabilities"), 0);
        drop_privileges(None).expect("nothing to drop");
    }

    #[test]
    fn root_is_not_a_valid_identity() {
        if is_root() {
            let root = Identity { name: "root".to_owned(), uid: 0, gid: 0, groups: vec![0] };
            assert!(drop_privileges(Some(&root)).is_err());
            assert!(is_root(), "rejected before any change");
        }
    }
}
