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
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::handle::{Job, Policy, Purpose};
    use crate::server::mailbox::Mailbox;
    use crate::server::messages::LookupReply;
    use crate::server::stream::Stream;
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
    fn a_name_holds_8_threads_and_a_listing_one() {
        let root = root("/root");
        let list = || Work::LookUp(Job::List { policy: root.clone() }, Vec::new());
        for (threads, work) in [(8, (&|| look_up(&root, 1)) as &dyn Fn() -> Work), (1, &list)] {
            let mut queue = WorkQueue::new(2);
            let mut begun = Vec::new();
            for number in 1..=threads {
                assert!(queue.push(work()), "there is room for {number} of {threads}");
                begun.extend(queue.pop());
            }
            assert_eq!(begun.len(), threads);
            assert!(!queue.push(work()), "there is no room for more than {threads}");
            assert!(queue.pop().is_none(), "more than {threads} have begun");
            assert!(queue.push(look_up(&root, 2)) && queue.pop().is_some(), "another name does not wait");
            queue.complete(begun[0].lane(), begun[0].root());
            assert!(queue.pop().is_some() && queue.pop().is_none(), "one can begin where one has completed");
        }
    }

    #[test]
    fn work_for_a_name_that_hangs_is_refused_after_a_while() {
        let root = root("/root");
        let mut queue = WorkQueue::new(2);
        for begun in 0..8 {
            for busy in queue.busy.values_mut() {
                busy.changed -= HUNG;
            }
            assert!(!queue.is_hung(&look_up(&root, 1)), "{begun} threads wait for it, so another may");
            queue.push(look_up(&root, 1));
            queue.pop().expect("there is room");
        }
        assert!(!queue.is_hung(&look_up(&root, 1)), "it may be slow");
        for busy in queue.busy.values_mut() {
            busy.changed -= HUNG;
        }
        assert!(queue.is_hung(&look_up(&root, 1)));
        assert!(!queue.is_hung(&look_up(&root, 2)));
    }

    #[test]
    fn cancelled_work_is_dropped_once_half_as_many_clients_have_gone_and_at_least_16() {
        let root = root("/root");
        for (waiting, sweep) in [(1, 16), (31, 16), (32, 16), (34, 17), (100, 50)] {
            let mut queue = WorkQueue::new(2);
            for round in 0..2 {
                for name in 0..waiting {
                    queue.push(look_up(&root, name));
                }
                for removed in 1..=sweep {
                    assert_eq!(queue.waiting(), waiting, "after {removed} of {sweep} were removed, round {round}");
                    assert!(!queue.client_removed(), "nothing can begin that could not before");
                }
                assert_eq!(queue.waiting(), 0, "after {sweep} were removed, round {round}");
            }
        }
    }

    #[test]
    fn lanes_that_wait_for_their_root_are_tried_again_when_cancelled_work_was_dropped() {
        let root = root("/root");
        let poll = mio::Poll::new().expect("a poll");
        let (worker, _inbox) = Mailbox::new(poll.registry(), mio::Token(0)).expect("a mailbox");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let stream = Arc::new(Stream::new(TcpStream::connect(address).expect("a client")));
        let of_client = |name: usize| {
            let (token, policy, result) = (mio::Token(1), root.clone(), None);
            let reply = LookupReply { worker: worker.clone(), token, policy, stream: stream.clone(), result };
            let name = name.to_string().into_bytes().into();
            Work::LookUp(Job::Find { policy: root.clone(), name, purpose: Purpose::Size }, vec![reply])
        };
        let mut queue = WorkQueue::new(2);
        for name in 0..MAX_PER_ROOT {
            queue.push(look_up(&root, name));
            queue.pop().expect("there is room");
        }
        (100..110).for_each(|name| _ = queue.push(look_up(&root, name)));
        (200..203).for_each(|name| _ = queue.push(of_client(name)));
        assert!(queue.pop().is_none(), "the root is full");
        let wakes: Vec<bool> = (1..=16).map(|_| queue.client_removed()).collect();
        assert_eq!(wakes, [&[false; 15][..], &[true]].concat());
        assert_eq!(queue.waiting(), 3, "work of a client that is there was dropped, or cancelled work was not");
        stream.mark_removed();
        let wakes: Vec<bool> = (1..=16).map(|_| queue.client_removed()).collect();
        assert_eq!((wakes, queue.waiting()), (vec![false; 16], 0));
    }

    #[test]
    fn large_answers_use_as_many_threads_as_there_are_cores_unless_those_are_stuck() {
        let root = root("/root");
        let mut queue = WorkQueue::new(2);
        for device in 0..5 {
            // The queue knows work by its lane alone.
            let lane = Lane::Large(device);
            queue.lanes.entry(lane).or_default().work.push_back(look_up(&root, 1));
            queue.waiting += 1;
            queue.make_runnable(lane);
        }
        let later = Instant::now() + Duration::from_secs(3600);
        for must_wait in [false, false, true] {
            assert_eq!(queue.large_must_wait(), must_wait, "{} threads send", queue.busy_large);
            queue.large_changed = later;
            assert_eq!(queue.pop().is_none(), must_wait, "{} threads send", queue.busy_large);
        }
        queue.large_changed = Instant::now() - STUCK;
        assert!(queue.pop().is_some(), "the two are stuck");
        assert!(queue.large_waits() && queue.large_must_wait());
        queue.complete(Lane::Large(0), None);
        queue.complete(Lane::Large(1), None);
        queue.large_changed = later;
        assert!(!queue.large_must_wait() && queue.pop().is_some(), "one of two sends");
        assert!(queue.pop().is_none() && queue.large_waits(), "two of two send");
        assert_eq!((queue.busy_large, queue.waiting()), (2, 1));
    }

    #[test]
    fn work_waits_from_its_push_to_its_pop() {
        let root = root("/root");
        let mut queue = WorkQueue::new(2);
        for (waiting, name) in [1, 2, 3].into_iter().enumerate() {
            assert_eq!(queue.waiting(), waiting);
            queue.push(look_up(&root, name));
        }
        for waiting in [3, 2, 1] {
            assert_eq!(queue.waiting(), waiting);
            queue.pop().expect("there is room");
        }
        assert_eq!(queue.waiting(), 0);
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
