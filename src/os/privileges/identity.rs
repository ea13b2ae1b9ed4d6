//! Users and groups by name: getpwnam_r(3), getgrnam_r(3), getgrouplist(3).
#![expect(unsafe_code, reason = "only the C library reads the user and group databases")]

use std::ffi::{CStr, CString};
use std::fmt::{self, Display};
use std::io;
use std::mem::MaybeUninit;

/// The user and groups to run as, without root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name of the user, or its number if it has no name.
    pub name: String,
    /// The user.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The supplementary groups, sorted, including the primary group.
    pub groups: Vec<u32>,
}

/// Why the settings `user` and `group` do not give an [`Identity`].
#[derive(Debug)]
pub enum IdentityError {
    /// The user does not exist.
    NoSuchUser(String),
    /// The group does not exist.
    NoSuchGroup(String),
    /// The user is root, or a group has number 0.
    Root {
        /// `user` or `group`.
        setting: &'static str,
        /// The value of the setting.
        value: String,
    },
    /// The user and group databases cannot be read.
    Lookup {
        /// `user` or `group`.
        setting: &'static str,
        /// The value of the setting.
        value: String,
        /// The error of the C library.
        error: io::Error,
    },
}

impl Identity {
    /// Looks up the settings `user` and `group`, each a name or a number. The groups of a user with a name are included
    /// (getgrouplist(3)). A number without a name has only the group of the setting.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`].
    pub fn find(user: &str, group: &str) -> Result<Identity, IdentityError> {
        let lookup = |setting, value: &str| {
            let value = value.to_owned();
            move |error| IdentityError::Lookup { setting, value, error }
        };
        let (uid, name) = match number(user) {
            Some(uid) => (uid, user_name(uid).map_err(lookup("user", user))?),
            None => match uid_of(user).map_err(lookup("user", user))? {
                Some(uid) => (uid, Some(user.to_owned())),
                None => return Err(IdentityError::NoSuchUser(user.to_owned())),
            },
        };
        let gid = match number(group) {
            Some(gid) => gid,
            None => match gid_of(group).map_err(lookup("group", group))? {
                Some(gid) => gid,
                None => return Err(IdentityError::NoSuchGroup(group.to_owned())),
            },
        };
        let mut groups = match &name {
            Some(name) => groups_of(name, gid).map_err(lookup("user", user))?,
            None => vec![gid],
        };
        groups.sort_unstable();
        groups.dedup();
        if gid == 0 {
            return Err(IdentityError::Root { setting: "group", value: group.to_owned() });
        }
        if uid == 0 || groups.contains(&0) {
            return Err(IdentityError::Root { setting: "user", value: user.to_owned() });
        }
        Ok(Identity { name: name.unwrap_or_else(|| uid.to_string()), uid, gid, groups })
    }
}

impl Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::NoSuchUser(user) => write!(
                f,
                "user = {user:?}: no such user; create it (useradd --system --user-group --no-create-home \
                 --shell /usr/sbin/nologin NAME) or set another user"
            ),
            IdentityError::NoSuchGroup(group) => {
                write!(f, "group = {group:?}: no such group; create it (groupadd --system NAME) or set another group")
            }
            IdentityError::Root { setting, value } => write!(
                f,
                "{setting} = {value:?}: hftpd does not run as root or with the group root; \
                 set another {setting}"
            ),
            IdentityError::Lookup { setting, value, error } => {
                write!(f, "{setting} = {value:?}: cannot be looked up: {error}")
            }
        }
    }
}

impl std::error::Error for IdentityError {}

/// Parses a user or group number. The largest one is invalid: it means "unchanged" in system calls.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok().filter(|&id| id != u32::MAX) } else { None }
}

fn uid_of(name: &str) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    // SAFETY: the name ends with NUL, and `entry` provides the other arguments of getpwnam_r.
    entry(
        |record, buffer, size, found| unsafe { libc::getpwnam_r(name.as_ptr(), record, buffer, size, found) },
        |user| user.pw_uid,
    )
}

