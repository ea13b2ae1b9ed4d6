//! The view of the root of one event loop.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use rustix::io::Errno;

use super::directory::{Directory, FoundEntry};
use super::file_cache::{CachedFile, Content, FileCache};
use super::job::{Job, JobResult};
use super::known_names::KnownNames;
use super::listing::Listing;
use super::{Fault, FoundFile, Policy, Purpose};
use crate::os::files::{self, Stat, Storage, Wait};

#[cfg(test)]
mod tests;

/// A result, or the job that determines it.
#[derive(Debug)]
pub enum Lookup<T> {
    /// The result.
    Ready(Result<T, Fault>),
    /// The result may have to wait for a disk.
    Pending(Job),
}

/// The view of the root of one event loop. Its functions do not wait for a disk.
#[derive(Debug)]
pub struct RootView {
    policy: Arc<Policy>,
    /// The directory at the root's path at the last check.
    directory: Option<Arc<Directory>>,
    /// The attributes of the root in this epoch; `None` before the check.
    epoch_stat: Option<Stat>,
    listing: Option<Arc<Listing>>,
    cache: FileCache,
    known: KnownNames,
    /// Hashes names. The random key prevents collisions chosen by clients.
    hasher: RandomState,
    /// Begins when bytes are received. Each file and the root are checked at most once in it.
    epoch: u64,
    /// Whether the root could be opened at the last check.
    available: bool,
    /// Whether there was a request since the last [`RootView::expire_idle`].
    used: bool,
}

impl RootView {
    /// Creates a view of the root of `policy`.
    pub fn new(policy: Arc<Policy>) -> RootView {
        RootView {
            policy,
            directory: None,
            epoch_stat: None,
            listing: None,
            cache: FileCache::default(),
            known: KnownNames::default(),
            hasher: RandomState::new(),
            epoch: 0,
            available: false,
            used: false,
        }
    }

