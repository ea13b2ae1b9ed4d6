//! Who the process is: credentials(7) and capabilities(7).
#![expect(unsafe_code, reason = "the drop of root for the whole process is the C library's alone")]

mod identity;

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

pub use identity::{Identity, IdentityError};

/// Why root was not given up, or not for good. The process must not go on.
#[derive(Debug)]
pub enum DropError {
    /// A system call failed.
    Call(
        /// Its name.
        &'static str,
        /// What the system said.
        io::Error,
    ),
    /// Afterwards something is not as it should be.
    Verify(
        /// What that is.
        &'static str,
    ),
}

/// Who the process is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The effective user.
    pub uid: u32,
    /// Its name, if it has one.
    pub user: Option<String>,
    /// The effective group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// Whether the process is root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the effective user of the process owns what is at `path`.
#[must_use]
pub fn is_owner(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

/// Gives up root for good: takes on the groups and the user, drops every capability and the right to get one back, and
/// verifies that. Without an identity, which only who is not root may do, the process stays who it is, and keeps the
/// capabilities that its starter gave it, for instance the one to bind low ports. Either way sets no_new_privs
/// (PR_SET_NO_NEW_PRIVS(2const)).
///
/// Users and groups are set for every thread (nptl(7)), capabilities and no_new_privs for the calling thread and
/// those that it starts later: to be called in the main thread before there is another one. The kernel takes the
/// right to be dumped or traced from a process that changes its user, unless `fs.suid_dumpable` says otherwise
/// (proc_sys_fs(5)); that is left as it is, so that core dumps stay the operator's decision.
///
/// # Errors
///
/// A call fails, or what it did cannot be verified. Some of it may have been done then: the process has to end.
pub fn drop_privileges(identity: Option<&Identity>) -> Result<(), DropError> {
    if let Some(identity) = identity {
        drop_root(identity)?;
    }
    check("prctl(PR_SET_NO_NEW_PRIVS)", prctl(libc::PR_SET_NO_NEW_PRIVS, 1))
}

/// Who the process is now.
///
/// # Errors
///
/// getgroups(2) fails. That the user has no name, or that it cannot be looked up, is no error.
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

/// The effective capabilities of the calling thread as bits, by the numbers of capabilities(7); 0 is none.
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
        return Err(DropError::Verify("hftpd does not serve as root"));
    }
    // SAFETY: the pointer and the length are those of one vector.
    check("setgroups", unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: takes three numbers and no pointer.
    check("setresgid", unsafe { libc::setresgid(*gid, *gid, *gid) })?;
    // The bounding set needs a capability of root's to be emptied, and root in a container may not have it.
    for capability in 0..64 {
        if prctl(libc::PR_CAPBSET_DROP, capability) < 0 {
            break;
        }
    }
    // SAFETY: takes three numbers and no pointer.
    check("setresuid", unsafe { libc::setresuid(*uid, *uid, *uid) })?;
    // The change of the user has emptied the other sets unless the securebits were against it; the inheritable one
    // stays. A kernel without ambient capabilities refuses the call, and has none to clear.
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong);
    clear_capabilities().map_err(|error| DropError::Call("capset", error))?;
    verify(identity)
}

/// Asks the kernel who the process is now, and tries to become root again.
fn verify(identity: &Identity) -> Result<(), DropError> {
    let Identity { uid, gid, groups, .. } = identity;
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: three pointers to a number each.
    check("getresuid", unsafe { libc::getresuid(real, effective, saved) })?;
    if ids != [*uid; 3] {
        return Err(DropError::Verify("the user was not taken on"));
    }
    let [real, effective, saved] = &mut ids;
    // SAFETY: three pointers to a number each.
    check("getresgid", unsafe { libc::getresgid(real, effective, saved) })?;
    if ids != [*gid; 3] {
        return Err(DropError::Verify("the group was not taken on"));
    }
    let mut now = current().map_err(|error| DropError::Call("getgroups", error))?.groups;
    let mut wanted = groups.clone();
    now.sort_unstable();
    wanted.sort_unstable();
    if now != wanted {
        return Err(DropError::Verify("the supplementary groups were not taken on"));
    }
    let left = capabilities().map_err(|error| DropError::Call("capget", error))?;
    if left.iter().any(|set| set.effective | set.permitted | set.inheritable != 0) {
        return Err(DropError::Verify("a capability is left"));
    }
    // SAFETY: takes a number and no pointer.
    if unsafe { libc::setuid(0) } == 0 {
        return Err(DropError::Verify("root can be taken on again"));
    }
    // SAFETY: takes a number and no pointer.
    if unsafe { libc::setgid(0) } == 0 {
        return Err(DropError::Verify("root's group can be taken on again"));
    }
    Ok(())
}

