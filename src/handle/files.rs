//! The root as one event loop sees it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use rustix::io::Errno;

use super::directory::{Directory, Sighting};
use super::job::{Done, Job};
use super::kept::{Entry, Hold, Kept};
use super::known::Known;
use super::listing::Listing;
use super::{Fault, Found, Policy, Purpose};
use crate::os::files::{self, Medium, Stat, Wait};

#[cfg(test)]
mod tests;

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
    known: Known,
    /// Hashes names; with a key, so that nobody can choose names whose hashes collide.
    hasher: RandomState,
    /// How often something may have been received: what was looked at since the last time needs no other look.
    received: u64,
    /// Whether the root was there when it was looked at last.
    reached: bool,
    /// Whether anything was asked since [`Files::age`].
    asked: bool,
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
            known: Known::default(),
            hasher: RandomState::new(),
            received: 0,
            reached: false,
            asked: false,
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
            self.known.forget();
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
        match self.with_room(|files| files.find_now(name, purpose)) {
            Err(Fault::Root(Errno::AGAIN) | Fault::Unreadable(Errno::AGAIN)) => {
                Answer::Later(Job::Find { policy: self.policy.clone(), name: name.into(), purpose })
            }
            found => Answer::Now(found),
        }
    }

    /// Asks once more if there was no descriptor: files that are kept for those who may ask again have to make room for
    /// who asks now.
    fn with_room<T>(&mut self, question: impl Fn(&mut Files) -> Result<T, Fault>) -> Result<T, Fault> {
        match question(self) {
            Err(fault) if fault.is_shortage() && !self.kept.is_empty() => {
                self.kept = Kept::default();
                question(self)
            }
            answer => answer,
        }
    }

    fn find_now(&mut self, name: &[u8], purpose: Purpose) -> Result<Found, Fault> {
        let (directory, _) = self.current()?;
        let hash = self.hasher.hash_one(name);
        if let Some(found) = self.find_kept(&directory, hash, name, purpose) {
            return Ok(found);
        }
        let known = purpose == Purpose::Read && self.known.holds(hash);
        let sighting = directory.find_now(&self.policy, name, purpose, known)?;
        // A link can lead elsewhere without a trace in this directory.
        if sighting.is_entry {
            if !known {
                self.known.learn(hash);
            }
            if self.kept.is_asked_again(hash) {
                return Ok(self.keep(hash, name, sighting));
            }
        }
        Ok(sighting.found)
    }

    /// Looks at a name that is kept; `None` if it is not, or not that file any more, or not as it was.
    fn find_kept(&mut self, directory: &Directory, hash: u64, name: &[u8], purpose: Purpose) -> Option<Found> {
        let entry = self.kept.get(hash, name)?;
        if entry.looked != self.received {
            let version = self.known.version();
            // While no name in the directory has changed, the name is that of the file, whose descriptor holds it in
            // memory, so that statx(2) does not have to wait for it. The look is for what has become of the file, and
            // for what may have been mounted on it. When names have changed, this one may be gone or another file's:
            // then statx(2) could wait for a block of the directory, or for that file.
            let now = if version.is_some() && version == entry.version {
                files::stat_entry(directory, name, Wait::Never)
            } else {
                directory.look_now(name)
            };
            if now != Ok(entry.stat) {
                self.kept.remove(hash, name);
                return None;
            }
            (entry.looked, entry.version) = (self.received, version);
        }
        let size = entry.stat.size;
        match (&entry.hold, purpose) {
            (_, Purpose::Size) => Some(Found { size, file: Err(Fault::NotFound) }),
            (Hold::File(file), Purpose::Read) => Some(Found { size, file: Ok(file.clone()) }),
            (Hold::Place(_), Purpose::Read) => None,
        }
    }

    /// Keeps what was found.
    fn keep(&mut self, hash: u64, name: &[u8], sighting: Sighting) -> Found {
        let Sighting { found, place, .. } = sighting;
        let held = match (&found.file, place) {
            (Ok(file), _) => Some((Hold::File(file.clone()), *file.stat())),
            (Err(_), Some(place)) => Some((Hold::Place(place.fd), place.stat)),
            (Err(_), None) => None,
        };
        if let Some((hold, stat)) = held {
            // It was looked at after what was received last, so it needs no other look until more is.
            let (looked, version) = (self.received, self.known.version());
            self.kept.insert(hash, Entry { name: name.into(), hold, stat, looked, version, asked: true });
        }
        found
    }

    /// The names in the root.
    pub fn list(&mut self) -> Answer<Arc<Listing>> {
        self.asked = true;
        match self.with_room(Files::current) {
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
        let seen = match files::stat_directory_now(&self.policy.root) {
            Ok(seen) => seen,
            Err(Errno::AGAIN) => return Err(Fault::Root(Errno::AGAIN)),
            Err(errno) => {
                let fault = Fault::Root(errno);
                if fault.is_shortage() {
                    // That says nothing of the root.
                    return Err(Fault::Unreadable(errno));
                }
                (self.directory, self.reached) = (None, false);
                return Err(fault);
            }
        };
        if !seen.is_same_file(&directory.stat) {
            self.directory = None;
            return Err(Fault::Root(Errno::AGAIN));
        }
        (self.seen, self.reached) = (Some(seen), true);
        self.known.see(&seen);
        Ok((directory.clone(), seen))
    }
}
