//! A growing list of texts (lines of standard error, messages to the service manager) that tests wait on.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Lines {
    all: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Lines {
    pub(crate) fn push(&self, text: String) {
        self.lock().push(text);
        self.changed.notify_all();
    }

    /// The number of texts: the mark for [`Lines::wait`].
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn snapshot(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// The first text after `mark` that `wanted` accepts, and its index. Waits at most for `patience`.
    pub(crate) fn wait(
        &self,
        mark: usize,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<(usize, String)> {
        let deadline = Instant::now() + patience;
        let mut all = self.lock();
        let mut seen = mark;
        loop {
            while let Some(text) = all.get(seen) {
                if wanted(text) {
                    return Some((seen, text.clone()));
                }
                seen += 1;
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            all = self.changed.wait_timeout(all, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
