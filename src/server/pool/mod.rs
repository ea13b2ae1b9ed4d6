//! Threads that may wait for a disk, so that event loops need not: they look names up, and they send answers that are
//! large or may not be in memory.
//!
//! There are at most [`MAX_THREADS`], started when work waits and stopped after [`IDLE_TIMEOUT`] without any. Work that
//! may hang together cannot take them all: one [`Lane`](work::Lane) and one root hold a part of them each, so that after
//! a reload to a root that answers there are threads for it. Work for clients that were removed is dropped, with what it
//! holds.
//!
//! Look-ups and small answers go before large ones. Large answers are sent by as many threads as there are cores: more
//! would only compete for them. They take turns, and when none has completed for a while, a disk holds them up, and
//! further threads send others.

mod queue;
mod work;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::messages::LookupReply;
use crate::connection::SendMemory;
use crate::handle::Job;
use crate::log::Every;
use queue::{STUCK, WorkQueue};
use work::Work;

pub(super) use work::Batch;

/// The most threads. A root that hangs holds 24 of them at most, and a device 8 with small answers and 8 with large ones:
/// three that hang leave threads to the next.
const MAX_THREADS: usize = 128;

/// How long a thread without work is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A handle to the threads; clones share them.
#[derive(Clone)]
pub(super) struct Pool {
    inner: Arc<PoolInner>,
}

struct PoolInner {
    /// Held for a push or a pop, and never while work is done.
    state: Mutex<PoolState>,
    work_waits: Condvar,
}

struct PoolState {
    queue: WorkQueue,
    threads: usize,
    /// Threads that sleep and that were not woken.
    idle: usize,
    /// Threads that were woken and do not run yet.
    woken: usize,
    /// Whether a thread waits to start others when all that send large answers are stuck.
    watched: bool,
    /// Memory of threads that do not send now. A thread that stops would leave its own to the allocator, which keeps it
    /// for the next thread of the same arena.
    memory: Vec<SendMemory>,
    failures: Every,
    hung: Every,
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
            failures: Every::minute(),
            hung: Every::minute(),
        };
        Pool { inner: Arc::new(PoolInner { state: Mutex::new(state), work_waits: Condvar::new() }) }
    }

    /// Runs `job` and sends its result to `reply`. A job that has not begun yet serves all equal ones.
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
            // It is taken later, by a thread that is at work in its lane or root.
            Vec::new()
        };
        drop(state);
        // Dropping it reports to the clients that there is no result.
        drop(unrunnable);
    }

    /// A client was removed for which there may be work.
    pub(super) fn client_removed(&self) {
        let mut state = self.inner.lock();
        if state.queue.client_removed() {
            self.inner.wake_one(&mut state);
        }
    }

    /// Work that waits, and threads.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.inner.lock();
        (state.queue.waiting(), state.threads)
    }
}

impl PoolInner {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a thread, or starts one. Returns the work that cannot be done, because the system gives no thread.
    fn wake_one(self: &Arc<PoolInner>, state: &mut PoolState) -> Vec<Work> {
        if state.idle > 0 {
            state.idle -= 1;
            state.woken += 1;
            self.work_waits.notify_one();
        } else if state.threads < MAX_THREADS {
            let inner = self.clone();
            let spawned = std::thread::Builder::new().name("disk".to_owned()).spawn(move || inner.run_thread());
            match spawned {
                Ok(_) => state.threads += 1,
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
        // One thread watches that large answers do not wait for others that are stuck.
        let watches = state.needs_watch();
        state.watched |= watches;
        let timeout = if watches { STUCK } else { IDLE_TIMEOUT };
        let (mut state, slept) = self.work_waits.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner);
        state.watched &= !watches;
        if state.woken > 0 {
            state.woken -= 1;
            return (state, false);
        }
        // It was not woken by another thread: the time is over, or the wake-up is spurious.
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

    /// Whether large answers wait and no thread watches that it is not for long.
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

    /// The system gives no thread. If others are at work, work waits for them; otherwise it is returned, to be dropped.
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
