//! How fast a connection may be sent to: `limits.rate-per-connection`.

use std::time::{Duration, Instant};

/// How far ahead of its rate a connection may be sent to: enough that a timer of milliseconds keeps the rate.
const BURST: Duration = Duration::from_millis(100);

/// A leaky bucket, kept as the time at which what was sent would have been due.
#[derive(Debug)]
pub(super) struct RateLimiter {
    due: Instant,
}

impl RateLimiter {
    pub(super) fn new(now: Instant) -> RateLimiter {
        RateLimiter { due: now }
    }

    /// How many bytes may be sent now at `rate` bytes a second; when to ask again if none.
    pub(super) fn allows(&self, rate: u64, now: Instant) -> Result<usize, Instant> {
        let ahead = self.due.saturating_duration_since(now);
        // Half a burst at least is sent at a time: what leaves a byte at a time costs a call and a packet each.
        if ahead > BURST / 2 {
            return Err(self.due - BURST / 2);
        }
        let bytes = (BURST - ahead).as_nanos() * u128::from(rate) / 1_000_000_000;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX).max(1))
    }

    /// `bytes` were sent.
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
    fn ten_seconds_carry_ten_times_the_rate() {
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
