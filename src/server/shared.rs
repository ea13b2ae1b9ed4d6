//! What workers share.

use std::sync::Arc;

use super::admission::Admission;
use super::pool::Pool;
use super::sync::Mutex;
use super::sync::atomic::{AtomicBool, AtomicUsize};
use crate::log::Throttle;

/// The state that workers share. All other state belongs to one worker or is sent.
pub(super) struct WorkerShared {
    pub(super) admission: Arc<Admission>,
    /// Clients of each worker.
    pub(super) loads: Vec<AtomicUsize>,
    pub(super) pool: Pool,
    /// Whether the log reports the root as unavailable.
    pub(super) root_outage_reported: AtomicBool,
    pub(super) root_outages: Mutex<Throttle>,
    /// Limits the messages that no client can be accepted.
    pub(super) accept_failures: Mutex<Throttle>,
}

impl WorkerShared {
    pub(super) fn new(workers: usize) -> WorkerShared {
        WorkerShared {
            admission: Arc::default(),
            loads: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            pool: Pool::new(),
            root_outage_reported: AtomicBool::new(false),
            root_outages: Mutex::new(Throttle::per_minute()),
            accept_failures: Mutex::new(Throttle::per_minute()),
        }
    }
}
