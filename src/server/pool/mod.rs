//! Threads that may wait for a disk, so that event loops need not: they look names up, and they send what is large or may
//! not be in memory.
//!
//! There are at most [`THREADS`], made when work waits and gone after [`KEEP`] without any. What may hang together is
//! kept from taking them all: work of one [`Lane`] holds at most [`LANE`] of them, look-ups in one root at most [`ROOT`],
//! so that after a reload to a root that answers there are threads for it. Work for clients that have gone is dropped,
//! with what it holds.
//!
//! Look-ups and small answers go before large ones. Of these as many are sent at a time as there are cores: more would
//! only make event loops wait for a core. They take turns, and where none has ended for [`STUCK`], a disk holds them up,
//! and others are begun beside them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::Token;

use super::mailbox::Mailbox;
use super::messages::{Reply, WorkerCommand};
use super::worker::client::Stream;
use crate::connection::{SendMemory, SendTask};
use crate::handle::{self, Job, JobResult};
use crate::log::Every;

/// The most threads.
pub(crate) const THREADS: usize = 32;

/// The most threads that one lane may hold; the listing's holds one.
const LANE: usize = 8;

/// The most threads that look-ups in one root may hold.
const ROOT: usize = 24;

/// How long large answers may wait for their turn before more threads than there are cores send such.
const STUCK: Duration = Duration::from_millis(5);

/// How long a thread without work is kept.
const KEEP: Duration = Duration::from_secs(10);

/// Once so many clients have gone for which there may be work, it is dropped.
const GONE: usize = 16;

/// Work that is likely to wait for the same thing: a file system that hangs holds up its own lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    LookUp(handle::Lane),
    /// Small answers from one device.
    Small(u64),
    /// Large answers from one device.
    Large(u64),
}

/// What a thread does.
enum Work {
    LookUp(Job, Vec<Reply>),
    Send(Batch),
}

/// Answers that one thread sends one after the other. When it is dropped they go back to their worker, run or not.
pub(crate) struct Batch {
    pub(crate) worker: Mailbox<WorkerCommand>,
    pub(crate) answers: Vec<Lent>,
}

/// A client's answers, and its stream, in the hands of a thread.
pub(crate) struct Lent {
    pub(crate) token: Token,
    pub(crate) peer: SocketAddr,
    pub(crate) stream: Arc<Stream>,
    pub(crate) task: Box<SendTask>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.worker.send(WorkerCommand::Sent(std::mem::take(&mut self.answers)));
    }
}

/// A handle to the threads; clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    /// Held for the time of a push or a pop, and never while work is done.
    queue: Mutex<Queue>,
    work: Condvar,
}

/// The work that waits in a lane.
#[derive(Default)]
struct Line {
    entries: VecDeque<Work>,
    /// Whether the lane is among those that get their turn.
    has_turn: bool,
}

struct Queue {
    /// Work that waits, by lane; no lane is empty.
    lanes: HashMap<Lane, Line>,
    /// Lanes that have work and room, each once, in the order in which they get their turn.
    turns: VecDeque<Lane>,
    /// The same of large answers, which come after all others.
    large_turns: VecDeque<Lane>,
    /// Threads that send large answers, and when the last of their turns began or ended.
    large: usize,
    large_moved: Instant,
    /// How many of them there are to be as long as none is stuck.
    cores: usize,
    /// Whether a thread sees to it that others are begun where all of them are stuck.
    watched: bool,
    waiting: usize,
    /// Clients that have gone since their work was last looked for.
    gone: usize,
    /// Threads at work, by lane and by root.
    busy: HashMap<Lane, usize>,
    roots: HashMap<usize, usize>,
    threads: usize,
    /// Memory to make answers in that no thread uses now. A thread that ends would leave its own to the allocator, which
    /// keeps it for the next thread of the same arena.
    memory: Vec<SendMemory>,
    /// Threads that sleep and that nobody has woken.
    idle: usize,
    /// Threads that were woken and do not run yet.
    woken: usize,
    complaint: Every,
}

impl Pool {
    pub(crate) fn new() -> Pool {
        let queue = Queue {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            large_turns: VecDeque::new(),
            large: 0,
            large_moved: Instant::now(),
            watched: false,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            waiting: 0,
            gone: 0,
            busy: HashMap::new(),
            roots: HashMap::new(),
            threads: 0,
            memory: Vec::new(),
            idle: 0,
            woken: 0,
            complaint: Every::minute(),
        };
        Pool { shared: Arc::new(Shared { queue: Mutex::new(queue), work: Condvar::new() }) }
    }

    /// Has `job` run, and `reply` told. A job that has not begun yet serves all who ask for the same meanwhile.
    pub(crate) fn look_up(&self, job: Job, reply: Reply) {
        self.submit(Work::LookUp(job, vec![reply]));
    }

