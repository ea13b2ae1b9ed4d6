//! The queue of the pool.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::work::{Lane, Work};

/// The maximum number of threads for look-ups in one root.
const MAX_PER_ROOT: usize = 24;

/// The time after which large answers no longer wait for the threads that send others, and further threads send them.
pub(super) const STUCK: Duration = Duration::from_millis(5);

/// The time without progress after which work of a full lane or root is refused. Its disk hangs, and waiting clients would
/// exhaust the limit of connections.
const HUNG: Duration = Duration::from_secs(20);

/// The minimum number of removed clients before the queue is searched for cancelled work.
const MIN_SWEEP: usize = 16;

/// Waiting work by lane, and the numbers of busy threads, which decide the lanes that may run.
///
/// A push and a pop take constant time: a lane is in exactly one of `runnable`, `runnable_large` and `blocked`, or it is
/// full and is queued again when its work completes.
pub(super) struct WorkQueue {
    /// No lane is empty.
    lanes: HashMap<Lane, LaneQueue>,
    /// Lanes that may run, in the order of their turns.
    runnable: VecDeque<Lane>,
    /// Lanes of large answers that may run, after all others.
    runnable_large: VecDeque<Lane>,
    /// Lanes of look-ups whose root is full.
    blocked: HashMap<usize, VecDeque<Lane>>,
    /// Busy threads, by lane and by root.
    busy: HashMap<Lane, Busy>,
    busy_roots: HashMap<usize, Busy>,
    /// Threads that send large answers, and the time of their last begin or completion.
    busy_large: usize,
    large_changed: Instant,
    /// The number of threads that send large answers, unless they are stuck.
    cores: usize,
    waiting: usize,
    /// Clients removed since the last search for cancelled work.
    removed: usize,
}

/// The busy threads of a lane or a root.
struct Busy {
    threads: usize,
    /// The time of their last begin or completion.
    changed: Instant,
}

/// The waiting work of a lane.
#[derive(Default)]
struct LaneQueue {
    work: VecDeque<Work>,
    /// Whether the lane is in `runnable`, `runnable_large` or `blocked`.
    queued: bool,
}

impl WorkQueue {
    pub(super) fn new(cores: usize) -> WorkQueue {
        WorkQueue {
            lanes: HashMap::new(),
            runnable: VecDeque::new(),
            runnable_large: VecDeque::new(),
            blocked: HashMap::new(),
            busy: HashMap::new(),
            busy_roots: HashMap::new(),
            busy_large: 0,
            large_changed: Instant::now(),
            cores,
            waiting: 0,
            removed: 0,
        }
    }

    /// Adds work. Returns whether a further thread could take it now.
    pub(super) fn push(&mut self, mut work: Work) -> bool {
        let (lane, root) = (work.lane(), work.root());
        let queued = &mut self.lanes.entry(lane).or_default().work;
        // Only look-ups are ever equal. Their lane is that of one name, so what waits in it differs in its purpose.
        if root.is_some() {
            for other in queued.iter_mut() {
                match other.join(work) {
                    Ok(()) => return false,
                    Err(different) => work = different,
                }
            }
        }
        queued.push_back(work);
        self.waiting += 1;
        self.make_runnable(lane);
        self.has_room(lane) && root.is_none_or(|root| self.root_has_room(root))
    }

    /// The next work for which there is room.
    pub(super) fn pop(&mut self) -> Option<Work> {
        while let Some(lane) = self.runnable.pop_front() {
            let root = self.lanes.get(&lane).and_then(|queue| queue.work.front()).and_then(Work::root);
            match root {
                Some(root) if !self.root_has_room(root) => self.blocked.entry(root).or_default().push_back(lane),
                root => return self.take(lane, root),
            }
        }
        let now = Instant::now();
        if self.large_must_wait() && now < self.large_changed + STUCK {
            return None;
        }
        let lane = self.runnable_large.pop_front()?;
        self.busy_large += 1;
        self.large_changed = now;
        self.take(lane, None)
    }

