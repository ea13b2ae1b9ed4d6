//! What workers share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::admission::Admission;
use super::pool::Pool;
use crate::log::Every;

/// What workers share.
pub(super) struct Shared {
    pub(super) admission: Admission,
    /// Clients of each worker.
    pub(super) loads: Vec<AtomicUsize>,
    /// Whether the root could not be reached when it was needed last.
    pub(super) root_is_lost: AtomicBool,
    /// When it was said last that nobody can be accepted.
    pub(super) complaint: Mutex<Every>,
    pub(super) pool: Pool,
}
