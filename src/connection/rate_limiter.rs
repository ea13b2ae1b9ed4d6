//! Limits the rate of a connection: `limits.rate-per-connection`.

use std::time::{Duration, Instant};

/// How far a connection may be ahead of its rate. Timers have millisecond resolution, and this suffices to keep the rate.
const BURST: Duration = Duration::from_millis(100);

/// A leaky bucket, represented by the time at which the bytes sent so far are due.
#[derive(Debug)]
pub(super) struct RateLimiter {
    due: Instant,
}

impl RateLimiter {
    pub(super) fn new(now: Instant) -> RateLimiter {
        RateLimiter { due: now }
    }

    /// The number of bytes that may be sent now at `rate` bytes per second. If none, `Err` with the time of the next attempt.
    pub(super) fn allows(&self, rate: u64, now: Instant) -> Result<usize, Instant> {
        let ahead = self.due.saturating_duration_since(now);
        // Send at least half a burst at a time, to avoid many system calls and small packets.
        if ahead > BURST / 2 {
            return Err(self.due - BURST / 2);
        }
        let bytes = (BURST - ahead).as_nanos() * u128::from(rate) / 1_000_000_000;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX).max(1))
    }

    /// Records that `bytes` were sent.
    pub(super) fn spend(&mut self, bytes: usize, rate: u64, now: Instant) {
        let cost = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(rate));
        let cost = Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX));
        let from = self.due.max(now);
        self.due = from.checked_add(cost).unwrap_or(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_is_a_tenth_of_a_second_and_waits_are_a_twentieth() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut rate_limiter = RateLimiter::new(begin);
        let allows = |rate_limiter: &RateLimiter, now| rate_limiter.allows(1000, at(now));
        assert_eq!(allows(&rate_limiter, 0), Ok(100));
        assert_eq!(allows(&rate_limiter, 5000), Ok(100), "a pause is not made up for");
        rate_limiter.spend(49, 1000, begin);
        assert_eq!(allows(&rate_limiter, 0), Ok(51));
        rate_limiter.spend(1, 1000, begin);
        assert_eq!(allows(&rate_limiter, 0), Ok(50));
        rate_limiter.spend(50, 1000, begin);
        assert_eq!(allows(&rate_limiter, 0), Err(at(50)));
        assert_eq!(allows(&rate_limiter, 49), Err(at(50)));
        assert_eq!(allows(&rate_limiter, 50), Ok(50));
        assert_eq!(allows(&rate_limiter, 80), Ok(80));
        assert_eq!(allows(&rate_limiter, 100), Ok(100));
        rate_limiter.spend(1000, 1000, at(3000));
        assert_eq!(allows(&rate_limiter, 3000), Err(at(3950)), "from the time of sending on");
        assert_eq!(RateLimiter::new(begin).allows(1, begin), Ok(1), "never nothing");
    }

    #[test]
    fn rate_over_ten_seconds_is_within_5_percent() {
        let begin = Instant::now();
        for rate in [1024, 100_000, 1 << 30] {
            let (mut rate_limiter, mut now, mut sent) = (RateLimiter::new(begin), begin, 0);
            while now < begin + Duration::from_secs(10) {
                match rate_limiter.allows(rate, now) {
                    Ok(bytes) => {
                        let bytes = bytes.min(64 * 1024);
                        rate_limiter.spend(bytes, rate, now);
                        sent += bytes as u64;
                    }
                    Err(again) => now = again.max(now + Duration::from_millis(1)),
                }
            }
            let ratio = sent as f64 / (10 * rate) as f64;
            assert!((0.95..=1.05).contains(&ratio), "at {rate}: {sent} bytes, {ratio}");
        }
    }
}
