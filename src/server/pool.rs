//! Threads that may wait for a disk, so that event loops need not.
//!
//! There are at most [`THREADS`], made when work waits and gone after [`KEEP`] without any. What may hang together is
//! kept from taking them all: jobs of one [`Lane`] (a name, a device, the listing) hold at most [`LANE`] of them, and
//! look-ups in one root at most [`ROOT`], so that after a reload to a root that answers there are threads for it. A job
//! whose client has gone is dropped, with what it holds.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Reply;
use crate::handle::{Done, Job, Lane};
use crate::log::Every;

/// The most threads.
pub(super) const THREADS: usize = 32;

/// The most threads that one lane may hold; the listing's holds one.
const LANE: usize = 8;

/// The most threads that look-ups in one root may hold.
const ROOT: usize = 24;

/// How long a thread without work is kept.
const KEEP: Duration = Duration::from_secs(10);

/// Jobs whose clients have gone are looked for once there are this many more than when it was last done.
const SWEEP: usize = 64;

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

struct Entry {
    job: Job,
    replies: Vec<Reply>,
}

/// The jobs that wait in a lane.
#[derive(Default)]
struct Line {
    entries: VecDeque<Entry>,
    /// Whether the lane is among those that get their turn.
    has_turn: bool,
}

struct Queue {
    /// Jobs that wait, by lane; no lane is empty.
    lanes: HashMap<Lane, Line>,
    /// Lanes that have jobs and room, each once, in the order in which they get their turn.
    turns: VecDeque<Lane>,
    waiting: usize,
    /// How many may wait before clients that have gone are looked for.
    sweep_at: usize,
    /// Threads at work, by lane and by root.
    busy: HashMap<Lane, usize>,
    roots: HashMap<usize, usize>,
    threads: usize,
    /// Threads that sleep and that nobody has woken.
    idle: usize,
    /// Threads that were woken and do not run yet.
    woken: usize,
    complaint: Every,
}

impl Pool {
    pub(super) fn new() -> Pool {
        let queue = Queue {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            sweep_at: 0,
            busy: HashMap::new(),
            roots: HashMap::new(),
            threads: 0,
            idle: 0,
            woken: 0,
            complaint: Every::minute(),
        };
        Pool { shared: Arc::new(Shared { queue: Mutex::new(queue), work: Condvar::new() }) }
    }

    /// Has `job` run, and `reply` told. A job that has not begun yet serves all who ask for the same meanwhile.
    pub(super) fn submit(&self, job: Job, reply: Reply) {
        let mut queue = self.shared.lock();
        let can_begin = queue.push(job, reply);
        if !can_begin {
            // A thread that is at work in this lane or root takes it afterwards.
        } else if queue.idle > 0 {
            queue.idle -= 1;
            queue.woken += 1;
            self.shared.work.notify_one();
        } else if queue.threads < THREADS {
            queue.threads += 1;
            let shared = self.shared.clone();
            let spawned = std::thread::Builder::new().name("disk".to_owned()).spawn(move || shared.work());
            if let Err(error) = spawned {
                queue.threads -= 1;
                without_thread(queue, &error);
            }
        }
    }

    /// Jobs that wait, and threads.
    pub(super) fn load(&self) -> (usize, usize) {
        let queue = self.shared.lock();
        (queue.waiting, queue.threads)
    }
}

/// The system gives no thread. With others at work the job waits for them; without, it is dropped, and who asked is told
/// that there is no answer.
fn without_thread(mut queue: MutexGuard<'_, Queue>, error: &io::Error) {
    if queue.threads > 0 {
        return;
    }
    queue.lanes.clear();
    queue.turns.clear();
    queue.waiting = 0;
    if let Some(suppressed) = queue.complaint.tick(Instant::now()) {
        ::log::error!(
            "cannot start a thread that reads from the disk: {error}; raise TasksMax or `ulimit -u` ({suppressed} like \
             messages were left out)"
        );
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            let Some(Entry { job, replies }) = queue.pop() else {
                queue.idle += 1;
                let slept = self.work.wait_timeout(queue, KEEP);
                let (awake, timeout) = slept.unwrap_or_else(PoisonError::into_inner);
                queue = awake;
                if queue.woken > 0 {
                    queue.woken -= 1;
                    continue;
                }
                // Nobody has woken it: its time is over, or it woke by itself.
                queue.idle -= 1;
                if timeout.timed_out() {
                    queue.threads -= 1;
                    return;
                }
                continue;
            };
            let (lane, root) = (job.lane(), job.root());
            drop(queue);
            answer(job.run(), replies);
            queue = self.lock();
            queue.leave(lane, root);
        }
    }
}