    /// Has answers sent, all of which are read from the same device.
    pub(crate) fn send(&self, batch: Batch) {
        self.submit(Work::Send(batch));
    }

    fn submit(&self, work: Work) {
        let mut queue = self.shared.lock();
        // Where it cannot begin, a thread that is at work in this lane or root takes it afterwards.
        if queue.push(work) {
            self.shared.wake_one(&mut queue);
        }
    }

    /// A client has gone for which there may be work that waits. It holds the client's socket and file open.
    pub(crate) fn abandon(&self) {
        let mut queue = self.shared.lock();
        queue.gone += 1;
        if queue.gone >= GONE {
            queue.gone = 0;
            queue.sweep();
        }
    }

    /// Work that waits, and threads.
    pub(crate) fn load(&self) -> (usize, usize) {
        let queue = self.shared.lock();
        (queue.waiting, queue.threads)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a thread, or starts one.
    fn wake_one(self: &Arc<Shared>, queue: &mut Queue) {
        if queue.idle > 0 {
            queue.idle -= 1;
            queue.woken += 1;
            self.work.notify_one();
        } else if queue.threads < THREADS {
            queue.threads += 1;
            let shared = self.clone();
            let spawned = std::thread::Builder::new().name("disk".to_owned()).spawn(move || shared.work());
            if let Err(error) = spawned {
                queue.threads -= 1;
                queue.do_without_thread(&error);
            }
        }
    }

    /// What a thread does.
    fn work(self: Arc<Shared>) {
        let mut queue = self.lock();
        loop {
            let Some(work) = queue.pop() else {
                queue.idle += 1;
                // One thread sees to it that large answers do not wait for others that are stuck.
                let watches = queue.is_unwatched();
                queue.watched |= watches;
                let patience = if watches { STUCK } else { KEEP };
                let slept = self.work.wait_timeout(queue, patience);
                let (awake, timeout) = slept.unwrap_or_else(PoisonError::into_inner);
                queue = awake;
                queue.watched &= !watches;
                if queue.woken > 0 {
                    queue.woken -= 1;
                    continue;
                }
                // Nobody has woken it: its time is over, or it woke by itself.
                queue.idle -= 1;
                if timeout.timed_out() && !watches {
                    queue.threads -= 1;
                    let most = queue.threads;
                    queue.memory.truncate(most);
                    return;
                }
                continue;
            };
            if queue.is_unwatched() {
                self.wake_one(&mut queue);
            }
            let (lane, root) = (work.lane(), work.root());
            let mut memory = queue.memory.pop().unwrap_or_default();
            drop(queue);
            let more = work.run(&mut memory);
            queue = self.lock();
            queue.memory.push(memory);
            queue.leave(lane, root);
            if let Some(work) = more {
                queue.push(work);
            }
        }
    }
}

impl Work {
    /// Returns what is to be done after others had their turn.
    fn run(self, memory: &mut SendMemory) -> Option<Work> {
        match self {
            Work::LookUp(job, replies) => {
                answer(job.run(), replies);
                None
            }
            Work::Send(mut batch) => {
                for Lent { stream, task, .. } in batch.answers.iter_mut().filter(|lent| !lent.stream.is_gone()) {
                    task.run(&mut &**stream, memory);
                }
                let goes_on = |lent: &Lent| lent.task.goes_on() && !lent.stream.is_gone();
                // One that has become small is sent to its end all the same.
                batch.answers.iter().any(goes_on).then_some(Work::Send(batch))
            }
        }
    }

    fn lane(&self) -> Lane {
        match self {
            Work::LookUp(job, _) => Lane::LookUp(job.lane()),
            Work::Send(batch) => match batch.answers.first() {
                Some(Lent { task, .. }) if !task.is_small() => Lane::Large(task.device()),
                first => Lane::Small(first.map_or(0, |lent| lent.task.device())),
            },
        }
    }

    /// In which root it looks something up, if it does.
    fn root(&self) -> Option<usize> {
        match self {
            Work::LookUp(job, _) => Some(job.root()),
            Work::Send(_) => None,
        }
    }

    /// Whether somebody is there for whom it is done.
    fn is_wanted(&self) -> bool {
        match self {
            Work::LookUp(_, replies) => replies.iter().any(Reply::is_wanted),
            Work::Send(batch) => batch.answers.iter().any(|lent| !lent.stream.is_gone()),
        }
    }

