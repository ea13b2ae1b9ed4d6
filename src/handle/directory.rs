//! Looks up names in a directory.
//!
//! FIFOs and devices are not opened, because opening one has side effects. The type of a file is determined before it is
//! opened, or is [known](super::known_names) from an earlier look-up.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::{Fault, FoundFile, OpenFile, Policy, Purpose, Symlinks};
use crate::os::files::{self, Access, Kind, ResolveScope, Stat, Storage, Wait};

/// An open directory (O_PATH).
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    pub(super) stat: Stat,
    pub(super) storage: Storage,
}

/// The result of [`Directory::find_nowait`].
#[derive(Debug)]
pub(super) struct FoundEntry {
    pub(super) found: FoundFile,
    /// Whether the name is that of the file, not of a symbolic link.
    pub(super) is_direct: bool,
    /// The O_PATH descriptor, if one was opened for a direct name.
    pub(super) handle: Option<PathHandle>,
}

/// An O_PATH descriptor and its attributes.
#[derive(Debug)]
pub(super) struct PathHandle {
    pub(super) fd: OwnedFd,
    pub(super) stat: Stat,
}

/// The scope of event loops. Files on the mount of the directory are on the same storage. The device number does not show
/// that: files of an overlayfs can have the device number of their layer.
const WITHIN_MOUNT: ResolveScope = ResolveScope { links: false, mounts: false };
/// The same, and follows links.
const LINKS_WITHIN_MOUNT: ResolveScope = ResolveScope { links: true, mounts: false };
const ACROSS_MOUNTS: ResolveScope = ResolveScope { links: false, mounts: true };
const LINKS_ACROSS_MOUNTS: ResolveScope = ResolveScope { links: true, mounts: true };

impl Directory {
    /// Opens the directory at `path`. May wait for a disk.
    pub fn open(path: &Path) -> Result<Directory, Errno> {
        let fd = files::open_directory(path)?;
        let stat = files::stat(&fd, Wait::Allowed)?;
        let storage = files::storage(&fd);
        Ok(Directory { fd, stat, storage })
    }

    /// Checks that this process has permission to look up names. May wait for a disk.
    pub fn check(&self) -> Result<(), Errno> {
        files::open_beneath(self, b".", Access::PathOnly, ACROSS_MOUNTS, Wait::Allowed).map(drop)
    }

    /// Looks up a name. May wait for a disk.
    pub(super) fn find(&self, policy: &Policy, name: &[u8], purpose: Purpose) -> Result<FoundFile, Fault> {
        if !policy.is_served(name) {
            return Err(Fault::NotFound);
        }
        let follow = policy.symlinks == Symlinks::Inside;
        let stat = files::stat_entry(self, name, Wait::Allowed).map_err(fault_of)?;
        match (stat.kind, purpose) {
            (Kind::File, Purpose::Size) => return Ok(size_only(stat.size)),
            (Kind::File, Purpose::Read) => {}
            (Kind::Link, _) if follow => return self.find_through_link(name, purpose),
            _ => return Err(Fault::NotFound),
        }
        match files::open_beneath(self, name, Access::Read, ACROSS_MOUNTS, Wait::Allowed) {
            Ok(fd) => self.opened(fd, Wait::Allowed),
            // The file was replaced by a link after stat_entry.
            Err(Errno::LOOP) if follow => self.find_through_link(name, purpose),
            Err(errno) => Ok(FoundFile { size: stat.size, file: Err(fault_of(errno)) }),
        }
    }

    fn find_through_link(&self, name: &[u8], purpose: Purpose) -> Result<FoundFile, Fault> {
        let fd = files::open_beneath(self, name, Access::PathOnly, LINKS_ACROSS_MOUNTS, Wait::Allowed);
        let handle = path_handle(fd.map_err(fault_of)?, Wait::Allowed)?;
        self.open_found(&handle, name, purpose, LINKS_ACROSS_MOUNTS, Wait::Allowed)
    }

