//! Which worker serves a client: how many workers accept, and when the one that accepts keeps a client for itself.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// Two workers accept even on one processor, so that a worker in the middle of a long round holds nobody up.
const LEAST: usize = 2;

/// How many of `workers` accept clients: as many as can run at once.
///
/// A connection that arrives while all workers that accept are busy would wake a further one, if there were one. With
/// more workers than processors that one has to wait for a processor, and by then the client has been accepted.
pub(crate) fn acceptors(workers: usize) -> usize {
    workers.min(available_parallelism().map_or(1, NonZeroUsize::get).max(LEAST))
}

/// The most clients that a worker keeps above its share.
const MOST: u32 = 64;

/// How long it takes until half as many count as have left.
const HALF: Duration = Duration::from_millis(10);

/// How many clients a worker keeps above its share: as many as leave within a moment.
///
/// A client that stays goes to the worker with the fewest clients. For a client that leaves after one answer that is
/// not worth it: the other worker has to be woken, and that costs as much as the answer. Nobody knows beforehand which
/// client stays, but where clients leave all the time a worker is soon rid of those that it has too many. It keeps up
/// to [`MOST`] then, and where few leave, none.
#[derive(Debug)]
pub(crate) struct Share {
    above: u32,
    /// When `above` was halved last.
    at: Instant,
}

impl Share {
    pub(crate) fn new() -> Share {
        Share { above: 0, at: Instant::now() }
    }

    /// A client of this worker leaves. `connected` were connected to the daemon, this one too.
    ///
    /// Each client that leaves lets two be kept, or a worker that begins with none would never keep more: those that it
    /// gives away leave elsewhere. But clients that come one after the other say nothing of many that come at once.
    pub(crate) fn leave(&mut self, connected: u32) {
        let bound = connected.saturating_mul(2).min(MOST);
        if self.above < bound {
            self.above = bound.min(self.above + 2);
        }
    }

    /// Whether a worker with `load` clients keeps the next one, while another has as few as `least`.
    pub(crate) fn keeps(&mut self, load: usize, least: usize, now: Instant) -> bool {
        let halves = now.saturating_duration_since(self.at).as_nanos() / HALF.as_nanos();
        if halves > 0 {
            self.above = u32::try_from(halves).ok().and_then(|halves| self.above.checked_shr(halves)).unwrap_or(0);
            self.at = now;
        }
        load <= least + 1 + self.above as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `count` clients that stay to eight workers with these loads. The first worker accepts.
    fn accept(share: &mut Share, loads: &mut [usize; 8], count: usize, now: Instant) {
        for _ in 0..count {
            let least = (0..loads.len()).min_by_key(|&at| loads[at]).expect("eight");
            let at = if share.keeps(loads[0], loads[least], now) { 0 } else { least };
            loads[at] += 1;
        }
    }

    /// All clients leave.
    fn leave(share: &mut Share, loads: [usize; 8]) {
        let others: usize = loads[1..].iter().sum();
        (1..=loads[0]).rev().for_each(|own| share.leave(u32::try_from(own + others).expect("few")));
    }

    #[test]
    fn clients_that_stay_are_distributed_evenly() {
        let (mut share, mut loads) = (Share::new(), [0; 8]);
        accept(&mut share, &mut loads, 66, Instant::now());
        assert_eq!(loads, [10, 8, 8, 8, 8, 8, 8, 8]);
    }

    #[test]
    fn clients_that_come_and_go_are_kept() {
        for crowd in [2, 8, 30] {
            let (mut share, now) = (Share::new(), Instant::now());
            let mut loads = [0; 8];
            for _ in 0..20 {
                loads = [0; 8];
                accept(&mut share, &mut loads, crowd, now);
                leave(&mut share, loads);
            }
            assert_eq!(loads[0], crowd, "{loads:?}");
        }
    }

    #[test]
    fn clients_that_stay_among_others_are_not_all_kept() {
        let (mut share, now) = (Share::new(), Instant::now());
        let mut loads = [0; 8];
        for _ in 0..1000 {
            (0..10).for_each(|_| share.leave(100));
            accept(&mut share, &mut loads, 1, now);
        }
        let most = loads[7] + 2 + MOST as usize;
        assert!(loads[0] <= most && loads[1] <= loads[7] + 1, "{loads:?}");
    }

    #[test]
    fn clients_that_came_one_by_one_say_little_of_many_at_once() {
        let (mut share, now) = (Share::new(), Instant::now());
        for _ in 0..1000 {
            assert!(share.keeps(0, 0, now));
            share.leave(1);
        }
        let mut loads = [0; 8];
        accept(&mut share, &mut loads, 64, now);
        assert!(loads[0] <= loads[7] + 4 && loads[1] <= loads[7] + 1, "{loads:?}");
    }

    #[test]
    fn those_who_left_long_ago_do_not_count() {
        let (mut share, now) = (Share::new(), Instant::now());
        (0..1000).for_each(|_| share.leave(1000));
        assert!(share.keeps(1 + MOST as usize, 0, now));
        assert!(!share.keeps(2 + MOST as usize, 0, now));
        assert!(share.keeps(1 + MOST as usize / 2, 0, now + HALF));
        assert!(!share.keeps(2 + MOST as usize / 2, 0, now + HALF));
        assert!(!share.keeps(2, 0, now + 100 * HALF));
    }

    #[test]
    fn a_single_worker_accepts_and_of_many_at_least_two() {
        assert_eq!(acceptors(1), 1);
        assert_eq!(acceptors(2), 2);
        assert!(acceptors(1000) >= 2);
    }
}
