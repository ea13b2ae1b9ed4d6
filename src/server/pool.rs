//! Threads that may wait for a disk, so that event loops need not.
//!
//! There are at most [`THREADS`], made when work waits and gone after [`KEEP`] without any. Jobs of one lane (one name,
//! one device, the listing) never hold more than [`LANE`] of them, so a file system that hangs leaves the others to
//! everybody else. A connection has at most one job, so the queue is bounded by the number of connections.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::Reply;
use crate::handle::{Done, Job, Lane};

/// The most threads.
pub(super) const THREADS: usize = 32;

/// The most threads that one lane may hold.
const LANE: usize = 8;

/// How long a thread without work is kept.
const KEEP: Duration = Duration::from_secs(10);

/// A handle to the threads; clones share them.
#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    /// Held for the time of a push or a pop, and never while a job runs.
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Job, Vec<Reply>)>,
    /// Threads at work, by lane.
    busy: HashMap<Lane, usize>,
    threads: usize,
    idle: usize,
}

impl Pool {
    pub(super) fn new() -> Pool {
        Pool { shared: Arc::new(Shared { queue: Mutex::default(), work: Condvar::new() }) }
    }

    /// Has `job` run, and `reply` told. A listing that has not begun yet serves all who ask for it meanwhile.
    pub(super) fn submit(&self, job: Job, reply: Reply) {
        let mut queue = self.shared.lock();
        if let Some((_, replies)) = queue.waiting.iter_mut().find(|(waiting, _)| same_listing(waiting, &job)) {
            replies.push(reply);
            return;
        }
        let can_begin = queue.has_room(job.lane());
        queue.waiting.push_back((job, vec![reply]));
        if !can_begin {
            // A thread that is at work in this lane takes it afterwards.
        } else if queue.idle > 0 {
            self.shared.work.notify_one();
        } else if queue.threads < THREADS {
            queue.threads += 1;
            let shared = self.shared.clone();
            let spawned = std::thread::Builder::new().name("disk".to_owned()).spawn(move || shared.work());
            if let Err(error) = spawned {
                queue.threads -= 1;
                self.without_thread(queue, &error);
            }
        }
    }

    /// Jobs that wait, and threads.
    pub(super) fn load(&self) -> (usize, usize) {
        let queue = self.shared.lock();
        (queue.waiting.len(), queue.threads)
    }

    /// The system gives no thread. With others at work the job waits for them; without, it is dropped, and its
    /// connection with it.
    fn without_thread(&self, mut queue: MutexGuard<'_, Queue>, error: &io::Error) {
        if queue.threads == 0 {
            queue.waiting.clear();
            ::log::error!(
                "cannot start a thread that reads from the disk: {error}; raise TasksMax or the limit of processes"
            );
        }
    }
}

fn same_listing(waiting: &Job, job: &Job) -> bool {
    matches!((waiting, job), (Job::List { policy: one }, Job::List { policy: other }) if Arc::ptr_eq(one, other))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What a thread does.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            let Some((job, replies)) = queue.next() else {
                queue.idle += 1;
                let (woken, timeout) =
                    self.work.wait_timeout(queue, KEEP).unwrap_or_else(std::sync::PoisonError::into_inner);
                queue = woken;
                queue.idle -= 1;
                if timeout.timed_out() && queue.waiting.is_empty() {
                    queue.threads -= 1;
                    return;
                }
                continue;
            };
            let lane = job.lane();
            *queue.busy.entry(lane).or_default() += 1;
            drop(queue);
            answer(job.run(), replies);
            queue = self.lock();
            queue.leave(lane);
            // What waited for this lane alone may go on now, and perhaps in another thread.
            if queue.idle > 0 && !queue.waiting.is_empty() {
                self.work.notify_one();
            }
        }
    }
}

fn answer(done: Done, replies: Vec<Reply>) {
    let mut replies = replies.into_iter();
    let first = replies.next();
    if let Done::Listed(listing, directory) = &done {
        for reply in replies {
            reply.send(Done::Listed(listing.clone(), directory.clone()));
        }
    }
    if let Some(first) = first {
        first.send(done);
    }
}

impl Queue {
    /// The first job whose lane has room.
    fn next(&mut self) -> Option<(Job, Vec<Reply>)> {
        let at = self.waiting.iter().position(|(job, _)| self.has_room(job.lane()))?;
        self.waiting.remove(at)
    }

    fn has_room(&self, lane: Lane) -> bool {
        let most = if lane == Lane::Listing { 1 } else { LANE };
        self.busy.get(&lane).is_none_or(|&busy| busy < most)
    }

    fn leave(&mut self, lane: Lane) {
        if let Some(busy) = self.busy.get_mut(&lane) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&lane);
            }
        }
    }
}
