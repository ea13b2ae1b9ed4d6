//! When each client has to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use mio::Token;

/// Timers of clients, by time. A client has at most one that is current, and remembers when that expires. An outdated
/// timer is dropped when it expires, because a deadline usually moves on before it comes.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    /// Makes sure that a timer of `token` expires at `deadline` or before. `current` is the client's current timer.
    pub(super) fn set(&mut self, token: Token, deadline: Instant, current: &mut Option<Instant>) {
        if current.is_none_or(|current| deadline < current) {
            *current = Some(deadline);
            self.heap.push(Reverse((deadline, token.0)));
        }
    }

    /// The next timer that has expired, and when. It is outdated if that is not the client's current timer.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(Instant, Token)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse((at, token))| (at, Token(token)))
    }

    /// Drops outdated timers, once there are more of them than of `clients`.
    pub(super) fn compact(&mut self, clients: usize, is_current: impl Fn(Instant, Token) -> bool) {
        if self.heap.len() > 2 * clients + 1024 {
            self.heap.retain(|&Reverse((at, token))| is_current(at, Token(token)));
            self.heap.shrink_to(clients + 1024);
        }
    }

    /// How long until the next timer expires.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_an_earlier_deadline_needs_a_timer() {
        let now = Instant::now();
        let mut timers = Timers::default();
        let mut current = None;
        timers.set(Token(7), now + 5 * SECOND, &mut current);
        timers.set(Token(7), now + 9 * SECOND, &mut current);
        timers.set(Token(7), now + 2 * SECOND, &mut current);
        assert_eq!(timers.timeout(now), Some(2 * SECOND));
        assert_eq!(timers.pop_expired(now + SECOND), None);
        let (at, token) = timers.pop_expired(now + 2 * SECOND).expect("it has expired");
        assert_eq!((Some(at), token), (current, Token(7)));
        let (outdated, _) = timers.pop_expired(now + 60 * SECOND).expect("the first timer is still there");
        assert_ne!(Some(outdated), current);
        assert_eq!(timers.timeout(now), None);
    }

    #[test]
    fn outdated_timers_are_dropped() {
        let now = Instant::now();
        let mut timers = Timers::default();
        for later in (0..2000).rev() {
            timers.set(Token(1), now + later * SECOND, &mut None);
        }
        timers.compact(1, |at, _| at == now + SECOND);
        assert_eq!(timers.timeout(now), Some(SECOND));
        assert_eq!(timers.heap.len(), 1);
    }
}
