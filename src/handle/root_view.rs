//! The root as one event loop sees it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use rustix::io::Errno;

use super::directory::{Directory, Sighting};
use super::file_cache::{CachedFile, Content, FileCache};
use super::job::{Job, JobResult};
use super::known_names::KnownNames;
use super::listing::Listing;
use super::{Fault, FoundFile, Policy, Purpose};
use crate::os::files::{self, Medium, Stat, Wait};

#[cfg(test)]
mod tests;

/// An answer that is there, or a job that will bring it.
#[derive(Debug)]
pub enum Lookup<T> {
    /// The answer.
    Ready(Result<T, Fault>),
    /// It cannot be had without waiting.
    Pending(Job),
}

/// The root as one event loop sees it. Never waits for a disk.
#[derive(Debug)]
pub struct RootView {
    policy: Arc<Policy>,
    /// Where the path led when it was looked at last.
    directory: Option<Arc<Directory>>,
    /// What the path led to when it was looked at, if nothing was received since.
    seen: Option<Stat>,
    listing: Option<Arc<Listing>>,
    cache: FileCache,
    known: KnownNames,
    /// Hashes names; with a key, so that nobody can choose names whose hashes collide.
    hasher: RandomState,
    /// How often something may have been received: what was looked at since the last time needs no other look.
    epoch: u64,
    /// Whether the root was there when it was looked at last.
    available: bool,
    /// Whether anything was asked since [`RootView::expire_idle`].
    asked: bool,
}

impl RootView {
    /// A view of the root of `policy`.
    pub fn new(policy: Arc<Policy>) -> RootView {
        RootView {
            policy,
            directory: None,
            seen: None,
            listing: None,
            cache: FileCache::default(),
            known: KnownNames::default(),
            hasher: RandomState::new(),
            epoch: 0,
            available: false,
            asked: false,
        }
    }

    /// Goes over to another policy: what is asked from now on is of its root.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        *self = RootView::new(policy);
    }

    /// The next question looks at the root's path again. To be called when a request may have come.
    pub fn begin_epoch(&mut self) {
        self.seen = None;
        self.epoch += 1;
    }

    /// Closes what was not asked for since it was called last, the root too. To be called every second or so until it
    /// returns that nothing is held any more; then not before the next question.
    pub fn expire_idle(&mut self) -> bool {
        let empty = self.cache.age();
        if !std::mem::take(&mut self.asked) {
            (self.directory, self.seen, self.listing) = (None, None, None);
            self.known.forget();
        }
        empty && self.directory.is_none()
    }

    /// Whether [`RootView::expire_idle`] has something to do.
    pub fn is_open(&self) -> bool {
        self.directory.is_some()
    }

    /// Whether the root was there when it was looked at last.
    pub fn is_available(&self) -> bool {
        self.available
    }

    /// Looks up a name.
    pub fn find(&mut self, name: &[u8], purpose: Purpose) -> Lookup<FoundFile> {
        self.asked = true;
        match self.with_room(|files| files.find_now(name, purpose)) {
            Err(Fault::Root(Errno::AGAIN) | Fault::Unreadable(Errno::AGAIN)) => {
                Lookup::Pending(Job::Find { policy: self.policy.clone(), name: name.into(), purpose })
            }
            found => Lookup::Ready(found),
        }
    }

    /// Asks once more if there was no descriptor: files that are kept for those who may ask again have to make room for
    /// who asks now.
    fn with_room<T>(&mut self, question: impl Fn(&mut RootView) -> Result<T, Fault>) -> Result<T, Fault> {
        match question(self) {
            Err(fault) if fault.is_shortage() && !self.cache.is_empty() => {
                self.cache = FileCache::default();
                question(self)
            }
            answer => answer,
        }
    }

    fn find_now(&mut self, name: &[u8], purpose: Purpose) -> Result<FoundFile, Fault> {
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
            if self.cache.is_asked_again(hash) {
                return Ok(self.keep(hash, name, sighting));
            }
        }
        Ok(sighting.found)
    }

    /// Looks at a name that is kept; `None` if it is not, or not that file any more, or not as it was.
    fn find_kept(&mut self, directory: &Directory, hash: u64, name: &[u8], purpose: Purpose) -> Option<FoundFile> {
        let entry = self.cache.get(hash, name)?;
        if entry.checked_at != self.epoch {
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
                self.cache.remove(hash, name);
                return None;
            }
            (entry.checked_at, entry.version) = (self.epoch, version);
        }
        let size = entry.stat.size;
        match (&entry.content, purpose) {
            (_, Purpose::Size) => Some(FoundFile { size, file: Err(Fault::NotFound) }),
            (Content::Open(file), Purpose::Read) => Some(FoundFile { size, file: Ok(file.clone()) }),
            (Content::PathOnly(_), Purpose::Read) => None,
        }
    }

    /// Keeps what was found.
    fn keep(&mut self, hash: u64, name: &[u8], sighting: Sighting) -> FoundFile {
        let Sighting { found, place, .. } = sighting;
        let held = match (&found.file, place) {
            (Ok(file), _) => Some((Content::Open(file.clone()), *file.stat())),
            (Err(_), Some(place)) => Some((Content::PathOnly(place.fd), place.stat)),
            (Err(_), None) => None,
        };
        if let Some((content, stat)) = held {
            // It was looked at after what was received last, so it needs no other look until more is.
            let (checked_at, version) = (self.epoch, self.known.version());
            self.cache.insert(hash, CachedFile { name: name.into(), content, stat, checked_at, version, asked: true });
        }
        found
    }

    /// The names in the root.
    pub fn list(&mut self) -> Lookup<Arc<Listing>> {
        self.asked = true;
        match self.with_room(RootView::current) {
            Ok((_, seen)) => match &self.listing {
                Some(listing) if listing.is_of(&seen) => Lookup::Ready(Ok(listing.clone())),
                _ => {
                    self.listing = None;
                    Lookup::Pending(Job::List { policy: self.policy.clone() })
                }
            },
            Err(Fault::Root(Errno::AGAIN)) => Lookup::Pending(Job::List { policy: self.policy.clone() }),
            Err(fault) => Lookup::Ready(Err(fault)),
        }
    }

    /// Remembers what a job has found out, for the questions that follow. `policy` is the job's.
    pub fn update_from(&mut self, policy: &Arc<Policy>, done: &JobResult) {
        if !Arc::ptr_eq(policy, &self.policy) {
            return;
        }
        let directory = match done {
            JobResult::Found(_, directory) => directory,
            JobResult::Listed(listing, directory) => {
                self.listing = listing.as_ref().ok().filter(|listing| listing.is_reusable()).cloned();
                directory
            }
        };
        self.available = directory.is_some();
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
                (self.directory, self.available) = (None, false);
                return Err(fault);
            }
        };
        if !seen.is_same_file(&directory.stat) {
            self.directory = None;
            return Err(Fault::Root(Errno::AGAIN));
        }
        (self.seen, self.available) = (Some(seen), true);
        self.known.see(&seen);
        Ok((directory.clone(), seen))
    }
}