    fn take(&mut self, lane: Lane, root: Option<usize>) -> Option<Work> {
        let queue = self.lanes.get_mut(&lane)?;
        queue.queued = false;
        let work = queue.work.pop_front();
        if queue.work.is_empty() {
            self.lanes.remove(&lane);
        }
        increase(&mut self.busy, lane);
        if let Some(root) = root {
            increase(&mut self.busy_roots, root);
        }
        self.waiting -= 1;
        self.make_runnable(lane);
        work
    }

    /// A thread has done work of this lane and root.
    pub(super) fn complete(&mut self, lane: Lane, root: Option<usize>) {
        decrease(&mut self.busy, lane);
        if matches!(lane, Lane::Large(_)) {
            self.busy_large -= 1;
            self.large_changed = Instant::now();
        }
        if let Some(root) = root {
            decrease(&mut self.busy_roots, root);
            if let Some(next) = self.blocked.get_mut(&root).and_then(VecDeque::pop_front) {
                self.runnable.push_back(next);
            } else {
                self.blocked.remove(&root);
            }
        }
        self.make_runnable(lane);
    }

    /// Queues a lane that has work and room.
    fn make_runnable(&mut self, lane: Lane) {
        let has_room = self.has_room(lane);
        if let Some(queue) = self.lanes.get_mut(&lane).filter(|queue| has_room && !queue.queued) {
            queue.queued = true;
            match lane {
                Lane::Large(_) => self.runnable_large.push_back(lane),
                Lane::LookUp(_) | Lane::Small(_) => self.runnable.push_back(lane),
            }
        }
    }

    /// A client with possible work was removed. Cancelled work keeps a socket and a file open, so it is dropped when it may
    /// be half of all work. Returns whether a thread must be woken.
    pub(super) fn client_removed(&mut self) -> bool {
        self.removed += 1;
        if self.removed < MIN_SWEEP.max(self.waiting / 2) {
            return false;
        }
        self.removed = 0;
        for queue in self.lanes.values_mut() {
            queue.work.retain(|work| !work.is_cancelled());
        }
        self.lanes.retain(|_, queue| !queue.work.is_empty());
        let lanes = &self.lanes;
        self.runnable.retain(|lane| lanes.contains_key(lane));
        self.runnable_large.retain(|lane| lanes.contains_key(lane));
        self.waiting = lanes.values().map(|queue| queue.work.len()).sum();
        // A lane that was dropped may have been the one for which its root had room.
        let blocked = self.blocked.drain().flat_map(|(_, blocked)| blocked).filter(|lane| lanes.contains_key(lane));
        let before = self.runnable.len();
        self.runnable.extend(blocked);
        self.runnable.len() > before
    }

    /// Takes out all work.
    pub(super) fn take_all(&mut self) -> Vec<Work> {
        self.runnable.clear();
        self.runnable_large.clear();
        self.blocked.clear();
        self.waiting = 0;
        self.lanes.drain().flat_map(|(_, queue)| queue.work).collect()
    }

    /// How much work waits.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether large answers wait for a thread.
    pub(super) fn large_waits(&self) -> bool {
        !self.runnable_large.is_empty()
    }

    /// Whether as many threads send large answers as there are cores.
    pub(super) fn large_must_wait(&self) -> bool {
        self.busy_large >= self.cores
    }

    /// Whether the work would wait for a disk that hangs.
    pub(super) fn is_hung(&self, work: &Work) -> bool {
        let lane = work.lane();
        let hangs = |busy: &Busy, limit| busy.threads >= limit && busy.changed.elapsed() >= HUNG;
        self.busy.get(&lane).is_some_and(|busy| hangs(busy, lane.limit()))
            || work.root().and_then(|root| self.busy_roots.get(&root)).is_some_and(|busy| hangs(busy, MAX_PER_ROOT))
    }

