//! Look-ups and listings for threads that may wait for a disk.

use std::sync::Arc;

use super::directory::Directory;
use super::listing::Listing;
use super::{Fault, FoundFile, Policy, Purpose};

/// A look-up or a listing that may wait for a disk.
#[derive(Debug)]
pub enum Job {
    /// Looks up a name.
    Find {
        /// The policy of the root.
        policy: Arc<Policy>,
        /// The name.
        name: Box<[u8]>,
        /// The purpose of the look-up.
        purpose: Purpose,
    },
    /// Lists the root.
    List {
        /// The policy of the root.
        policy: Arc<Policy>,
    },
}

/// The result of a [`Job`], and the root directory if it could be opened.
#[derive(Debug, Clone)]
pub enum JobResult {
    /// The result of [`Job::Find`].
    Found(Result<FoundFile, Fault>, Option<Arc<Directory>>),
    /// The result of [`Job::List`].
    Listed(Result<Arc<Listing>, Fault>, Option<Arc<Directory>>),
}

/// A group of jobs that are likely to wait for the same device. The pool bounds the threads of each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// One name in one root.
    Name(usize, u64),
    /// The listing of one root.
    Listing(usize),
}

impl Lane {
    /// Whether the lane is for a listing. Such a lane needs only one thread.
    pub fn is_listing(self) -> bool {
        matches!(self, Lane::Listing(_))
    }
}

impl Job {
    /// Runs the job. May wait for a disk for any time.
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

    /// An identifier of the root, unique among the policies in memory.
    pub fn root(&self) -> usize {
        match self {
            Job::Find { policy, .. } | Job::List { policy } => policy_id(policy),
        }
    }

    /// Whether both jobs have the same result: listings of one root, or look-ups of one name for one purpose.
    pub fn has_same_result(&self, other: &Job) -> bool {
        match (self, other) {
            (Job::List { policy: one }, Job::List { policy: other }) => Arc::ptr_eq(one, other),
            (
                Job::Find { policy: one, name, purpose },
                Job::Find { policy: other, name: other_name, purpose: other_purpose },
            ) => Arc::ptr_eq(one, other) && name == other_name && purpose == other_purpose,
            _ => false,
        }
    }

    /// The lane of the job.
    pub fn lane(&self) -> Lane {
        match self {
            Job::Find { policy, name, .. } => {
                use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
                Lane::Name(policy_id(policy), BuildHasherDefault::<DefaultHasher>::default().hash_one(name))
            }
            Job::List { policy } => Lane::Listing(policy_id(policy)),
        }
    }
}

/// The address of a policy.
fn policy_id(policy: &Arc<Policy>) -> usize {
    Arc::as_ptr(policy).addr()
}
