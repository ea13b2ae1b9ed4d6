//! Limits the rate of a message.

use std::time::{Duration, Instant};

/// Allows a message once in each period and counts the others. For messages that many clients can cause. The caller
/// passes the time, which can be any.
#[derive(Debug, Clone)]
pub struct Throttle {
    period: Duration,
    /// When the next message is allowed. `None` before the first.
    next: Option<Instant>,
    /// The number of messages suppressed since the last allowed one.
    suppressed: u64,
}

impl Throttle {
    /// Allows one message in each `period`.
    #[must_use]
    pub const fn new(period: Duration) -> Throttle {
        Throttle { period, next: None, suppressed: 0 }
    }

    /// Allows one message a minute.
    #[must_use]
    pub const fn per_minute() -> Throttle {
        Throttle::new(Duration::from_secs(60))
    }

    /// `None` if the message must be suppressed. Otherwise the number of messages suppressed since the last allowed one.
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
    fn one_message_per_period_is_allowed_and_others_are_counted() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut throttle = Throttle::per_minute();
        assert_eq!(throttle.tick(at(0)), Some(0));
        assert_eq!(throttle.tick(at(0)), None);
        assert_eq!(throttle.tick(at(59)), None);
        assert_eq!(throttle.tick(at(60)), Some(2));
        assert_eq!(throttle.tick(at(61)), None);
        assert_eq!(throttle.tick(at(500)), Some(1));
        assert_eq!(throttle.tick(at(560)), Some(0));
    }
}
