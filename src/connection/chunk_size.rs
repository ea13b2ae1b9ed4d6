//! How much of a slice is made at a time.
//!
//! A client of the first years collects a fragment by reads of 4 KiB into a string, which costs it the square of the
//! fragment's length. So a fragment is [`CHUNK`] bytes long until the client shows that it can take more, by taking
//! much in little time, and becomes shorter again when it no longer does.

use std::time::{Duration, Instant};

/// The shortest fragment, but for the last of a slice.
pub(super) const CHUNK: u64 = 64 * 1024;

/// The longest.
const LARGEST_CHUNK: u64 = 1024 * 1024;

/// Bytes after which the time is taken.
const SAMPLE: u64 = 1024 * 1024;

/// A client that takes a lap in less gets longer pieces: 256 MiB a second.
const FAST: Duration = Duration::from_millis(4);

/// One that takes more for it gets shorter ones: 128 MiB a second.
const SLOW: Duration = Duration::from_millis(8);

/// The size of the pieces, and what it is judged by.
#[derive(Debug)]
pub(super) struct ChunkSize {
    /// Bytes to make at a time.
    pub(super) chunk: u64,
    /// When the lap began, and how much had been made then.
    began: (Instant, u64),
}

impl ChunkSize {
    pub(super) fn new(now: Instant) -> ChunkSize {
        ChunkSize { chunk: CHUNK, began: (now, 0) }
    }

    /// `made` bytes of the answer have been made until now.
    pub(super) fn adapt(&mut self, made: u64, now: Instant) {
        let (began, from) = self.began;
        // What was made is on its way at most a socket's buffer later, which evens out over a few laps.
        let laps = (made - from) / SAMPLE;
        if laps == 0 {
            return;
        }
        let lap = now.saturating_duration_since(began) / u32::try_from(laps).unwrap_or(u32::MAX);
        if lap < FAST {
            self.chunk = (self.chunk * 2).min(LARGEST_CHUNK);
        } else if lap > SLOW {
            self.chunk = (self.chunk / 2).max(CHUNK);
        }
        self.began = (now, made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunk after 64 MiB that were taken at `rate` MiB a second.
    fn after(rate: u64) -> u64 {
        let mut now = Instant::now();
        let mut chunk_size = ChunkSize::new(now);
        for step in 1..=64 * 16 {
            now += Duration::from_secs(1) / 16 / u32::try_from(rate).expect("a rate");
            chunk_size.adapt(step * SAMPLE / 16, now);
        }
        chunk_size.chunk
    }

    #[test]
    fn who_takes_much_at_once_gets_long_pieces() {
        assert_eq!(after(1000), LARGEST_CHUNK);
        assert_eq!(after(200), CHUNK, "neither slow nor fast");
        assert_eq!(after(10), CHUNK);
    }

    #[test]
    fn who_slows_down_gets_short_ones_again() {
        let now = Instant::now();
        let mut chunk_size = ChunkSize { chunk: LARGEST_CHUNK, began: (now, 0) };
        for second in 1..=4 {
            chunk_size.adapt(second * SAMPLE, now + second as u32 * Duration::from_secs(1));
        }
        assert_eq!(chunk_size.chunk, CHUNK);
    }
}
