//! A directory, and what a name in it leads to.
//!
//! A FIFO or a device is never opened, so nothing happens to whoever is at its other end: what a name is is looked at
//! before it is opened, or is [known](super::known_names) from an earlier look.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::{Fault, FoundFile, OpenFile, Policy, Purpose, Symlinks};
use crate::os::files::{self, Access, Kind, Medium, Reach, Stat, Wait};

/// A directory that is open, as a place to start from.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    pub(super) stat: Stat,
    pub(super) medium: Medium,
}

/// What an event loop found.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) found: FoundFile,
    /// Whether the name is that of the file, and not of a link that leads to it.
    pub(super) is_entry: bool,
    /// Where it is, if that was looked at.
    pub(super) place: Option<Place>,
}

/// A place in the directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) fd: OwnedFd,
    pub(super) stat: Stat,
}

/// What an event loop opens at once: what is on the directory's own mount, and therefore on its medium. The device does
/// not tell, for a file of an overlayfs may have that of the layer it comes from.
const HERE: Reach = Reach { links: false, mounts: false };
/// The same through links.
const LINKED_HERE: Reach = Reach { links: true, mounts: false };
const ANYWHERE: Reach = Reach { links: false, mounts: true };
const LINKED_ANYWHERE: Reach = Reach { links: true, mounts: true };

impl Directory {
    /// Opens the directory that `path` leads to. May wait for a disk.
    pub fn open(path: &Path) -> Result<Directory, Errno> {
        let fd = files::open_directory(path)?;
        let stat = files::stat(&fd, Wait::Allowed)?;
        let medium = files::medium(&fd);
        Ok(Directory { fd, stat, medium })
    }

    /// Whether names in it can be looked up by who we are. May wait for a disk.
    pub fn check(&self) -> Result<(), Errno> {
        files::open_beneath(self, b".", Access::Look, ANYWHERE, Wait::Allowed).map(drop)
    }

    /// Looks up a name. May wait for a disk.
    pub(super) fn find(&self, policy: &Policy, name: &[u8], purpose: Purpose) -> Result<FoundFile, Fault> {
        if !policy.is_served(name) {
            return Err(Fault::NotFound);
        }
        let follow = policy.symlinks == Symlinks::Inside;
        let stat = files::stat_entry(self, name, Wait::Allowed).map_err(absent_or_unreadable)?;
        match (stat.kind, purpose) {
            (Kind::File, Purpose::Size) => return Ok(of_size(stat.size)),
            (Kind::File, Purpose::Read) => {}
            (Kind::Link, _) if follow => return self.find_linked(name, purpose),
            _ => return Err(Fault::NotFound),
        }
        match files::open_beneath(self, name, Access::Read, ANYWHERE, Wait::Allowed) {
            Ok(fd) => self.opened(fd, Wait::Allowed),
            // It has become a link.
            Err(Errno::LOOP) if follow => self.find_linked(name, purpose),
            Err(errno) => Ok(FoundFile { size: stat.size, file: Err(absent_or_unreadable(errno)) }),
        }
    }

    fn find_linked(&self, name: &[u8], purpose: Purpose) -> Result<FoundFile, Fault> {
        let fd = files::open_beneath(self, name, Access::Look, LINKED_ANYWHERE, Wait::Allowed);
        let place = looked_at(fd.map_err(absent_or_unreadable)?, Wait::Allowed)?;
        self.found_at(&place, name, purpose, LINKED_ANYWHERE, Wait::Allowed)
    }

