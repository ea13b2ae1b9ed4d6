//! When which client has to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use mio::Token;

/// A time in whole milliseconds since the loop began, rounded up, so that nothing is early. It takes half the memory of
/// an [`Instant`], and none for being absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerTick(NonZeroU64);

/// Alarms by time. A client has at most one that counts; those that it no longer wants are dropped when they ring, for
/// a deadline usually moves on before it comes.
#[derive(Debug)]
pub(crate) struct Timers {
    zero: Instant,
    timers: BinaryHeap<Reverse<(TimerTick, usize)>>,
}

impl Timers {
    pub(crate) fn new(now: Instant) -> Timers {
        Timers { zero: now, timers: BinaryHeap::new() }
    }

    /// Sees to it that `token` rings at `deadline` or before. `set` is the client's memory of its timer.
    pub(crate) fn set(&mut self, token: Token, deadline: Instant, set: &mut Option<TimerTick>) {
        let since = deadline.saturating_duration_since(self.zero);
        let milliseconds = u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let tick = TimerTick(NonZeroU64::new(milliseconds).unwrap_or(NonZeroU64::MIN));
        if set.is_none_or(|set| tick < set) {
            *set = Some(tick);
            self.timers.push(Reverse((tick, token.0)));
        }
    }

    /// The next timer that has pop_expired, with its tick: it counts if that is the client's.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<(TimerTick, Token)> {
        let Reverse((TimerTick(tick), _)) = *self.timers.peek()?;
        if self.zero + Duration::from_millis(tick.get()) > now {
            return None;
        }
        self.timers.pop().map(|Reverse((tick, token))| (tick, Token(token)))
    }

    /// Drops timers that do not count, once there are many of them beside those of `clients` that do.
    pub(crate) fn sweep(&mut self, clients: usize, counts: impl Fn(TimerTick, Token) -> bool) {
        if self.timers.len() > 2 * clients + 1024 {
            self.timers.retain(|&Reverse((tick, token))| counts(tick, Token(token)));
            self.timers.shrink_to(clients + 1024);
        }
    }

    /// How long until the next timer.
    pub(crate) fn timeout(&self, now: Instant) -> Option<Duration> {
        let Reverse((TimerTick(tick), _)) = *self.timers.peek()?;
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
        assert_eq!(timers.pop_expired(now + SECOND), None);
        let (tick, token) = timers.pop_expired(now + 2 * SECOND).expect("it is time");
        assert_eq!((Some(tick), token), (set, Token(7)));
        let (stale, _) = timers.pop_expired(now + 60 * SECOND).expect("the first timer is still there");
        assert_ne!(Some(stale), set, "and is known not to count");
        assert_eq!(timers.timeout(now), None);
    }

    #[test]
    fn nothing_rings_early() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        timers.set(Token(1), now + Duration::from_micros(1500), &mut None);
        assert_eq!(timers.pop_expired(now + Duration::from_micros(1500)), None);
        assert!(timers.pop_expired(now + Duration::from_millis(2)).is_some());
    }
}
