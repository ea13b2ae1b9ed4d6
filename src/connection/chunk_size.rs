//! The length of fragments.
//!
//! An old client appends reads of 4 KiB to a string, so that its time is quadratic in the length of a fragment. So the
//! length is [`CHUNK`] at first, increases while the client reads fast, and decreases when it reads slowly.

use std::time::{Duration, Instant};

/// The minimum length of a fragment, except the last one of a slice.
pub(super) const CHUNK: u64 = 64 * 1024;

/// The maximum length of a fragment.
const MAX_CHUNK: u64 = 1024 * 1024;

/// The number of bytes after which the time is measured.
const SAMPLE: u64 = 1024 * 1024;

/// A sample in less time increases the length: 256 MiB per second.
const FAST: Duration = Duration::from_millis(4);

/// A sample in more time decreases the length: 128 MiB per second.
const SLOW: Duration = Duration::from_millis(8);

/// The current length, and the start of the sample.
#[derive(Debug)]
pub(super) struct ChunkSize {
    /// The length of the next fragment.
    pub(super) chunk: u64,
    /// The time at the start of the sample, and the number of bytes sent before.
    began: (Instant, u64),
}

impl ChunkSize {
    pub(super) fn new(now: Instant) -> ChunkSize {
        ChunkSize { chunk: CHUNK, began: (now, 0) }
    }

    /// Adapts the length after `sent` bytes of the answer.
    pub(super) fn adapt(&mut self, sent: u64, now: Instant) {
        let (began, from) = self.began;
        // Bytes in the socket's buffer count as sent. That averages out over a few samples.
        let samples = (sent - from) / SAMPLE;
        if samples == 0 {
            return;
        }
        let time = now.saturating_duration_since(began) / u32::try_from(samples).unwrap_or(u32::MAX);
        if time < FAST {
            self.chunk = (self.chunk * 2).min(MAX_CHUNK);
        } else if time > SLOW {
            self.chunk = (self.chunk / 2).max(CHUNK);
        }
        self.began = (now, sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length after 64 MiB at `rate` MiB per second.
    fn after(rate: u64) -> u64 {
        let mut now = Instant::now();
        let mut chunk_size = ChunkSize::new(now);
        for step in 1..=64 * 16 {
            now += Duration::from_secs(1) / 16 / u32::try_from(rate).expect("a rate");
            chunk_size.adapt(step * SAMPLE / 16, now);
        }
        chunk_size.chunk
    }

    /// The chunk size after `made` bytes in this number of microseconds, from 256 KiB.
    fn after_lap(made: u64, microseconds: u64) -> u64 {
        let now = Instant::now();
        let mut chunk_size = ChunkSize { chunk: 262_144, began: (now, 0) };
        chunk_size.adapt(made, now + Duration::from_micros(microseconds));
        chunk_size.chunk
    }

    #[test]
    fn a_fast_client_gets_pieces_of_64_kib_up_to_1_mib_twice_as_long_after_each_mib() {
        let now = Instant::now();
        let mut chunk_size = ChunkSize::new(now);
        let mut chunks = vec![chunk_size.chunk];
        for made in [1_048_575, 1_048_576, 2_097_151, 2_097_152, 3_145_728, 4_194_304, 5_242_880, 6_291_456] {
            chunk_size.adapt(made, now);
            chunks.push(chunk_size.chunk);
        }
        assert_eq!(chunks, [65_536, 65_536, 131_072, 131_072, 262_144, 524_288, 1_048_576, 1_048_576, 1_048_576]);
    }

    #[test]
    fn a_mib_in_less_than_4_ms_is_fast_and_one_in_more_than_8_ms_is_slow() {
        for (made, microseconds, chunk) in [
            (1_048_576, 3_999, 524_288),
            (1_048_576, 4_000, 262_144),
            (1_048_576, 8_000, 262_144),
            (1_048_576, 8_001, 131_072),
            (1_048_575, 1_000_000, 262_144),
            // Four at once are judged by their mean.
            (4_194_304, 15_999, 524_288),
            (4_194_304, 16_000, 262_144),
            (4_194_304, 32_000, 262_144),
            (4_194_304, 32_004, 131_072),
        ] {
            assert_eq!(after_lap(made, microseconds), chunk, "{made} bytes in {microseconds} us");
        }
    }

    #[test]
    fn fast_clients_get_long_fragments() {
        assert_eq!(after(1000), MAX_CHUNK);
        assert_eq!(after(200), CHUNK, "neither slow nor fast");
        assert_eq!(after(10), CHUNK);
    }

    #[test]
    fn slow_clients_get_short_fragments_again() {
        let now = Instant::now();
        let mut chunk_size = ChunkSize { chunk: MAX_CHUNK, began: (now, 0) };
        for second in 1..=4 {
            chunk_size.adapt(second * SAMPLE, now + second as u32 * Duration::from_secs(1));
        }
        assert_eq!(chunk_size.chunk, CHUNK);
    }
}
