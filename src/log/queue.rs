//! The bounded queue between those who have something to say and the one thread that writes it.
//!
//! A mutex and not a channel, for three reasons: what was lost is reported at the place where it was lost, a flush
//! knows exactly what has been written, and a change of settings gets in however full the queue is. The lock is held
//! for a push or for handing out a batch, never while anything is formatted or written.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Access, Settings};

/// What the writer thread is given.
#[derive(Debug)]
pub(super) enum Record {
    /// A message, one line.
    Message(::log::Level, String),
    /// A request was answered.
    Access(Access),
    /// So many records did not fit at this place.
    Lost(u64),
    /// From here on, write there.
    Settings(Settings),
}

/// Records on their way, at most `capacity` and one batch.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything has been written.
    written: Condvar,
    capacity: usize,
    /// Records that nobody will read, since the start.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Record>,
    /// Records that did not fit since the last one that did.
    lost: u64,
    /// Records that the writer has taken and not yet written.
    in_hand: usize,
    /// Whether the writer waits for `filled` and nobody has woken it yet; else a push saves the system call.
    idle: bool,
    /// Records pushed since the start, and of these, records written: what a flush compares.
    pushed: u64,
    done: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Queue {
        Queue {
            state: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            capacity,
            lost: AtomicU64::new(0),
        }
    }

    /// Takes the record if there is room, or counts it as lost. Never waits for the writer.
    pub(super) fn push(&self, record: Record) {
        let mut state = self.lock();
        if state.records.len() >= self.capacity {
            state.lost += 1;
            self.count_lost(1);
            return;
        }
        state.note_lost();
        state.add(record);
        self.wake(state);
    }

    /// Takes the new settings, however full the queue is; what was pushed before is still written under the old ones.
    pub(super) fn change(&self, settings: Settings) {
        let mut state = self.lock();
        state.note_lost();
        state.add(Record::Settings(settings));
        self.wake(state);
    }

    /// Waits for records and moves at most `limit` of them into `batch`, which is empty.
    pub(super) fn take(&self, batch: &mut Vec<Record>, limit: usize) {
        let mut state = self.lock();
        while state.records.is_empty() && state.lost == 0 {
            state.idle = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        if state.records.len() < limit {
            state.note_lost();
        }
        let count = state.records.len().min(limit);
        batch.extend(state.records.drain(..count));
        state.in_hand = count;
    }

    /// What was taken last has been written, or has failed to be.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.done += std::mem::take(&mut state.in_hand) as u64;
        self.written.notify_all();
    }

    /// Waits until everything pushed so far has been written, at most for `patience`; whether that came true.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let start = Instant::now();
        let mut state = self.lock();
        state.note_lost();
        let ticket = state.pushed;
        while state.done < ticket {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            state = self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Wakes the writer if it sleeps, after the lock is free for it.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Adds to the number of records that nobody will read.
    pub(super) fn count_lost(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that nobody will read, since the start: they did not fit, or could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// No code under the lock can panic, but a thread may die of something else while it holds it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, record: Record) {
        self.records.push_back(record);
        self.pushed += 1;
    }

    /// Puts the loss on record, where it happened.
    fn note_lost(&mut self) {
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.add(Record::Lost(lost));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Record {
        Record::Message(::log::Level::Info, text.to_owned())
    }

    /// Writes the batch before, so to say, takes one and shows it as text.
    fn taken(queue: &Queue, limit: usize) -> Vec<String> {
        let mut batch = Vec::new();
        queue.done();
        queue.take(&mut batch, limit);
        batch
            .iter()
            .map(|record| match record {
                Record::Message(_, text) => text.clone(),
                Record::Lost(count) => format!("lost {count}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn what_does_not_fit_is_counted_where_it_is_missing() {
        let queue = Queue::new(3);
        for text in ["1", "2", "3", "4", "5"] {
            queue.push(message(text));
        }
        assert_eq!(taken(&queue, 2), ["1", "2"]);
        queue.push(message("6"));
        assert_eq!(taken(&queue, 9), ["3", "lost 2", "6"]);
        assert_eq!(queue.lost(), 2);
    }

    #[test]
    fn a_loss_is_reported_though_nothing_more_is_said() {
        let queue = Queue::new(1);
        queue.push(message("1"));
        queue.push(message("2"));
        assert_eq!(taken(&queue, 9), ["1", "lost 1"]);

        let queue = Queue::new(0);
        queue.push(message("1"));
        assert_eq!(taken(&queue, 9), ["lost 1"]);
    }

    #[test]
    fn a_flush_waits_for_the_batch_in_hand_and_gives_up_in_time() {
        let queue = Queue::new(8);
        assert!(queue.flush(Duration::ZERO), "nothing to wait for");
        queue.push(message("1"));
        assert!(!queue.flush(Duration::ZERO));
        assert_eq!(taken(&queue, 9), ["1"]);
        assert!(!queue.flush(Duration::ZERO), "taken is not written");
        queue.push(message("2"));
        assert_eq!(taken(&queue, 9), ["2"]);
        queue.push(message("3"));
        assert!(!queue.flush(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| queue.flush(Duration::MAX));
            assert_eq!(taken(&queue, 9), ["3"]);
            while !flush.is_finished() {
                queue.push(message("4"));
                assert_eq!(taken(&queue, 9), ["4"]);
                queue.done();
            }
            assert!(flush.join().expect("flush"));
        });
    }
}
