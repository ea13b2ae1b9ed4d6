//! A private UNIX socket in a directory that may belong to another user.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

/// The path of a socket. Dropping it removes the path, unless it is another file now.
#[derive(Debug)]
pub struct BoundPath {
    path: PathBuf,
    /// Device and inode of the socket.
    node: (u64, u64),
}

/// Binds a non-blocking socket with mode 0600 to `path`, owned by `owner` or else by the user of the process. Replaces a
/// socket without a listener. Changes the umask of the process temporarily.
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] if another process listens on the path, [`io::ErrorKind::AlreadyExists`] if it is not a
/// socket, and other errors of the system calls.
pub fn bind_private(path: &Path, owner: Option<(u32, u32)>) -> io::Result<(UnixListener, BoundPath)> {
    let directory = open_parent(path)?;
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    // The directory is opened once, so that its owner cannot replace it between the calls.
    let at = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    let stat = || rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW);
    let listener = match bind_with_mode(&at) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if file_type(&stat()?) != FileType::Socket {
                let message = "not a socket; remove it, or set another path";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
            }
            if UnixStream::connect(&at).is_ok() {
                return Err(io::Error::new(error.kind(), "another daemon listens on it"));
            }
            rustix::fs::unlinkat(&directory, name, AtFlags::empty())?;
            bind_with_mode(&at)?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    // The owner of the directory may have replaced the socket. The owner is changed only if it is a socket of this
    // process's user, through a descriptor, so that it cannot be replaced again.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&node)?;
    if file_type(&stat) != FileType::Socket || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("another user replaced it"));
    }
    if let Some((uid, gid)) = owner {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(node.as_fd(), "", uid, gid, AtFlags::EMPTY_PATH)?;
    }
    Ok((listener, BoundPath { path: path.to_owned(), node: (stat.st_dev, stat.st_ino) }))
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        let Ok(stat) = rustix::fs::statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW) else { return };
        if (stat.st_dev, stat.st_ino) == self.node {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn open_parent(path: &Path) -> io::Result<OwnedFd> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Sets the mode with umask(2), because chmod(2) after bind(2) would follow a link.
fn bind_with_mode(at: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bound = UnixListener::bind(at);
    rustix::process::umask(before);
    bound
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn only_sockets_without_a_listener_are_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control");
        std::fs::write(&path, "data").expect("a file");
        assert_eq!(bind_private(&path, None).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(std::fs::read(&path).expect("the file"), b"data");
        std::fs::remove_file(&path).expect("unlink");
        let target = dir.path().join("target");
        std::fs::write(&target, "").expect("a file");
        symlink(&target, &path).expect("symlink");
        assert_eq!(bind_private(&path, None).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::AlreadyExists));
        std::fs::remove_file(&path).expect("unlink");

        drop(UnixListener::bind(&path).expect("a stale socket"));
        let first = bind_private(&path, None).expect("a replaced socket");
        assert_eq!(std::fs::metadata(&path).expect("stat").permissions().mode() & 0o777, 0o600);
        assert_eq!(bind_private(&path, None).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn dropping_does_not_remove_the_socket_of_another_daemon() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control");
        let first = bind_private(&path, None).expect("a socket");
        std::fs::rename(&path, dir.path().join("old")).expect("rename");
        let second = bind_private(&path, None).expect("a socket");
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
