//! Messages that a flood must not multiply.

use std::time::{Duration, Instant};

/// Lets a message through once a period and counts those in between, for what would otherwise be said to every client
/// of a flood. The time is the caller's, so that it can be any time.
#[derive(Debug, Clone)]
pub struct Every {
    period: Duration,
    /// When the next message may go out; none before the first.
    next: Option<Instant>,
    /// Messages kept back since the last that went out.
    suppressed: u64,
}

impl Every {
    /// Once in `period`.
    #[must_use]
    pub const fn new(period: Duration) -> Every {
        Every { period, next: None, suppressed: 0 }
    }

    /// Once a minute.
    #[must_use]
    pub const fn minute() -> Every {
        Every::new(Duration::from_secs(60))
    }

    /// There is something to say: `Some` with the number of times that nothing was said since the last `Some`, or
    /// `None` when it is too early to say it again.
    pub fn tick(&mut self, now: Instant) -> Option<u64> {
        if self.next.is_some_and(|next| now < next) {
            self.suppressed += 1;
            return None;
        }
        self.next = now.checked_add(self.period);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_a_period_and_a_count_of_the_rest() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut every = Every::minute();
        assert_eq!(every.tick(at(0)), Some(0));
        assert_eq!(every.tick(at(0)), None);
        assert_eq!(every.tick(at(59)), None);
        assert_eq!(every.tick(at(60)), Some(2));
        assert_eq!(every.tick(at(61)), None);
        assert_eq!(every.tick(at(500)), Some(1));
        assert_eq!(every.tick(at(560)), Some(0));
    }
}