    /// Takes on the replies of work that is the same; gives it back if it is other work.
    fn join(&mut self, other: Work) -> Result<(), Work> {
        match (self, other) {
            (Work::LookUp(job, replies), Work::LookUp(same, others)) if job.is_same(&same) => {
                replies.extend(others);
                Ok(())
            }
            (_, other) => Err(other),
        }
    }
}

fn answer(done: JobResult, replies: Vec<Reply>) {
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
    /// Returns whether the work can begin, as far as its lane and its root are concerned.
    fn push(&mut self, mut work: Work) -> bool {
        let (lane, root) = (work.lane(), work.root());
        let entries = &mut self.lanes.entry(lane).or_default().entries;
        // Only look-ups are ever the same, and their lanes are short.
        if root.is_some() {
            for entry in entries.iter_mut() {
                match entry.join(work) {
                    Ok(()) => return false,
                    Err(other) => work = other,
                }
            }
        }
        entries.push_back(work);
        self.waiting += 1;
        self.give_turn(lane);
        let must_wait = matches!(lane, Lane::Large(_)) && self.large >= self.cores && self.watched;
        !must_wait && self.has_room(lane) && self.root_has_room(root)
    }

    /// Whether large answers wait and no thread sees to it that it is not for long.
    fn is_unwatched(&self) -> bool {
        !self.large_turns.is_empty() && !self.watched
    }

    /// The system gives no thread. With others at work the work waits for them; without, it is dropped, and who asked is
    /// told that there is no answer.
    fn do_without_thread(&mut self, error: &io::Error) {
        if self.threads > 0 {
            return;
        }
        self.lanes.clear();
        self.turns.clear();
        self.large_turns.clear();
        self.waiting = 0;
        if let Some(suppressed) = self.complaint.tick(Instant::now()) {
            ::log::error!(
                "cannot start a thread that reads from the disk: {error}; raise TasksMax or `ulimit -u` ({suppressed} \
                 like messages were left out)"
            );
        }
    }

    /// The next work for which there is room.
    fn pop(&mut self) -> Option<Work> {
        for _ in 0..self.turns.len() {
            let lane = self.turns.pop_front()?;
            let root = self.lanes.get(&lane).and_then(|line| line.entries.front()).and_then(Work::root);
            if self.root_has_room(root) {
                return self.take(lane, root);
            }
            self.turns.push_back(lane);
        }
        let now = Instant::now();
        if self.large >= self.cores && now < self.large_moved + STUCK {
            return None;
        }
        let lane = self.large_turns.pop_front()?;
        self.large += 1;
        self.large_moved = now;
        self.take(lane, None)
    }

    fn take(&mut self, lane: Lane, root: Option<usize>) -> Option<Work> {
        let line = self.lanes.get_mut(&lane)?;
        line.has_turn = false;
        let work = line.entries.pop_front();
        if line.entries.is_empty() {
            self.lanes.remove(&lane);
        }
        *self.busy.entry(lane).or_default() += 1;
        if let Some(root) = root {
            *self.roots.entry(root).or_default() += 1;
        }
        self.waiting -= 1;
        self.give_turn(lane);
        work
    }

    /// Work has been done.
    fn leave(&mut self, lane: Lane, root: Option<usize>) {
        decrease(&mut self.busy, lane);
        if matches!(lane, Lane::Large(_)) {
            self.large -= 1;
            self.large_moved = Instant::now();
        }
        if let Some(root) = root {
            decrease(&mut self.roots, root);
        }
        self.give_turn(lane);
    }

    /// Sees to it that a lane with work and room gets its turn.
    fn give_turn(&mut self, lane: Lane) {
        let has_room = self.has_room(lane);
        if let Some(line) = self.lanes.get_mut(&lane).filter(|line| has_room && !line.has_turn) {
            line.has_turn = true;
            match lane {
                Lane::Large(_) => self.large_turns.push_back(lane),
                Lane::LookUp(_) | Lane::Small(_) => self.turns.push_back(lane),
            }
        }
    }

    fn has_room(&self, lane: Lane) -> bool {
        self.busy.get(&lane).is_none_or(|&busy| busy < most(lane))
    }

    fn root_has_room(&self, root: Option<usize>) -> bool {
        root.and_then(|root| self.roots.get(&root)).is_none_or(|&busy| busy < ROOT)
    }

    /// Drops work for clients that have all gone.
    fn sweep(&mut self) {
        for line in self.lanes.values_mut() {
            line.entries.retain(Work::is_wanted);
        }
        self.lanes.retain(|_, line| !line.entries.is_empty());
        self.turns.retain(|lane| self.lanes.contains_key(lane));
        self.large_turns.retain(|lane| self.lanes.contains_key(lane));
        self.waiting = self.lanes.values().map(|line| line.entries.len()).sum();
    }
}

fn most(lane: Lane) -> usize {
    match lane {
        Lane::LookUp(lane) if lane.is_listing() => 1,
        _ => LANE,
    }
}

fn decrease<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
