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
pub(super) fn acceptors(workers: usize) -> usize {
    workers.min(available_parallelism().map_or(1, NonZeroUsize::get).max(LEAST))
}

/// The most clients above its share that a worker keeps.
const MOST: u32 = 16;

/// How long a worker that accepts nobody expects the next client to be like the last.
const MEMORY: Duration = Duration::from_millis(100);

/// How many clients above its share a worker keeps.
///
/// A client that stays goes to the worker with the fewest clients. For a client that leaves after one answer that is
/// not worth it: the other worker has to be woken, which costs as much as the answer. Nobody knows beforehand which
/// client stays. A worker assumes that its next client is like the last ones: each client that leaves makes room for
/// one to be kept. Clients that stay use that room up, and then they are evenly distributed again.
#[derive(Debug)]
pub(super) struct Share {
    room: u32,
    /// When a client was accepted last.
    at: Instant,
}

impl Share {
    pub(super) fn new() -> Share {
        Share { room: 0, at: Instant::now() }
    }

    /// A client of this worker leaves. `connected` were connected to the daemon, this one too.
    ///
    /// Who comes and goes one after the other makes room for two: many clients that come later and stay are not taken
    /// for many that leave.
    pub(super) fn leave(&mut self, connected: u32) {
        if self.room < connected.saturating_mul(2).min(MOST) {
            self.room += 1;
        }
    }

    /// Whether a worker with `load` clients keeps the next one, while another has as few as `least`.
    pub(super) fn keeps(&mut self, load: usize, least: usize, now: Instant) -> bool {
        if now.saturating_duration_since(self.at) > MEMORY {
            self.room = 0;
        }
        self.at = now;
        if load <= least + 1 {
            return true;
        }
        let keeps = self.room > 0;
        self.room -= u32::from(keeps);
        keeps
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

    #[test]
    fn clients_that_stay_are_distributed_evenly() {
        let (mut share, mut loads) = (Share::new(), [0; 8]);
        accept(&mut share, &mut loads, 66, Instant::now());
        assert_eq!(loads, [10, 8, 8, 8, 8, 8, 8, 8]);
    }

    #[test]
    fn clients_that_come_and_go_are_kept() {
        let (mut share, now) = (Share::new(), Instant::now());
        let mut kept = 0;
        for round in 0..100 {
            let mut loads = [0; 8];
            accept(&mut share, &mut loads, 10, now);
            if round >= 10 {
                kept += loads[0];
            }
            let others: usize = loads[1..].iter().sum();
            (1..=loads[0]).rev().for_each(|own| share.leave(u32::try_from(own + others).expect("ten at most")));
        }
        assert!(kept > 800, "{kept} of 900");
    }

    #[test]
    fn clients_that_came_and_went_one_by_one_make_room_for_two() {
        let (mut share, now) = (Share::new(), Instant::now());
        for _ in 0..1000 {
            assert!(share.keeps(0, 0, now));
            share.leave(1);
        }
        let mut loads = [0; 8];
        accept(&mut share, &mut loads, 61, now);
        assert!(loads[0] <= loads[7] + 4 && loads[1] <= loads[7] + 1, "{loads:?}");
    }

    #[test]
    fn the_room_is_bounded_and_forgotten() {
        let (mut share, now) = (Share::new(), Instant::now());
        (0..1000).for_each(|_| share.leave(1000));
        assert_eq!(share.room, MOST);
        assert!(share.keeps(2, 0, now));
        assert!(!share.keeps(2, 0, now + 2 * MEMORY));
    }

    #[test]
    fn a_single_worker_accepts_and_of_many_at_least_two() {
        assert_eq!(acceptors(1), 1);
        assert_eq!(acceptors(2), 2);
        assert!(acceptors(1000) >= 2);
    }
}