fn answer(done: Done, replies: Vec<Reply>) {
    let mut replies = replies.into_iter();
    let first = replies.next();
    for reply in replies {
        reply.send(done.clone());
    }
    if let Some(first) = first {
        first.send(done);
    }
}

impl Queue {
    /// Returns whether the job can begin, as far as its lane and its root are concerned.
    fn push(&mut self, job: Job, reply: Reply) -> bool {
        if self.waiting >= self.sweep_at.max(SWEEP) {
            self.sweep();
        }
        let (lane, root) = (job.lane(), job.root());
        let entries = &mut self.lanes.entry(lane).or_default().entries;
        if let Some(entry) = entries.iter_mut().find(|entry| lane.is_shared() && entry.job.is_same(&job)) {
            entry.replies.push(reply);
            return false;
        }
        entries.push_back(Entry { job, replies: vec![reply] });
        self.waiting += 1;
        self.give_turn(lane);
        self.has_room(lane) && self.root_has_room(root)
    }

    /// The next job for which there is room.
    fn pop(&mut self) -> Option<Entry> {
        for _ in 0..self.turns.len() {
            let lane = self.turns.pop_front()?;
            let root = self.lanes.get(&lane).and_then(|line| line.entries.front()).and_then(|entry| entry.job.root());
            if !self.root_has_room(root) {
                self.turns.push_back(lane);
                continue;
            }
            let Some(line) = self.lanes.get_mut(&lane) else { continue };
            line.has_turn = false;
            let entry = line.entries.pop_front();
            if line.entries.is_empty() {
                self.lanes.remove(&lane);
            }
            *self.busy.entry(lane).or_default() += 1;
            if let Some(root) = root {
                *self.roots.entry(root).or_default() += 1;
            }
            self.waiting -= 1;
            self.give_turn(lane);
            return entry;
        }
        None
    }

    /// A job has been done.
    fn leave(&mut self, lane: Lane, root: Option<usize>) {
        decrease(&mut self.busy, lane);
        if let Some(root) = root {
            decrease(&mut self.roots, root);
        }
        self.give_turn(lane);
    }

    /// Sees to it that a lane with jobs and room gets its turn.
    fn give_turn(&mut self, lane: Lane) {
        let has_room = self.has_room(lane);
        if let Some(line) = self.lanes.get_mut(&lane).filter(|line| has_room && !line.has_turn) {
            line.has_turn = true;
            self.turns.push_back(lane);
        }
    }

    fn has_room(&self, lane: Lane) -> bool {
        self.busy.get(&lane).is_none_or(|&busy| busy < most(lane))
    }

    fn root_has_room(&self, root: Option<usize>) -> bool {
        root.and_then(|root| self.roots.get(&root)).is_none_or(|&busy| busy < ROOT)
    }

    /// Drops jobs whose clients have all gone.
    fn sweep(&mut self) {
        for line in self.lanes.values_mut() {
            for entry in &mut line.entries {
                entry.replies.retain(Reply::is_wanted);
            }
            line.entries.retain(|entry| !entry.replies.is_empty());
        }
        self.lanes.retain(|_, line| !line.entries.is_empty());
        self.turns.retain(|lane| self.lanes.contains_key(lane));
        self.waiting = self.lanes.values().map(|line| line.entries.len()).sum();
        self.sweep_at = self.waiting * 2;
    }
}

fn most(lane: Lane) -> usize {
    if lane.is_listing() { 1 } else { LANE }
}

fn decrease<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