    fn has_room(&self, lane: Lane) -> bool {
        self.busy.get(&lane).is_none_or(|busy| busy.threads < lane.limit())
    }

    fn root_has_room(&self, root: usize) -> bool {
        self.busy_roots.get(&root).is_none_or(|busy| busy.threads < MAX_PER_ROOT)
    }
}

fn increase<K: Hash + Eq>(counts: &mut HashMap<K, Busy>, key: K) {
    let busy = counts.entry(key).or_insert_with(|| Busy { threads: 0, changed: Instant::now() });
    busy.threads += 1;
    busy.changed = Instant::now();
}

fn decrease<K: Hash + Eq>(counts: &mut HashMap<K, Busy>, key: K) {
    if let Some(busy) = counts.get_mut(&key) {
        busy.threads -= 1;
        busy.changed = Instant::now();
        if busy.threads == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::handle::{Job, Policy, Purpose};
    use crate::server::worker_config::policy;

    /// A look-up that no client waits for.
    fn look_up(policy: &Arc<Policy>, name: usize) -> Work {
        let name = name.to_string().into_bytes().into();
        Work::LookUp(Job::Find { policy: policy.clone(), name, purpose: Purpose::Size }, Vec::new())
    }

    fn root(path: &str) -> Arc<Policy> {
        Arc::new(policy(&Config { root: PathBuf::from(path), ..Config::default() }))
    }

    #[test]
    fn full_root_blocks_its_lanes_and_no_others() {
        let (hanging, other) = (root("/hanging"), root("/other"));
        let mut queue = WorkQueue::new(2);
        let begun: Vec<Work> = (0..MAX_PER_ROOT)
            .map(|name| {
                assert!(queue.push(look_up(&hanging, name)));
                queue.pop().expect("there is room")
            })
            .collect();
        for name in MAX_PER_ROOT..10_000 {
            assert!(!queue.push(look_up(&hanging, name)), "the root is full");
        }
        assert!(queue.pop().is_none());
        assert!(queue.runnable.is_empty(), "the lanes wait for their root, where no pop sees them");
        assert!(queue.push(look_up(&other, 0)));
        assert!(queue.pop().is_some_and(|work| work.root() == Some(Arc::as_ptr(&other) as usize)));
        let first = &begun[0];
        queue.complete(first.lane(), first.root());
        assert!(queue.pop().is_some(), "one thread completed, so one look-up can begin");
        assert!(queue.pop().is_none());
        // All clients have gone.
        for _ in 0..10_000 {
            queue.client_removed();
        }
        assert_eq!(queue.waiting(), 0);
        assert!(queue.pop().is_none());
    }

    #[test]
    fn work_of_a_root_that_hangs_is_refused_after_a_while() {
        let (hanging, other) = (root("/hanging"), root("/other"));
        let mut queue = WorkQueue::new(2);
        for name in 0..MAX_PER_ROOT {
            queue.push(look_up(&hanging, name));
            queue.pop().expect("there is room");
        }
        assert!(!queue.is_hung(&look_up(&hanging, 1000)), "it may be slow");
        for busy in queue.busy_roots.values_mut() {
            busy.changed -= HUNG;
        }
        assert!(queue.is_hung(&look_up(&hanging, 1000)));
        assert!(!queue.is_hung(&look_up(&other, 1000)));
        let done = look_up(&hanging, 0);
        queue.complete(done.lane(), done.root());
        assert!(!queue.is_hung(&look_up(&hanging, 1000)), "a thread has returned");
    }

    #[test]
    fn equal_look_ups_are_joined() {
        let root = root("/root");
        let mut queue = WorkQueue::new(2);
        assert!(queue.push(look_up(&root, 1)));
        assert!(!queue.push(look_up(&root, 1)));
        assert_eq!(queue.waiting(), 1);
    }
}