fn gid_of(name: &str) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    // SAFETY: the name ends with NUL, and `entry` provides the other arguments of getgrnam_r.
    entry(
        |record, buffer, size, found| unsafe { libc::getgrnam_r(name.as_ptr(), record, buffer, size, found) },
        |group| group.gr_gid,
    )
}

pub(super) fn user_name(uid: u32) -> io::Result<Option<String>> {
    entry(
        // SAFETY: `entry` provides the arguments of getpwuid_r.
        |record, buffer, size, found| unsafe { libc::getpwuid_r(uid, record, buffer, size, found) },
        |user: &libc::passwd| {
            // SAFETY: the name in a record ends with NUL, and the buffer is valid during this call.
            unsafe { CStr::from_ptr(user.pw_name) }.to_string_lossy().into_owned()
        },
    )
}

/// Looks up a record with a function of the getpwnam_r(3) family and reads a value from it. Enlarges the buffer on ERANGE.
fn entry<R, T>(
    lookup: impl Fn(*mut R, *mut libc::c_char, usize, *mut *mut R) -> libc::c_int,
    read: impl FnOnce(&R) -> T,
) -> io::Result<Option<T>> {
    let mut buffer = vec![0; 1024];
    loop {
        let mut record = MaybeUninit::<R>::uninit();
        let mut found = std::ptr::null_mut();
        match lookup(record.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut found) {
            // SAFETY: `found` is null or points to the initialised `record`, whose pointers point into `buffer`.
            0 => return Ok(unsafe { found.as_ref() }.map(read)),
            libc::EINTR => {}
            libc::ERANGE if buffer.len() < 1 << 24 => buffer.resize(buffer.len() * 4, 0),
            // Some name services return these for a missing record (getpwnam(3), NOTES).
            libc::ENOENT | libc::ESRCH => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The groups of a user, and `gid`.
fn groups_of(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    let name = CString::new(name)?;
    let mut groups = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).map_err(io::Error::other)?;
        // SAFETY: the name ends with NUL, and `count` is the length of `groups`.
        let result = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
        let needed = usize::try_from(count).map_err(io::Error::other)?;
        if result >= 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        // The limit of setgroups(2).
        if groups.len() > 1 << 16 {
            return Err(io::Error::other("too many groups"));
        }
        groups.resize(needed.max(groups.len() * 2), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found() {
        let nobody = Identity::find("nobody", "65534").expect("nobody");
        assert_eq!((nobody.name.as_str(), nobody.gid), ("nobody", 65534));
        assert!(nobody.uid != 0 && nobody.groups.contains(&65534));
        let nameless = Identity::find("2123456789", "2123456788").expect("numbers");
        assert_eq!(nameless.name, "2123456789");
        assert_eq!((nameless.uid, nameless.gid, nameless.groups), (2_123_456_789, 2_123_456_788, vec![2_123_456_788]));
    }

    #[test]
    fn errors_name_the_setting_and_the_remedy() {
        let error = |user, group| Identity::find(user, group).expect_err("an error").to_string();
        let message = error("no-such-user", "65534");
        assert!(message.starts_with("user = \"no-such-user\": no such user; create it ("), "{message}");
        let message = error("nobody", "no\nsuch");
        assert!(message.starts_with("group = \"no\\nsuch\": no such group; create it ("), "{message}");
        for (user, group, setting) in
            [("root", "65534", "user"), ("0", "65534", "user"), ("nobody", "root", "group"), ("nobody", "000", "group")]
        {
            let message = error(user, group);
            assert!(message.starts_with(setting) && message.contains("does not run as root"), "{message}");
        }
        for user in ["", "4294967295", "4294967296", "-1", "a\0b"] {
            assert!(error(user, "65534").contains("no such user"), "{user:?}");
        }
    }
}
