//! Counts and logs what happens on connections.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::{Answered, Event};
use crate::handle::{Fault, RootView};
use crate::log::{self, Access, Escaped};
use crate::metrics::Counters;
use crate::server::shared::WorkerShared;

/// Counts and logs what happens on the connections of a worker.
pub(super) struct Reporter {
    pub(super) counters: Counters,
    shared: Arc<WorkerShared>,
    /// Whether this worker's last look found no root.
    root_lost: bool,
    faults: FaultLimiter,
}

impl Reporter {
    pub(super) fn new(shared: Arc<WorkerShared>) -> Reporter {
        Reporter { counters: Counters::default(), shared, root_lost: false, faults: FaultLimiter::default() }
    }

    /// Reports `event` of the client `peer`. `files` is the worker's view of `root`.
    pub(super) fn report(&mut self, event: Event, peer: SocketAddr, files: &RootView, root: &Path, now: Instant) {
        match event {
            Event::Answered(answered) => {
                self.counters.answered(&answered);
                if self.root_lost && files.is_available() {
                    self.root_found(root);
                }
                let Answered { code, bytes, since, complete, request } = answered;
                if let Some(request) = request {
                    let duration = since.elapsed();
                    log::access(Access { peer, request, code: code.number(), bytes, duration, complete });
                }
            }
            Event::Fault { fault: Fault::Root(errno), .. } => self.root_failed(root, &errno.into(), now),
            Event::Fault { name, fault } => {
                let name = name.as_deref().unwrap_or(b"the directory or a file that is being sent");
                if let Some(suppressed) = self.faults.tick(name, now) {
                    ::log::warn!(
                        "cannot read {} in {}: {fault} ({suppressed} similar messages suppressed)",
                        Escaped(name),
                        root.display()
                    );
                }
            }
        }
    }

    /// Logged once for all workers, until one that saw the outage sees its end. The view of a worker that has not looked
    /// at the root since proves nothing.
    fn root_failed(&mut self, root: &Path, error: &io::Error, now: Instant) {
        self.root_lost = true;
        if self.shared.root_outage_reported.load(Ordering::Relaxed) {
            return;
        }
        let mut outages = self.shared.root_outages.lock().unwrap_or_else(PoisonError::into_inner);
        if outages.tick(now).is_some() {
            self.shared.root_outage_reported.store(true, Ordering::Relaxed);
            ::log::error!("root {} is unavailable: {error}; requests get 199 until it returns", root.display());
        }
    }

    fn root_found(&mut self, root: &Path) {
        self.root_lost = false;
        if self.shared.root_outage_reported.swap(false, Ordering::Relaxed) {
            ::log::info!("root {} is available again", root.display());
        }
    }
}

/// Limits messages about faults to one a minute for each name, so that one bad file does not hide another.
#[derive(Debug, Default)]
struct FaultLimiter {
    /// When a message may be logged again, and how many were suppressed.
    by_name: HashMap<Box<[u8]>, (Instant, u64)>,
}

impl FaultLimiter {
    /// Names that have a limit of their own. More names share one.
    const MAX_NAMES: usize = 64;

    const PERIOD: Duration = Duration::from_secs(60);

    /// The number of messages that were suppressed, if one may be logged now.
    fn tick(&mut self, name: &[u8], now: Instant) -> Option<u64> {
        if self.by_name.len() >= Self::MAX_NAMES {
            self.by_name.retain(|_, (next, _)| now < *next);
        }
        let is_full = self.by_name.len() >= Self::MAX_NAMES && !self.by_name.contains_key(name);
        let (next, suppressed) =
            self.by_name.entry(if is_full { Box::default() } else { name.into() }).or_insert((now, 0));
        if now < *next {
            *suppressed += 1;
            return None;
        }
        *next = now + Self::PERIOD;
        Some(std::mem::take(suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_message_a_minute_and_many_names_share_one() {
        let mut limiter = FaultLimiter::default();
        let now = Instant::now();
        let minute = Duration::from_secs(60);
        assert_eq!(limiter.tick(b"noisy", now), Some(0));
        assert_eq!(limiter.tick(b"noisy", now), None);
        assert_eq!(limiter.tick(b"other", now), Some(0), "one name does not hide another");
        assert_eq!(limiter.tick(b"noisy", now + minute), Some(1));
        let logged = (0_u32..1000).filter(|name| limiter.tick(&name.to_be_bytes(), now + minute).is_some()).count();
        assert!(logged <= FaultLimiter::MAX_NAMES, "{logged} messages about a thousand names");
        assert!(limiter.by_name.len() <= FaultLimiter::MAX_NAMES + 1);
    }
}