    /// Looks up a name without waiting: [`Errno::AGAIN`] where only [`Directory::find`] can tell. `known` says that it
    /// was a regular file when the directory was looked at last.
    pub(super) fn find_now(
        &self,
        policy: &Policy,
        name: &[u8],
        purpose: Purpose,
        known: bool,
    ) -> Result<Sighting, Fault> {
        if !policy.is_served(name) {
            return Err(Fault::NotFound);
        }
        if known && purpose == Purpose::Read {
            match files::open_beneath(self, name, Access::Read, HERE, Wait::Never) {
                Ok(fd) => return Ok(Sighting { found: self.opened(fd, Wait::Never)?, is_entry: true, place: None }),
                Err(Errno::AGAIN) => return Err(Fault::Unreadable(Errno::AGAIN)),
                // A look tells whether there is a file that cannot be read, or another thing, or nothing.
                Err(_) => {}
            }
        }
        let place = match files::open_beneath(self, name, Access::Look, HERE, Wait::Never) {
            Ok(fd) => looked_at(fd, Wait::Never)?,
            Err(Errno::LOOP) if policy.symlinks == Symlinks::Inside => {
                return self.find_linked_now(name, purpose);
            }
            // Something is mounted on the name, and may be anywhere.
            Err(Errno::XDEV) => return Err(Fault::Unreadable(Errno::AGAIN)),
            Err(errno) => return Err(absent_or_unreadable(errno)),
        };
        let found = self.found_at(&place, name, purpose, HERE, Wait::Never)?;
        Ok(Sighting { found, is_entry: true, place: Some(place) })
    }

    /// Looks at an entry without waiting.
    pub(super) fn look_now(&self, name: &[u8]) -> Result<Stat, Errno> {
        files::stat(files::open_beneath(self, name, Access::Look, HERE, Wait::Never)?, Wait::Never)
    }

    fn find_linked_now(&self, name: &[u8], purpose: Purpose) -> Result<Sighting, Fault> {
        let look = |reach| files::open_beneath(self, name, Access::Look, reach, Wait::Never);
        let fd = match look(LINKED_HERE) {
            // It leads out of the directory, or into another mount in it, which may be anywhere.
            Err(Errno::XDEV) => look(LINKED_ANYWHERE).and(Err(Errno::AGAIN)),
            looked => looked,
        };
        let place = looked_at(fd.map_err(absent_or_unreadable)?, Wait::Never)?;
        let found = self.found_at(&place, name, purpose, LINKED_HERE, Wait::Never)?;
        Ok(Sighting { found, is_entry: false, place: None })
    }

    /// What is asked of the file at a place that `name` led to.
    fn found_at(
        &self,
        place: &Place,
        name: &[u8],
        purpose: Purpose,
        reach: Reach,
        wait: Wait,
    ) -> Result<FoundFile, Fault> {
        if place.stat.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        if purpose == Purpose::Size {
            return Ok(of_size(place.stat.size));
        }
        match files::open_beneath(self, name, Access::Read, reach, wait) {
            Ok(fd) => self.opened(fd, wait),
            Err(errno) => match absent_or_unreadable(errno) {
                fault if errno == Errno::AGAIN || fault.is_shortage() => Err(fault),
                fault => Ok(FoundFile { size: place.stat.size, file: Err(fault) }),
            },
        }
    }

    /// What was opened. Another file may have taken the name since it was looked at: then it is the one to be answered
    /// for.
    fn opened(&self, fd: OwnedFd, wait: Wait) -> Result<FoundFile, Fault> {
        let stat = files::stat(&fd, wait).map_err(Fault::Unreadable)?;
        if stat.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        let medium = match wait {
            Wait::Allowed if stat.device != self.stat.device => files::medium(&fd),
            _ => self.medium,
        };
        Ok(FoundFile { size: stat.size, file: Ok(Arc::new(OpenFile::new(fd, stat, medium))) })
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn looked_at(fd: OwnedFd, wait: Wait) -> Result<Place, Fault> {
    let stat = files::stat(&fd, wait).map_err(Fault::Unreadable)?;
    Ok(Place { fd, stat })
}

fn of_size(size: u64) -> FoundFile {
    FoundFile { size, file: Err(Fault::NotFound) }
}

/// What an error of openat2(2) or statx(2) says of the name.
fn absent_or_unreadable(errno: Errno) -> Fault {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::NXIO | Errno::NODEV => {
            Fault::NotFound
        }
        errno => Fault::Unreadable(errno),
    }
}
