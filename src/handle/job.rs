//! Questions that a thread answers which may wait for a disk.

use std::sync::Arc;

use super::directory::Directory;
use super::listing::Listing;
use super::{Fault, FoundFile, Policy, Purpose};

/// A question whose answer may have to be waited for.
#[derive(Debug)]
pub enum Job {
    /// Look up a name.
    Find {
        /// Of which root.
        policy: Arc<Policy>,
        /// The name.
        name: Box<[u8]>,
        /// What for.
        purpose: Purpose,
    },
    /// List the directory.
    List {
        /// Of which root.
        policy: Arc<Policy>,
    },
}

/// The answer to a [`Job`].
#[derive(Debug, Clone)]
pub enum JobResult {
    /// To [`Job::Find`].
    Found(Result<FoundFile, Fault>, Option<Arc<Directory>>),
    /// To [`Job::List`].
    Listed(Result<Arc<Listing>, Fault>, Option<Arc<Directory>>),
}

/// Jobs that are likely to wait for the same thing: a file system that hangs holds up its own lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// One name in one root.
    Name(usize, u64),
    /// The listing of one root.
    Listing(usize),
}

impl Lane {
    /// Whether it is that of a listing, of which one at a time is enough.
    pub fn is_listing(self) -> bool {
        matches!(self, Lane::Listing(_))
    }
}

impl Job {
    /// Answers the question. Waits for as long as the disk takes.
    pub fn run(self) -> JobResult {
        match self {
            Job::Find { policy, name, purpose } => match Directory::open(&policy.root) {
                Ok(directory) => JobResult::Found(directory.find(&policy, &name, purpose), Some(Arc::new(directory))),
                Err(errno) => JobResult::Found(Err(Fault::Root(errno)), None),
            },
            Job::List { policy } => match Directory::open(&policy.root) {
                Ok(directory) => {
                    let listing = Listing::read(&directory, &policy);
                    JobResult::Listed(listing.map(Arc::new).map_err(Fault::Unreadable), Some(Arc::new(directory)))
                }
                Err(errno) => JobResult::Listed(Err(Fault::Root(errno)), None),
            },
        }
    }

    /// In which root it looks something up.
    pub fn root(&self) -> usize {
        match self {
            Job::Find { policy, .. } | Job::List { policy } => identity(policy),
        }
    }

    /// Whether one answer serves both: listings of one root, or look-ups of one name.
    pub fn is_same(&self, other: &Job) -> bool {
        match (self, other) {
            (Job::List { policy: one }, Job::List { policy: other }) => Arc::ptr_eq(one, other),
            (
                Job::Find { policy: one, name, purpose },
                Job::Find { policy: other, name: other_name, purpose: other_purpose },
            ) => Arc::ptr_eq(one, other) && name == other_name && purpose == other_purpose,
            _ => false,
        }
    }

    /// Which lane it belongs to.
    pub fn lane(&self) -> Lane {
        match self {
            Job::Find { policy, name, .. } => {
                use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
                Lane::Name(identity(policy), BuildHasherDefault::<DefaultHasher>::default().hash_one(name))
            }
            Job::List { policy } => Lane::Listing(identity(policy)),
        }
    }
}

/// Tells a policy from others that live at the same time.
fn identity(policy: &Arc<Policy>) -> usize {
    Arc::as_ptr(policy).addr()
}
