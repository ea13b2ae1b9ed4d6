//! `--limit-rate`

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A limit for all connections together.
#[derive(Debug)]
pub(super) struct RateLimit {
    bytes_per_second: u64,
    /// When the bytes that were taken so far are due.
    due: Mutex<Instant>,
}

impl RateLimit {
    pub(super) fn new(bytes_per_second: u64) -> RateLimit {
        RateLimit { bytes_per_second, due: Mutex::new(Instant::now()) }
    }

    /// How many bytes are received at a time: what is due in a quarter of a second.
    pub(super) fn piece(&self) -> usize {
        usize::try_from(self.bytes_per_second / 4).unwrap_or(usize::MAX).clamp(1 << 10, 256 << 10)
    }

    /// Waits until these bytes are due.
    pub(super) fn take(&self, count: usize) {
        let wait = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // What was not used before is not made up for.
            *due = (*due).max(now) + Duration::from_secs_f64(count as f64 / self.bytes_per_second as f64);
            *due - now
        };
        thread::sleep(wait);
    }
}