    /// Replaces the policy, and with it the root.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        *self = RootView::new(policy);
    }

    /// Begins an epoch: the root and files are checked again. Call it after receiving bytes.
    pub fn begin_epoch(&mut self) {
        self.epoch_stat = None;
        self.epoch += 1;
    }

    /// Closes files, and the root, that were not used since the last call. Returns whether nothing is open. Call it about
    /// every second until it returns true, and again after the next request.
    pub fn expire_idle(&mut self) -> bool {
        let empty = self.cache.expire_unused();
        if !std::mem::take(&mut self.used) {
            (self.directory, self.epoch_stat, self.listing) = (None, None, None);
            self.known.clear();
        }
        empty && self.directory.is_none()
    }

    /// Whether the root is open. If so, [`RootView::expire_idle`] must be called.
    pub fn is_open(&self) -> bool {
        self.directory.is_some()
    }

    /// Whether the root could be opened at the last check.
    pub fn is_available(&self) -> bool {
        self.available
    }

    /// Looks up a name.
    pub fn find(&mut self, name: &[u8], purpose: Purpose) -> Lookup<FoundFile> {
        self.used = true;
        match self.retry_without_cache(|view| view.find_nowait(name, purpose)) {
            Err(Fault::Root(Errno::AGAIN) | Fault::Unreadable(Errno::AGAIN)) => {
                Lookup::Pending(Job::Find { policy: self.policy.clone(), name: name.into(), purpose })
            }
            found => Lookup::Ready(found),
        }
    }

    /// Repeats a look-up that failed for lack of a descriptor, after closing the cached files.
    fn retry_without_cache<T>(&mut self, look_up: impl Fn(&mut RootView) -> Result<T, Fault>) -> Result<T, Fault> {
        match look_up(self) {
            Err(fault) if fault.is_fd_exhausted() && !self.cache.is_empty() => {
                self.cache = FileCache::default();
                look_up(self)
            }
            answer => answer,
        }
    }

    fn find_nowait(&mut self, name: &[u8], purpose: Purpose) -> Result<FoundFile, Fault> {
        let (directory, _) = self.current_directory()?;
        let hash = self.hasher.hash_one(name);
        if let Some(found) = self.find_cached(&directory, hash, name, purpose) {
            return Ok(found);
        }
        let known = purpose == Purpose::Read && self.known.contains(hash);
        let entry = directory.find_nowait(&self.policy, name, purpose, known)?;
        // The target of a link can change without a change of this directory.
        if entry.is_direct {
            if !known {
                self.known.insert(hash);
            }
            if self.cache.is_repeated(hash) {
                return Ok(self.add_to_cache(hash, name, entry));
            }
        }
        Ok(entry.found)
    }

    /// Looks up a name in the cache. `None` if it is not cached or the file has changed.
    fn find_cached(&mut self, directory: &Directory, hash: u64, name: &[u8], purpose: Purpose) -> Option<FoundFile> {
        let entry = self.cache.get(hash, name)?;
        if entry.checked_at != self.epoch {
            let version = self.known.version();
            // While the directory is unchanged, the open descriptor keeps the name and the inode in memory, so that
            // statx(2) does not wait. It detects changes of the file and a mount over it. If the directory has changed,
            // the name may be removed or belong to another file: statx(2) could wait for a block of the directory or
            // for that inode.
            let now = if version.is_some() && version == entry.version {
                files::stat_entry(directory, name, Wait::Never)
            } else {
                directory.stat_nowait(name)
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

    /// Adds the file to the cache.
    fn add_to_cache(&mut self, hash: u64, name: &[u8], entry: FoundEntry) -> FoundFile {
        let FoundEntry { found, handle, .. } = entry;
        let cached = match (&found.file, handle) {
            (Ok(file), _) => Some((Content::Open(file.clone()), *file.stat())),
            (Err(_), Some(handle)) => Some((Content::PathOnly(handle.fd), handle.stat)),
            (Err(_), None) => None,
        };
        if let Some((content, stat)) = cached {
            // The file was checked in this epoch.
            let (checked_at, version) = (self.epoch, self.known.version());
            self.cache.insert(hash, CachedFile { name: name.into(), content, stat, checked_at, version, used: true });
        }
        found
    }

    /// The listing of the root.
    pub fn list(&mut self) -> Lookup<Arc<Listing>> {
        self.used = true;
        match self.retry_without_cache(RootView::current_directory) {
            Ok((_, stat)) => match &self.listing {
                Some(listing) if listing.is_current(&stat) => Lookup::Ready(Ok(listing.clone())),
                _ => {
                    self.listing = None;
                    Lookup::Pending(Job::List { policy: self.policy.clone() })
                }
            },
            Err(Fault::Root(Errno::AGAIN)) => Lookup::Pending(Job::List { policy: self.policy.clone() }),
            Err(fault) => Lookup::Ready(Err(fault)),
        }
    }

    /// Stores the root directory and the listing of a job's result. Ignored if `policy`, the job's, is not the current
    /// one.
    pub fn update_from(&mut self, policy: &Arc<Policy>, result: &JobResult) {
        if !Arc::ptr_eq(policy, &self.policy) {
            return;
        }
        let directory = match result {
            JobResult::Found(_, directory) => directory,
            JobResult::Listed(listing, directory) => {
                self.listing = listing.as_ref().ok().filter(|listing| listing.is_reusable()).cloned();
                directory
            }
        };
        self.available = directory.is_some();
        if let Some(directory) = directory
            && !self.directory.as_ref().is_some_and(|current| current.stat.is_same_file(&directory.stat))
        {
            self.directory = Some(directory.clone());
            self.epoch_stat = None;
        }
    }

    /// The directory at the root's path, and its attributes in this epoch. [`Errno::AGAIN`] if a job must open it.
    fn current_directory(&mut self) -> Result<(Arc<Directory>, Stat), Fault> {
        let Some(directory) = &self.directory else {
            return Err(Fault::Root(Errno::AGAIN));
        };
        if let Some(stat) = self.epoch_stat {
            return Ok((directory.clone(), stat));
        }
        if directory.storage == Storage::Remote {
            return Err(Fault::Root(Errno::AGAIN));
        }
        let stat = match files::stat_directory_nowait(&self.policy.root) {
            Ok(stat) => stat,
            Err(Errno::AGAIN) => return Err(Fault::Root(Errno::AGAIN)),
            Err(errno) => {
                let fault = Fault::Root(errno);
                if fault.is_fd_exhausted() {
                    // The root itself can still be available.
                    return Err(Fault::Unreadable(errno));
                }
                (self.directory, self.available) = (None, false);
                return Err(fault);
            }
        };
        if !stat.is_same_file(&directory.stat) {
            self.directory = None;
            return Err(Fault::Root(Errno::AGAIN));
        }
        (self.epoch_stat, self.available) = (Some(stat), true);
        self.known.update(&stat);
        Ok((directory.clone(), stat))
    }
}
