//! The root as one event loop sees it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::job::{Done, Job};
use super::listing::Listing;
use super::{Fault, Found, OpenFile, Policy, Purpose, Symlinks};
use crate::os::files::{self, Access, Kind, Medium, Stat, Wait};

/// An answer that is there, or a job that will bring it.
#[derive(Debug)]
pub enum Answer<T> {
    /// The answer.
    Now(Result<T, Fault>),
    /// It cannot be had without waiting.
    Later(Job),
}

/// The root as one event loop sees it. Never waits for a disk.
#[derive(Debug)]
pub struct Files {
    policy: Arc<Policy>,
    /// Where the path led when it was looked at last.
    directory: Option<Arc<Directory>>,
    /// What the path led to when it was looked at, if nothing was received since.
    seen: Option<Stat>,
    listing: Option<Arc<Listing>>,
}

impl Files {
    /// A view of the root of `policy`.
    pub fn new(policy: Arc<Policy>) -> Files {
        Files { policy, directory: None, seen: None, listing: None }
    }

    /// Goes over to another policy: what is asked from now on is of its root.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        *self = Files::new(policy);
    }

    /// The next question looks at the root's path again. To be called when a request may have come.
    pub fn expect_change(&mut self) {
        self.seen = None;
    }

    /// Whether the root was there when it was looked at last.
    pub fn is_reached(&self) -> bool {
        self.seen.is_some()
    }

    /// Looks up a name.
    pub fn find(&mut self, name: &[u8], purpose: Purpose) -> Answer<Found> {
        let found = self.current().and_then(|(directory, _)| directory.find(&self.policy, name, purpose, Wait::Never));
        match found {
            Err(Fault::Root(Errno::AGAIN) | Fault::Unreadable(Errno::AGAIN)) => {
                Answer::Later(Job::Find { policy: self.policy.clone(), name: name.into(), purpose })
            }
            found => Answer::Now(found),
        }
    }

    /// The names in the root.
    pub fn list(&mut self) -> Answer<Arc<Listing>> {
        match self.current() {
            Ok((_, seen)) => match &self.listing {
                Some(listing) if listing.is_of(&seen) => Answer::Now(Ok(listing.clone())),
                _ => {
                    self.listing = None;
                    Answer::Later(Job::List { policy: self.policy.clone() })
                }
            },
            Err(Fault::Root(Errno::AGAIN)) => Answer::Later(Job::List { policy: self.policy.clone() }),
            Err(fault) => Answer::Now(Err(fault)),
        }
    }

    /// Remembers what a job has found out, for the questions that follow. `policy` is the job's.
    pub fn learn(&mut self, policy: &Arc<Policy>, done: &Done) {
        if !Arc::ptr_eq(policy, &self.policy) {
            return;
        }
        let directory = match done {
            Done::Found(_, directory) => directory,
            Done::Listed(listing, directory) => {
                self.listing = listing.as_ref().ok().filter(|listing| listing.is_reusable()).cloned();
                directory
            }
            Done::Read(_) => return,
        };
        if let Some(directory) = directory
            && !self.directory.as_ref().is_some_and(|held| held.stat.is_same_file(&directory.stat))
        {
            self.directory = Some(directory.clone());
            self.seen = None;
        }
    }

    /// The directory that the path leads to now. [`Errno::AGAIN`] where a job has to find out.
    fn current(&mut self) -> Result<(Arc<Directory>, Stat), Fault> {
        let Some(directory) = &self.directory else {
            return Err(Fault::Root(Errno::AGAIN));
        };
        if let Some(seen) = self.seen {
            return Ok((directory.clone(), seen));
        }
        if directory.medium == Medium::Remote {
            return Err(Fault::Root(Errno::AGAIN));
        }
        let seen = match files::stat_path(&self.policy.root, Wait::Never) {
            Ok(seen) => seen,
            Err(errno) => {
                self.directory = None;
                return Err(Fault::Root(errno));
            }
        };
        if !seen.is_same_file(&directory.stat) {
            self.directory = None;
            return Err(Fault::Root(Errno::AGAIN));
        }
        self.seen = Some(seen);
        Ok((directory.clone(), seen))
    }
}

/// A directory that is open, as a place to start from.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    stat: Stat,
    medium: Medium,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

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
        files::open_beneath(self, b".", Access::Look, false, Wait::Allowed).map(drop)
    }

    /// Looks up a name. [`Errno::AGAIN`] where that would have to wait and must not.
    ///
    /// What it is is looked at before it is opened: a FIFO or a device is never opened, so nothing happens to whoever
    /// is at its other end.
    pub(super) fn find(&self, policy: &Policy, name: &[u8], purpose: Purpose, wait: Wait) -> Result<Found, Fault> {
        if !policy.hidden && name.starts_with(b".") {
            return Err(Fault::NotFound);
        }
        let follow = policy.symlinks == Symlinks::Inside;
        let open = |access| files::open_beneath(self, name, access, follow, wait);
        let place = open(Access::Look).map_err(absent_or_unreadable)?;
        let looked_at = files::stat(&place, wait).map_err(Fault::Unreadable)?;
        // A file on another file system than the root's may be anywhere: only a thread finds out.
        let medium = match wait {
            Wait::Never if looked_at.device != self.stat.device || self.medium == Medium::Remote => {
                return Err(Fault::Unreadable(Errno::AGAIN));
            }
            Wait::Allowed if looked_at.device != self.stat.device => files::medium(&place),
            _ => self.medium,
        };
        if looked_at.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        if purpose == Purpose::Size {
            return Ok(Found { size: looked_at.size, file: Err(Fault::NotFound) });
        }
        let fd = match open(Access::Read) {
            Ok(fd) => fd,
            Err(Errno::AGAIN) => return Err(Fault::Unreadable(Errno::AGAIN)),
            Err(errno) => return Ok(Found { size: looked_at.size, file: Err(absent_or_unreadable(errno)) }),
        };
        // Another file may have taken the name between the two: then it is the one to be answered for.
        let stat = files::stat(&fd, wait).map_err(Fault::Unreadable)?;
        if stat.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        let medium = if stat.device == looked_at.device { medium } else { Medium::Remote };
        Ok(Found { size: stat.size, file: Ok(Arc::new(OpenFile::new(fd, stat, medium))) })
    }
}

/// What an error of openat2(2) says of the name.
fn absent_or_unreadable(errno: Errno) -> Fault {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::NXIO | Errno::NODEV => {
            Fault::NotFound
        }
        errno => Fault::Unreadable(errno),
    }
}
