//! The root as one event loop sees it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::job::{Done, Job};
use super::kept::{Entry, Hold, Kept};
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
    kept: Kept,
    /// How often something may have been received: what was looked at since the last time needs no other look.
    received: u64,
    /// Whether the root was there when it was looked at last.
    reached: bool,
    /// Whether anything was asked since [`Files::age`].
    asked: bool,
    /// The path of a name, made here to spare an allocation for each.
    path: Vec<u8>,
}

impl Files {
    /// A view of the root of `policy`.
    pub fn new(policy: Arc<Policy>) -> Files {
        Files {
            policy,
            directory: None,
            seen: None,
            listing: None,
            kept: Kept::default(),
            received: 0,
            reached: false,
            asked: false,
            path: Vec::new(),
        }
    }

    /// Goes over to another policy: what is asked from now on is of its root.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        *self = Files::new(policy);
    }

    /// The next question looks at the root's path again. To be called when a request may have come.
    pub fn expect_change(&mut self) {
        self.seen = None;
        self.received += 1;
    }

    /// Closes what was not asked for since it was called last, the root too. To be called every second or so until it
    /// returns that nothing is held any more; then not before the next question.
    pub fn age(&mut self) -> bool {
        let empty = self.kept.age();
        if !std::mem::take(&mut self.asked) {
            (self.directory, self.seen, self.listing) = (None, None, None);
        }
        empty && self.directory.is_none()
    }

    /// Whether [`Files::age`] has something to do.
    pub fn holds(&self) -> bool {
        self.directory.is_some()
    }

    /// Whether the root was there when it was looked at last.
    pub fn is_reached(&self) -> bool {
        self.reached
    }

    /// Looks up a name.
    pub fn find(&mut self, name: &[u8], purpose: Purpose) -> Answer<Found> {
        self.asked = true;
        if let Some(found) = self.find_kept(name, purpose) {
            return Answer::Now(Ok(found));
        }
        let mut found = self.open(name, purpose);
        let fault = match &found {
            Ok(found) => found.file.as_ref().err(),
            Err(fault) => Some(fault),
        };
        if fault.is_some_and(Fault::is_shortage) {
            // Files that are kept for those who may ask again have to make room for who asks now.
            self.kept = Kept::default();
            found = self.open(name, purpose);
        }
        match found {
            Err(Fault::Root(Errno::AGAIN) | Fault::Unreadable(Errno::AGAIN)) => {
                Answer::Later(Job::Find { policy: self.policy.clone(), name: name.into(), purpose })
            }
            found => Answer::Now(found),
        }
    }

    fn open(&mut self, name: &[u8], purpose: Purpose) -> Result<Found, Fault> {
        let (directory, _) = self.current()?;
        let (found, place) = directory.find(&self.policy, name, purpose, Wait::Never)?;
        self.keep(name, &found, place);
        Ok(found)
    }

    /// Looks at a name that is kept; `None` if it is not, or not that file any more, or not as it was.
    fn find_kept(&mut self, name: &[u8], purpose: Purpose) -> Option<Found> {
        let entry = self.kept.get(name)?;
        if entry.looked != self.received {
            self.path.clear();
            self.path.extend_from_slice(self.policy.root.as_os_str().as_bytes());
            self.path.push(b'/');
            self.path.extend_from_slice(name);
            let now = files::stat_path_itself(&self.path);
            match now {
                Ok(now) if now == entry.stat => entry.looked = self.received,
                _ => {
                    self.kept.remove(name);
                    return None;
                }
            }
        }
        let size = entry.stat.size;
        match (&entry.hold, purpose) {
            (_, Purpose::Size) => Some(Found { size, file: Err(Fault::NotFound) }),
            (Hold::File(file), Purpose::Read) => Some(Found { size, file: Ok(file.clone()) }),
            (Hold::Place(_), Purpose::Read) => None,
        }
    }

    /// Keeps what was found. Of what was reached by a link the next look sees the link, and it is not used.
    fn keep(&mut self, name: &[u8], found: &Found, place: Place) {
        let Place { fd, stat } = place;
        let (hold, stat) = match &found.file {
            Ok(file) => (Hold::File(file.clone()), *file.stat()),
            Err(_) => (Hold::Place(fd), stat),
        };
        // It was opened after what was received last, so it needs no other look until more is.
        self.kept.insert(name, Entry { hold, stat, looked: self.received });
    }

    /// The names in the root.
    pub fn list(&mut self) -> Answer<Arc<Listing>> {
        self.asked = true;
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
        self.reached = directory.is_some();
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
                (self.directory, self.reached) = (None, false);
                return Err(Fault::Root(errno));
            }
        };
        if !seen.is_same_file(&directory.stat) {
            self.directory = None;
            return Err(Fault::Root(Errno::AGAIN));
        }
        (self.seen, self.reached) = (Some(seen), true);
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
    pub(super) fn find(
        &self,
        policy: &Policy,
        name: &[u8],
        purpose: Purpose,
        wait: Wait,
    ) -> Result<(Found, Place), Fault> {
        if !policy.hidden && name.starts_with(b".") {
            return Err(Fault::NotFound);
        }
        let follow = policy.symlinks == Symlinks::Inside;
        let open = |access| files::open_beneath(self, name, access, follow, wait);
        let fd = open(Access::Look).map_err(absent_or_unreadable)?;
        let looked_at = files::stat(&fd, wait).map_err(Fault::Unreadable)?;
        // A file on another file system than the root's may be anywhere: only a thread finds out.
        let medium = match wait {
            Wait::Never if looked_at.device != self.stat.device || self.medium == Medium::Remote => {
                return Err(Fault::Unreadable(Errno::AGAIN));
            }
            Wait::Allowed if looked_at.device != self.stat.device => files::medium(&fd),
            _ => self.medium,
        };
        if looked_at.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        let place = Place { fd, stat: looked_at };
        if purpose == Purpose::Size {
            return Ok((Found { size: looked_at.size, file: Err(Fault::NotFound) }, place));
        }
        let fd = match open(Access::Read) {
            Ok(fd) => fd,
            Err(Errno::AGAIN) => return Err(Fault::Unreadable(Errno::AGAIN)),
            Err(errno) => {
                return Ok((Found { size: looked_at.size, file: Err(absent_or_unreadable(errno)) }, place));
            }
        };
        // Another file may have taken the name between the two: then it is the one to be answered for.
        let stat = files::stat(&fd, wait).map_err(Fault::Unreadable)?;
        if stat.kind != Kind::File {
            return Err(Fault::NotFound);
        }
        let medium = if stat.device == looked_at.device { medium } else { Medium::Remote };
        Ok((Found { size: stat.size, file: Ok(Arc::new(OpenFile::new(fd, stat, medium))) }, place))
    }
}

/// Where a name led to.
#[derive(Debug)]
pub(super) struct Place {
    fd: OwnedFd,
    stat: Stat,
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