/// The header and the sets of capget(2), which the C library does not declare.
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

/// `_LINUX_CAPABILITY_VERSION_3`: two of [`CapabilitySets`], the low and the high half.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

fn capabilities() -> io::Result<[CapabilitySets; 2]> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: the kernel reads and writes one header, and writes the two sets that this version has.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(sets)
}

fn clear_capabilities() -> io::Result<()> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let sets = [CapabilitySets::default(); 2];
    // SAFETY: the kernel reads and writes one header, and reads the two sets that this version has.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// prctl(2) with one of the options that take a number. The C library reads the others as `unsigned long` too.
fn prctl(option: libc::c_int, argument: libc::c_ulong) -> libc::c_int {
    const NONE: libc::c_ulong = 0;
    // SAFETY: none of the options used here takes a pointer.
    unsafe { libc::prctl(option, argument, NONE, NONE, NONE) }
}

fn check(call: &'static str, result: libc::c_int) -> Result<(), DropError> {
    if result < 0 { Err(DropError::Call(call, io::Error::last_os_error())) } else { Ok(()) }
}

impl Display for DropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("root cannot be given up: ")?;
        match self {
            DropError::Call(call, error) => write!(f, "{call}: {error}"),
            DropError::Verify(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for DropError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Set in the child process that gives up root.
    const CHILD: &str = "HFTPD_TEST_PRIVILEGES";

    /// Root cannot be taken on again, so this is tried in a process of its own: this test, run by itself.
    #[test]
    fn root_is_given_up_for_good() {
        if std::env::var_os(CHILD).is_some() {
            return give_up_root();
        }
        if !is_root() {
            eprintln!("SKIPPED: root_is_given_up_for_good needs root");
            return;
        }
        let output = Command::new(std::env::current_exe().expect("test binary"))
            .args(["--exact", "os::privileges::tests::root_is_given_up_for_good", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .expect("child");
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }

    fn give_up_root() {
        let identity = Identity { name: "x".to_owned(), uid: 4242, gid: 4243, groups: vec![4243, 4244] };
        const CAP_SETPCAP: u32 = 8;
        let may_empty_bounding_set = effective_capabilities().expect("capabilities") & 1 << CAP_SETPCAP != 0;
        drop_privileges(Some(&identity)).expect("root given up");

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
        if may_empty_bounding_set {
            assert_eq!(field("CapBnd"), "0000000000000000");
        }
        // The harness made this thread beside the main one: the C library changed that one's user as well.
        let main = std::fs::read_to_string("/proc/self/status").expect("status");
        assert!(main.contains("Uid:\t4242\t4242\t4242\t4242\n"), "{main}");

        let now = current().expect("current");
        assert_eq!(now, Current { uid: 4242, user: None, gid: 4243, groups: vec![4243, 4244] });
        assert!(!is_root() && no_new_privileges());
        assert_eq!(effective_capabilities().expect("capabilities"), 0);
        drop_privileges(None).expect("nothing to give up");
    }

    #[test]
    fn nobody_becomes_root() {
        if is_root() {
            let root = Identity { name: "root".to_owned(), uid: 0, gid: 0, groups: vec![0] };
            assert!(drop_privileges(Some(&root)).is_err());
            assert!(is_root(), "refused before anything was changed");
        }
    }
}
