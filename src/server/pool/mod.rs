//! Threads that may wait for a disk, so that event loops do not. They look up names, and they send answers that are large
//! or may not be in memory.
//!
//! There are at most [`MAX_THREADS`]. They are started when work waits, and stopped after [`IDLE_TIMEOUT`] without work.
//! One [`Lane`](work::Lane) and one root can use only a part of them, so that after a reload to a root that works there
//! are threads for it. Work for removed clients is dropped, with its sockets and files.
//!
//! Look-ups and small answers precede large ones. Large answers are sent by as many threads as there are processors,
//! because more would only compete for them. If none of these threads completes for a while, they wait for a disk, and
//! further threads send other answers.

mod queue;
mod work;

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::messages::LookupReply;
use super::sync::{self, Condvar, Mutex, MutexGuard};
use crate::connection::SendMemory;
use crate::handle::Job;
use crate::log::Throttle;
use queue::{STUCK, WorkQueue};
use work::Work;

pub(super) use work::Batch;

/// The maximum number of threads. A root that hangs blocks at most 24 of them, and a device at most 8 with small answers
/// and 8 with large ones. Three that hang leave threads for the next. The models have two, so that all can be busy.
pub(super) const MAX_THREADS: usize = if cfg!(all(test, hftpd_model)) { 2 } else { 128 };

/// The time after which a thread without work ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A handle to the threads; clones share them.
#[derive(Clone)]
pub(super) struct Pool {
    inner: Arc<PoolInner>,
}

struct PoolInner {
    /// Locked for a push or a pop, and never during work.
    state: Mutex<PoolState>,
    work_waits: Condvar,
}

struct PoolState {
    queue: WorkQueue,
    threads: usize,
    /// Threads that sleep and were not woken.
    idle: usize,
    /// Threads that were woken and do not run yet.
    woken: usize,
    /// Whether a thread waits to start others if all threads that send large answers are stuck.
    watched: bool,
    /// Memory for threads that send. If each thread had its own, the allocator would keep that of stopped threads in their
    /// arenas.
    memory: Vec<SendMemory>,
    failures: Throttle,
    hung: Throttle,
}

impl Pool {
    pub(super) fn new() -> Pool {
        let state = PoolState {
            queue: WorkQueue::new(std::thread::available_parallelism().map_or(1, usize::from)),
            threads: 0,
            idle: 0,
            woken: 0,
            watched: false,
            memory: Vec::new(),
            failures: Throttle::per_minute(),
            hung: Throttle::per_minute(),
        };
        Pool { inner: Arc::new(PoolInner { state: Mutex::new(state), work_waits: Condvar::new() }) }
    }

    /// Runs `job` and sends its result to `reply`. A waiting job is run once for all equal ones.
    pub(super) fn look_up(&self, job: Job, reply: LookupReply) {
        self.submit(Work::LookUp(job, vec![reply]));
    }

    /// Sends answers, all of which are read from the same device.
    pub(super) fn send(&self, batch: Batch) {
        self.submit(Work::Send(batch));
    }

    fn submit(&self, work: Work) {
        let mut state = self.inner.lock();
        let unrunnable = if state.queue.is_hung(&work) {
            state.report_hung();
            vec![work]
        } else if state.push(work) {
            self.inner.wake_one(&mut state)
        } else {
            // A busy thread of its lane or root takes it later.
            Vec::new()
        };
        drop(state);
        // Dropping it reports that there is no result.
        drop(unrunnable);
    }

    /// A client with possible work was removed.
    pub(super) fn client_removed(&self) {
        let mut state = self.inner.lock();
        if state.queue.client_removed() {
            self.inner.wake_one(&mut state);
        }
    }

    /// The numbers of waiting tasks and of threads.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.inner.lock();
        (state.queue.waiting(), state.threads)
    }
}

impl PoolInner {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a thread or starts one. Returns the work that cannot be done because no thread can be started.
    fn wake_one(self: &Arc<PoolInner>, state: &mut PoolState) -> Vec<Work> {
        if state.idle > 0 {
            state.idle -= 1;
            state.woken += 1;
            self.work_waits.notify_one();
        } else if state.threads < MAX_THREADS {
            let inner = self.clone();
            match sync::spawn("disk", move || inner.run_thread()) {
                Ok(()) => state.threads += 1,
                Err(error) => return state.no_thread(&error),
            }
        }
        Vec::new()
    }

    /// The life of a thread.
    fn run_thread(self: Arc<PoolInner>) {
        let mut state = self.lock();
        loop {
            let Some(work) = state.queue.pop() else {
                let (next, stop) = self.sleep(state);
                state = next;
                if stop {
                    state.threads -= 1;
                    let threads = state.threads;
                    state.memory.truncate(threads);
                    return;
                }
                continue;
            };
            let unrunnable = if state.needs_watch() { self.wake_one(&mut state) } else { Vec::new() };
            let (lane, root) = (work.lane(), work.root());
            let mut memory = state.memory.pop().unwrap_or_default();
            drop(state);
            drop(unrunnable);
            let rest = work.run(&mut memory);
            state = self.lock();
            state.memory.push(memory);
            state.queue.complete(lane, root);
            if let Some(rest) = rest {
                state.queue.push(rest);
            }
        }
    }

    /// Waits for work. Returns whether the thread is to stop.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, PoolState>) -> (MutexGuard<'a, PoolState>, bool) {
        state.idle += 1;
        // One thread checks that large answers do not wait for threads that are stuck.
        let watches = state.needs_watch();
        state.watched |= watches;
        let timeout = if watches { STUCK } else { IDLE_TIMEOUT };
        let (mut state, slept) = self.work_waits.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner);
        state.watched &= !watches;
        if state.woken > 0 {
            state.woken -= 1;
            return (state, false);
        }
        // No thread has woken it: the timeout has passed, or the wake-up is spurious.
        state.idle -= 1;
        (state, slept.timed_out() && !watches)
    }
}

impl PoolState {
    /// Returns whether a further thread is needed for the work.
    fn push(&mut self, work: Work) -> bool {
        let is_large = work.is_large();
        self.queue.push(work) && !(is_large && self.watched && self.queue.large_must_wait())
    }

    /// Whether large answers wait, and no thread watches for stuck ones.
    fn needs_watch(&self) -> bool {
        self.queue.large_waits() && !self.watched
    }

    fn report_hung(&mut self) {
        if let Some(suppressed) = self.hung.tick(Instant::now()) {
            ::log::error!(
                "a disk does not answer: requests that need it get 199 (INTERNAL SERVER ERROR) until it does; see what \
                 hangs, or reload with another root ({suppressed} similar messages suppressed)"
            );
        }
    }

    /// No thread can be started. If others run, the work waits for them; otherwise it is returned to be dropped.
    fn no_thread(&mut self, error: &io::Error) -> Vec<Work> {
        if self.threads > 0 {
            return Vec::new();
        }
        if let Some(suppressed) = self.failures.tick(Instant::now()) {
            ::log::error!(
                "cannot start a thread that reads from the disk: {error}; raise TasksMax or `ulimit -u` ({suppressed} \
                 similar messages suppressed)"
            );
        }
        self.queue.take_all()
    }
}
