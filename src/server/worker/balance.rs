//! Whether the worker that accepts a client serves it, or another worker.

use std::time::{Duration, Instant};

/// The maximum number of clients that a worker keeps above its share.
const MAX_SURPLUS: u32 = 64;

/// The half-life of the weight of clients that have left.
const HALF_LIFE: Duration = Duration::from_millis(10);

/// The number of clients that a worker keeps above its share.
///
/// A client with a long connection belongs to the worker with the fewest clients. For a client that leaves after one
/// answer the transfer is too expensive: the other worker must be woken, which costs as much as the answer. The length of
/// a connection is not known in advance. But if clients leave often, a surplus soon disappears, so the worker keeps up to
/// [`MAX_SURPLUS`]; if few leave, it keeps none.
#[derive(Debug)]
pub(super) struct LocalBias {
    surplus: u32,
    /// When `surplus` was halved last.
    at: Instant,
}

impl LocalBias {
    pub(super) fn new() -> LocalBias {
        LocalBias { surplus: 0, at: Instant::now() }
    }

    /// A client of this worker leaves. `connected` is the number of clients of the daemon, with this one.
    ///
    /// Each client that leaves allows two to be kept. With one the surplus could not grow, because transferred clients
    /// leave at other workers. The bound is for clients that connect one after the other: they do not predict the
    /// behavior of many that connect at the same time.
    pub(super) fn client_left(&mut self, connected: u32) {
        let bound = connected.saturating_mul(2).min(MAX_SURPLUS);
        if self.surplus < bound {
            self.surplus = bound.min(self.surplus + 2);
        }
    }

    /// Whether a worker with `load` clients keeps the next one, while another has as few as `least`.
    pub(super) fn keeps(&mut self, load: usize, least: usize, now: Instant) -> bool {
        let halves = now.saturating_duration_since(self.at).as_nanos() / HALF_LIFE.as_nanos();
        if halves > 0 {
            self.surplus = u32::try_from(halves).ok().and_then(|halves| self.surplus.checked_shr(halves)).unwrap_or(0);
            self.at = now;
        }
        load <= least + 1 + self.surplus as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `count` clients that stay to eight workers with these loads. The first worker accepts.
    fn accept(bias: &mut LocalBias, loads: &mut [usize; 8], count: usize, now: Instant) {
        for _ in 0..count {
            let least = (0..loads.len()).min_by_key(|&at| loads[at]).expect("eight");
            let at = if bias.keeps(loads[0], loads[least], now) { 0 } else { least };
            loads[at] += 1;
        }
    }

    /// All clients leave.
    fn leave(bias: &mut LocalBias, loads: [usize; 8]) {
        let others: usize = loads[1..].iter().sum();
        (1..=loads[0]).rev().for_each(|own| bias.client_left(u32::try_from(own + others).expect("few")));
    }

    #[test]
    fn clients_that_stay_are_distributed_evenly() {
        let (mut bias, mut loads) = (LocalBias::new(), [0; 8]);
        accept(&mut bias, &mut loads, 66, Instant::now());
        assert_eq!(loads, [10, 8, 8, 8, 8, 8, 8, 8]);
    }

    #[test]
    fn clients_that_come_and_go_are_kept() {
        for crowd in [2, 8, 30] {
            let (mut bias, now) = (LocalBias::new(), Instant::now());
            let mut loads = [0; 8];
            for _ in 0..20 {
                loads = [0; 8];
                accept(&mut bias, &mut loads, crowd, now);
                leave(&mut bias, loads);
            }
            assert_eq!(loads[0], crowd, "{loads:?}");
        }
    }

    #[test]
    fn clients_that_stay_among_others_are_not_all_kept() {
        let (mut bias, now) = (LocalBias::new(), Instant::now());
        let mut loads = [0; 8];
        for _ in 0..1000 {
            (0..10).for_each(|_| bias.client_left(100));
            accept(&mut bias, &mut loads, 1, now);
        }
        let most = loads[7] + 2 + MAX_SURPLUS as usize;
        assert!(loads[0] <= most && loads[1] <= loads[7] + 1, "{loads:?}");
    }

    #[test]
    fn clients_that_came_one_by_one_say_little_of_many_at_once() {
        let (mut bias, now) = (LocalBias::new(), Instant::now());
        for _ in 0..1000 {
            assert!(bias.keeps(0, 0, now));
            bias.client_left(1);
        }
        let mut loads = [0; 8];
        accept(&mut bias, &mut loads, 64, now);
        assert!(loads[0] <= loads[7] + 4 && loads[1] <= loads[7] + 1, "{loads:?}");
    }

    #[test]
    fn clients_that_left_count_half_after_10_ms_however_often_others_come() {
        let begin = Instant::now();
        let mut bias = LocalBias { surplus: 64, at: begin };
        let mut surpluses = Vec::new();
        for milliseconds in 1..=80 {
            bias.keeps(0, 0, begin + Duration::from_millis(milliseconds));
            if milliseconds % 10 == 9 {
                surpluses.push(bias.surplus);
            }
        }
        assert_eq!((surpluses, bias.surplus), (vec![64, 32, 16, 8, 4, 2, 1, 0], 0));
    }

    #[test]
    fn a_client_that_leaves_lets_two_more_be_kept_up_to_64_and_up_to_twice_those_connected() {
        let mut bias = LocalBias::new();
        let mut surpluses = Vec::new();
        for connected in [10, 10, 2, 3, 1, 4] {
            bias.client_left(connected);
            surpluses.push(bias.surplus);
        }
        assert_eq!(surpluses, [2, 4, 4, 6, 6, 8]);
        (0..27).for_each(|_| bias.client_left(u32::MAX));
        assert_eq!(bias.surplus, 62);
        (0..3).for_each(|_| bias.client_left(u32::MAX));
        assert_eq!(bias.surplus, 64);
    }

    #[test]
    fn those_who_left_long_ago_do_not_count() {
        let (mut bias, now) = (LocalBias::new(), Instant::now());
        (0..1000).for_each(|_| bias.client_left(1000));
        assert!(bias.keeps(1 + MAX_SURPLUS as usize, 0, now));
        assert!(!bias.keeps(2 + MAX_SURPLUS as usize, 0, now));
        assert!(bias.keeps(1 + MAX_SURPLUS as usize / 2, 0, now + HALF_LIFE));
        assert!(!bias.keeps(2 + MAX_SURPLUS as usize / 2, 0, now + HALF_LIFE));
        assert!(!bias.keeps(2, 0, now + 100 * HALF_LIFE));
    }
}