    /// Looks up a name without waiting. [`Errno::AGAIN`] if only [`Directory::find`] can do it. `known`: the name was a
    /// regular file when the directory was last checked.
    pub(super) fn find_nowait(
        &self,
        policy: &Policy,
        name: &[u8],
        purpose: Purpose,
        known: bool,
    ) -> Result<FoundEntry, Fault> {
        if !policy.is_served(name) {
            return Err(Fault::NotFound);
        }
        if known && purpose == Purpose::Read {
            match files::open_beneath(self, name, Access::Read, WITHIN_MOUNT, Wait::Never) {
                Ok(fd) => {
                    return Ok(FoundEntry { found: self.opened(fd, Wait::Never)?, is_direct: true, handle: None });
                }
                Err(Errno::AGAIN) => return Err(Fault::Unreadable(Errno::AGAIN)),
                // The O_PATH open below distinguishes an unreadable file, another type and a missing file.
                Err(_) => {}
            }
        }
        let handle = match files::open_beneath(self, name, Access::PathOnly, WITHIN_MOUNT, Wait::Never) {
            Ok(fd) => path_handle(fd, Wait::Never)?,
            Err(Errno::LOOP) if policy.symlinks == Symlinks::Inside => {
                return self.find_through_link_nowait(name, purpose);
            }
            // A mount point, whose storage can be slower.
            Err(Errno::XDEV) => return Err(Fault::Unreadable(Errno::AGAIN)),
            Err(errno) => return Err(fault_of(errno)),
        };
        let found = self.open_found(&handle, name, purpose, WITHIN_MOUNT, Wait::Never)?;
        Ok(FoundEntry { found, is_direct: true, handle: Some(handle) })
    }

    /// The attributes of an entry, without waiting. A link is not followed.
    pub(super) fn stat_nowait(&self, name: &[u8]) -> Result<Stat, Errno> {
        files::stat(files::open_beneath(self, name, Access::PathOnly, WITHIN_MOUNT, Wait::Never)?, Wait::Never)
    }

    fn find_through_link_nowait(&self, name: &[u8], purpose: Purpose) -> Result<FoundEntry, Fault> {
        let open = |scope| files::open_beneath(self, name, Access::PathOnly, scope, Wait::Never);
        let fd = match open(LINKS_WITHIN_MOUNT) {
            // The target is outside the directory, or on another mount, whose storage can be slower.
            Err(Errno::XDEV) => open(LINKS_ACROSS_MOUNTS).and(Err(Errno::AGAIN)),
            opened => opened,
        };
        let handle = path_handle(fd.map_err(fault_of)?, Wait::Never)?;
        let found = self.open_found(&handle, name, purpose, LINKS_WITHIN_MOUNT, Wait::Never)?;
        Ok(FoundEntry { found, is_direct: false, handle: None })
    }

    /// Opens the file `name` for `purpose`, if `handle` shows that it is a regular file.
    fn open_found(
        &self,
        handle: &PathHandle,
        name: &[u8],
        purpose: Purpose,
        scope: ResolveScope,
        wait: Wait,
    ) -> Result<FoundFile, Fault> {
        if handle.stat.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        if purpose == Purpose::Size {
            return Ok(size_only(handle.stat.size));
        }
        match files::open_beneath(self, name, Access::Read, scope, wait) {
            Ok(fd) => self.opened(fd, wait),
            Err(errno) => match fault_of(errno) {
                fault if errno == Errno::AGAIN || fault.is_fd_exhausted() => Err(fault),
                fault => Ok(FoundFile { size: handle.stat.size, file: Err(fault) }),
            },
        }
    }

    /// The result for an opened file. Its attributes are read again, because another file can have taken the name.
    fn opened(&self, fd: OwnedFd, wait: Wait) -> Result<FoundFile, Fault> {
        let stat = files::stat(&fd, wait).map_err(Fault::Unreadable)?;
        if stat.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        let storage = match wait {
            Wait::Allowed if stat.device != self.stat.device => files::storage(&fd),
            _ => self.storage,
        };
        Ok(FoundFile { size: stat.size, file: Ok(Arc::new(OpenFile::new(fd, stat, storage))) })
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn path_handle(fd: OwnedFd, wait: Wait) -> Result<PathHandle, Fault> {
    let stat = files::stat(&fd, wait).map_err(Fault::Unreadable)?;
    Ok(PathHandle { fd, stat })
}

fn size_only(size: u64) -> FoundFile {
    FoundFile { size, file: Err(Fault::NotFound) }
}

/// The meaning of an error of openat2(2) or statx(2) for a name.
fn fault_of(errno: Errno) -> Fault {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::NXIO | Errno::NODEV => {
            Fault::NotFound
        }
        errno => Fault::Unreadable(errno),
    }
}
