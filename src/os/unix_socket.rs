//! A UNIX socket that one user may use, in a directory that may be somebody else's.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

/// The path of a socket. It is removed with this, if it is still that of the socket.
#[derive(Debug)]
pub struct BoundPath {
    path: PathBuf,
    /// Device and inode of what was bound.
    node: (u64, u64),
}

/// Binds a socket that does not block at `path`, with mode 0600, and gives it to `owner`; without one it is the process's user's. A socket
/// that nobody listens at is replaced. Changes the process's umask for a moment.
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] where another process listens at it. Whatever else is at the path, it is not removed.
pub fn bind_private(path: &Path, owner: Option<(u32, u32)>) -> io::Result<(UnixListener, BoundPath)> {
    let directory = open_parent(path)?;
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    // The directory is looked up once: what its owner puts in its place later is never touched.
    let at = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    let look = || rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW);
    let listener = match bind_with_mode(&at) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if file_type(&look()?) != FileType::Socket {
                let what = "there is something that is not a socket; remove it, or set another path";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
            if UnixStream::connect(&at).is_ok() {
                return Err(io::Error::new(error.kind(), "another daemon listens there"));
            }
            rustix::fs::unlinkat(&directory, name, AtFlags::empty())?;
            bind_with_mode(&at)?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    // The owner of the directory may have put something else there since. It is changed only if it is a socket of
    // this process's user, and by a descriptor, so that it cannot be exchanged again.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&node)?;
    if file_type(&stat) != FileType::Socket || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("somebody else exchanged it while it was made"));
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

/// The mode is there from the beginning: chmod(2) of a path would follow a link.
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
        std::fs::write(&path, "a thesis").expect("a file");
        assert_eq!(bind_private(&path, None).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(std::fs::read(&path).expect("it is still there"), b"a thesis");
        std::fs::remove_file(&path).expect("unlink");
        let target = dir.path().join("target");
        std::fs::write(&target, "").expect("a file");
        symlink(&target, &path).expect("symlink");
        assert_eq!(bind_private(&path, None).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::AlreadyExists));
        std::fs::remove_file(&path).expect("unlink");

        drop(UnixListener::bind(&path).expect("a stale socket"));
        let first = bind_private(&path, None).expect("it is replaced");
        assert_eq!(std::fs::metadata(&path).expect("stat").permissions().mode() & 0o777, 0o600);
        assert_eq!(bind_private(&path, None).map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_of_another_daemon_is_not_removed_at_the_end() {
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
