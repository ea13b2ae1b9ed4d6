//! When which client has to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use mio::Token;

/// A time in whole milliseconds since the loop began, rounded up, so that nothing is early. It takes half the memory of
/// an [`Instant`], and none for being absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(NonZeroU64);

/// Alarms by time. A client has at most one that counts; those that it no longer wants are dropped when they ring, for
/// a deadline usually moves on before it comes.
#[derive(Debug)]
pub(super) struct Timers {
    zero: Instant,
    alarms: BinaryHeap<Reverse<(Tick, usize)>>,
}

impl Timers {
    pub(super) fn new(now: Instant) -> Timers {
        Timers { zero: now, alarms: BinaryHeap::new() }
    }

    /// Sees to it that `token` rings at `deadline` or before. `set` is the client's memory of its alarm.
    pub(super) fn set(&mut self, token: Token, deadline: Instant, set: &mut Option<Tick>) {
        let since = deadline.saturating_duration_since(self.zero);
        let milliseconds = u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let tick = Tick(NonZeroU64::new(milliseconds).unwrap_or(NonZeroU64::MIN));
        if set.is_none_or(|set| tick < set) {
            *set = Some(tick);
            self.alarms.push(Reverse((tick, token.0)));
        }
    }

    /// The next alarm that has rung, with its tick: it counts if that is the client's.
    pub(super) fn rung(&mut self, now: Instant) -> Option<(Tick, Token)> {
        let Reverse((Tick(tick), _)) = *self.alarms.peek()?;
        if self.zero + Duration::from_millis(tick.get()) > now {
            return None;
        }
        self.alarms.pop().map(|Reverse((tick, token))| (tick, Token(token)))
    }

    /// Drops alarms that do not count, once there are many of them beside those of `clients` that do.
    pub(super) fn sweep(&mut self, clients: usize, counts: impl Fn(Tick, Token) -> bool) {
        if self.alarms.len() > 2 * clients + 1024 {
            self.alarms.retain(|&Reverse((tick, token))| counts(tick, Token(token)));
            self.alarms.shrink_to(clients + 1024);
        }
    }

    /// How long until the next alarm.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        let Reverse((Tick(tick), _)) = *self.alarms.peek()?;
        Some((self.zero + Duration::from_millis(tick.get())).saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_an_earlier_deadline_needs_an_alarm() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        let mut set = None;
        timers.set(Token(7), now + 5 * SECOND, &mut set);
        timers.set(Token(7), now + 9 * SECOND, &mut set);
        timers.set(Token(7), now + 2 * SECOND, &mut set);
        assert_eq!(timers.timeout(now), Some(2 * SECOND));
        assert_eq!(timers.rung(now + SECOND), None);
        let (tick, token) = timers.rung(now + 2 * SECOND).expect("it is time");
        assert_eq!((Some(tick), token), (set, Token(7)));
        let (stale, _) = timers.rung(now + 60 * SECOND).expect("the first alarm is still there");
        assert_ne!(Some(stale), set, "and is known not to count");
        assert_eq!(timers.timeout(now), None);
    }

    #[test]
    fn nothing_rings_early() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        timers.set(Token(1), now + Duration::from_micros(1500), &mut None);
        assert_eq!(timers.rung(now + Duration::from_micros(1500)), None);
        assert!(timers.rung(now + Duration::from_millis(2)).is_some());
    }
}
