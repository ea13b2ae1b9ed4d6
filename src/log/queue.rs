//! The bounded queue between the threads that log and the one thread that writes.
//!
//! It has two lanes, with a bound each: messages for the operator, and access lines. Messages are written first, so that no
//! client can keep them from being written by asking for much. The order of the messages is kept, and that of the access
//! lines.
//!
//! It is a mutex and not a channel, for three reasons: a loss is reported at the place where it happened, a flush knows
//! what has been written, and a change of settings is accepted however full the queue is. The lock is held for a push or
//! for handing out a batch, never while anything is formatted or written.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::{Record, Settings};

/// Records on their way to the writer.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything has been written.
    written: Condvar,
    /// Records that were not written, since the start.
    lost: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Messages for the operator, and changes of the settings.
    messages: Lane,
    accesses: Lane,
    /// Records that the writer has taken and not yet written.
    in_flight: usize,
    /// Whether the writer waits for `filled` and was not woken yet; otherwise a push saves the system call.
    idle: bool,
    /// Records pushed since the start, and of these, records written: what a flush compares.
    pushed: u64,
    done: u64,
}

#[derive(Debug)]
struct Lane {
    /// With the number of the push, by which a change of the settings finds the access lines that came before it.
    records: VecDeque<(u64, Record)>,
    capacity: usize,
    /// Records that did not fit since the last one that did.
    lost: u64,
}

impl Queue {
    /// A queue for so many messages and so many access lines.
    pub(super) fn new(messages: usize, accesses: usize) -> Queue {
        let lane = |capacity| Lane { records: VecDeque::new(), capacity, lost: 0 };
        let (messages, accesses) = (lane(messages), lane(accesses));
        let state = State { messages, accesses, in_flight: 0, idle: false, pushed: 0, done: 0 };
        Queue { state: Mutex::new(state), filled: Condvar::new(), written: Condvar::new(), lost: AtomicU64::new(0) }
    }

    /// Takes the record if there is room, or counts it as lost. Never waits for the writer.
    pub(super) fn push(&self, record: Record) {
        let mut state = self.lock();
        let lane = state.lane(&record);
        if lane.records.len() >= lane.capacity {
            lane.lost += 1;
            self.count_lost(1);
        } else {
            state.add(record);
            self.wake(state);
        }
    }

    /// Takes the new settings, however full the queue is; what was pushed before is still written under the old ones.
    pub(super) fn change(&self, settings: Settings) {
        let mut state = self.lock();
        state.add(Record::Settings(settings));
        self.wake(state);
    }

    /// Waits for records and moves at most `limit` of them into `batch`, which is empty.
    pub(super) fn take(&self, batch: &mut Vec<Record>, limit: usize) {
        let mut state = self.lock();
        while state.is_empty() {
            state.idle = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        while batch.len() < limit
            && let Some(record) = state.next()
        {
            batch.push(record);
        }
        state.in_flight = batch.len();
    }

    /// What was taken last has been written, or has failed to be.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.done += std::mem::take(&mut state.in_flight) as u64;
        self.written.notify_all();
    }

    /// Waits until everything pushed so far has been written, at most for `patience`; whether that came true.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let start = Instant::now();
        let mut state = self.lock();
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
    fn lane(&mut self, record: &Record) -> &mut Lane {
        if matches!(record, Record::Access(_)) { &mut self.accesses } else { &mut self.messages }
    }

    fn add(&mut self, record: Record) {
        let number = self.pushed;
        let lane = self.lane(&record);
        let loss = lane.take_loss();
        let added = 1 + u64::from(loss.is_some());
        lane.records.extend(loss.map(|loss| (number, loss)));
        lane.records.push_back((number, record));
        self.pushed += added;
    }

    fn is_empty(&self) -> bool {
        [&self.messages, &self.accesses].iter().all(|lane| lane.records.is_empty() && lane.lost == 0)
    }

    /// The record that is written next.
    fn next(&mut self) -> Option<Record> {
        let changes_at = match self.messages.records.front() {
            Some((number, Record::Settings(_))) => Some(*number),
            _ => None,
        };
        let access = self.accesses.records.front().map(|(number, _)| *number);
        if access.is_some() && access < changes_at {
            return self.accesses.records.pop_front().map(|(_, record)| record);
        }
        for lane in [&mut self.messages, &mut self.accesses] {
            if let Some((_, record)) = lane.records.pop_front() {
                return Some(record);
            }
            if let Some(loss) = lane.take_loss() {
                self.pushed += 1;
                return Some(loss);
            }
        }
        None
    }
}

impl Lane {
    /// What is written where records are missing.
    fn take_loss(&mut self) -> Option<Record> {
        let lost = std::mem::take(&mut self.lost);
        (lost > 0).then_some(Record::Lost(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Access;

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
        let queue = Queue::new(3, 3);
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
        let queue = Queue::new(1, 1);
        queue.push(message("1"));
        queue.push(message("2"));
        assert_eq!(taken(&queue, 9), ["1", "lost 1"]);

        let queue = Queue::new(0, 0);
        queue.push(message("1"));
        assert_eq!(taken(&queue, 9), ["lost 1"]);
    }

    #[test]
    fn access_lines_displace_no_message() {
        let access = || {
            let peer = "203.0.113.5:4242".parse().expect("an address");
            let request = b"help".as_slice().into();
            Record::Access(Access { peer, request, code: 0, bytes: 5, duration: Duration::ZERO, complete: true })
        };
        let queue = Queue::new(3, 2);
        for number in 0..100 {
            queue.push(access());
            if number % 40 == 0 {
                queue.push(message(&number.to_string()));
            }
        }
        assert_eq!(queue.lost(), 98, "of the access lines alone");
        let taken = taken(&queue, 9);
        assert_eq!(taken[..3], ["0", "40", "80"]);
        assert_eq!((taken.len(), taken.last().map(String::as_str)), (6, Some("lost 98")));
    }

    #[test]
    fn a_flush_waits_for_the_batch_in_hand_and_gives_up_in_time() {
        let queue = Queue::new(8, 8);
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
