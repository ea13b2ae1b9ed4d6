//! The bounded queue between the threads that log and the writer thread.
//!
//! It has two bounded lanes: messages, and access records. Messages are written first, so that clients cannot delay or
//! displace them with many requests. Each lane keeps its order.
//!
//! It uses a mutex instead of a channel, for three reasons: a loss is reported at its position, a flush knows what has been
//! written, and a change of settings is accepted by a full queue. The lock is not held while records are formatted or
//! written.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::{Record, Settings};

/// Records for the writer.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Notified when a record is added while the writer waits.
    filled: Condvar,
    /// Notified when a batch has been written.
    written: Condvar,
    /// The number of records lost since the start.
    lost: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Messages, and changes of the settings.
    messages: Lane,
    accesses: Lane,
    /// The number of records that the writer has taken but not written.
    in_flight: usize,
    /// Whether the writer waits for `filled` and was not notified. If false, a push skips the system call.
    idle: bool,
    /// The number of records pushed since the start, for [`Queue::flush`].
    pushed: u64,
    /// The number of records written or lost since the start.
    done: u64,
}

#[derive(Debug)]
struct Lane {
    /// Records with their sequence numbers. Access records with a smaller number than a change of the settings are written
    /// before it.
    records: VecDeque<(u64, Record)>,
    capacity: usize,
    /// The number of records lost since the last one that was added.
    lost: u64,
}

impl Queue {
    /// Creates a queue with these capacities.
    pub(super) fn new(messages: usize, accesses: usize) -> Queue {
        let lane = |capacity| Lane { records: VecDeque::new(), capacity, lost: 0 };
        let (messages, accesses) = (lane(messages), lane(accesses));
        let state = State { messages, accesses, in_flight: 0, idle: false, pushed: 0, done: 0 };
        Queue { state: Mutex::new(state), filled: Condvar::new(), written: Condvar::new(), lost: AtomicU64::new(0) }
    }

    /// Adds the record if there is room, otherwise counts it as lost. Does not wait for the writer.
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

    /// Adds new settings, even if the queue is full. Earlier records are written with the old settings.
    pub(super) fn change(&self, settings: Settings) {
        let mut state = self.lock();
        state.add(Record::Settings(settings));
        self.wake(state);
    }

    /// Waits for records and moves at most `limit` of them into `batch`, which must be empty.
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

    /// Marks the last batch as written or lost.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.done += std::mem::take(&mut state.in_flight) as u64;
        self.written.notify_all();
    }

    /// Waits until all records pushed so far have been written or lost, at most for `timeout`. Returns false after a
    /// timeout.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let start = Instant::now();
        let mut state = self.lock();
        let ticket = state.pushed;
        while state.done < ticket {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            state = self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Notifies the writer if it waits, after releasing the lock.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Adds to the number of lost records.
    pub(super) fn count_lost(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }

    /// The number of records lost since the start: the queue was full, or they could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ignores poisoning: code under the lock does not panic.
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

    /// Removes the record to write next.
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
    /// The record that reports lost records.
    fn take_loss(&mut self) -> Option<Record> {
        let lost = std::mem::take(&mut self.lost);
        (lost > 0).then_some(Record::Lost(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::log::Access;

    fn message(text: &str) -> Record {
        Record::Message(::log::Level::Info, text.to_owned())
    }

    fn access() -> Record {
        let peer = "203.0.113.5:4242".parse().expect("an address");
        let request = b"help".as_slice().into();
        Record::Access(Access { peer, request, code: 0, bytes: 5, duration: Duration::ZERO, complete: true })
    }

    /// Marks the last batch as written, takes the next one and returns it as text.
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
    fn losses_are_reported_at_their_position() {
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
    fn losses_are_reported_without_further_records() {
        let queue = Queue::new(1, 1);
        queue.push(message("1"));
        queue.push(message("2"));
        assert_eq!(taken(&queue, 9), ["1", "lost 1"]);

        let queue = Queue::new(0, 0);
        queue.push(message("1"));
        assert_eq!(taken(&queue, 9), ["lost 1"]);
    }

    #[test]
    fn flush_waits_for_records_after_a_reported_loss() {
        let loses_two = || {
            let queue = Queue::new(1, 1);
            ["1", "2", "3"].iter().for_each(|text| queue.push(message(text)));
            queue
        };
        // The loss is reported without a further record, and a message follows later.
        let queue = loses_two();
        assert_eq!(taken(&queue, 9), ["1", "lost 2"]);
        queue.done();
        assert!(queue.flush(Duration::ZERO), "all is written");
        queue.push(message("4"));
        assert!(!queue.flush(Duration::ZERO), "4 is not");
        // The loss is reported with the next message.
        let queue = loses_two();
        assert_eq!(taken(&queue, 1), ["1"]);
        queue.push(message("4"));
        assert_eq!(taken(&queue, 1), ["lost 2"]);
        queue.done();
        assert!(!queue.flush(Duration::ZERO), "4 is not written");
        assert_eq!(taken(&queue, 9), ["4"]);
        queue.done();
        assert!(queue.flush(Duration::ZERO), "all is written");
    }

    #[test]
    fn new_settings_apply_after_the_access_lines_and_messages_before_them() {
        let queue = Queue::new(9, 9);
        queue.push(access());
        queue.push(message("before"));
        queue.change(Settings::new(&Config::default().log, false));
        queue.push(access());
        queue.push(message("after"));
        let mut batch = Vec::new();
        queue.take(&mut batch, 9);
        let kind = |record: &Record| match record {
            Record::Message(_, text) => text.clone(),
            Record::Access(_) => "access".to_owned(),
            Record::Settings(_) => "settings".to_owned(),
            Record::Lost(count) => format!("lost {count}"),
        };
        let kinds: Vec<String> = batch.iter().map(kind).collect();
        assert_eq!(kinds, ["before", "access", "settings", "after", "access"]);
    }

    #[test]
    fn access_lines_displace_no_message() {
        let queue = Queue::new(3, 2);
        for number in 0..100 {
            queue.push(access());
            if number % 40 == 0 {
                queue.push(message(&number.to_string()));
            }
        }
        assert_eq!(queue.lost(), 98, "only access records");
        let taken = taken(&queue, 9);
        assert_eq!(taken[..3], ["0", "40", "80"]);
        assert_eq!((taken.len(), taken.last().map(String::as_str)), (6, Some("lost 98")));
    }

    #[test]
    fn flush_waits_for_the_batch_in_flight_and_times_out() {
        let queue = Queue::new(8, 8);
        assert!(queue.flush(Duration::ZERO), "nothing to wait for");
        queue.push(message("1"));
        assert!(!queue.flush(Duration::ZERO));
        assert_eq!(taken(&queue, 9), ["1"]);
        assert!(!queue.flush(Duration::ZERO), "a batch is taken but not written");
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
