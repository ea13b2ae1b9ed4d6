//! Locks, atomic integers, threads and polls of the code that the models check (`models/`).
//!
//! They are those of the standard library and of mio, or in a run of the models those of the model checker. The checker runs
//! one thread at a time. At each of these calls it chooses the thread that continues. So it tries thousands of
//! interleavings, and can repeat one that fails.

use std::io;

#[cfg(not(all(test, hftpd_model)))]
pub(super) use {
    mio::{Poll, Waker},
    std::sync::{Condvar, Mutex, MutexGuard, atomic},
    std::thread,
};

#[cfg(all(test, hftpd_model))]
pub(super) use {
    checked::{Condvar, Poll, Waker},
    shuttle::sync::{Mutex, MutexGuard, atomic},
    shuttle::thread,
};

/// Starts a thread.
///
/// # Errors
///
/// The system cannot start one.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

/// Types that the model checker lacks.
#[cfg(all(test, hftpd_model))]
mod checked {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, LockResult, PoisonError};
    use std::time::Duration;

    use mio::{Events, Registry, Token};
    use shuttle::sync::{Mutex, MutexGuard};

    /// A condition variable with timeouts, which that of the checker lacks.
    #[derive(Default)]
    pub(in crate::server) struct Condvar(Arc<shuttle::sync::Condvar>);

    /// Whether a wait timed out.
    pub(in crate::server) struct TimedOut(bool);

    impl Condvar {
        pub(in crate::server) fn new() -> Condvar {
            Condvar::default()
        }

        pub(in crate::server) fn notify_one(&self) {
            self.0.notify_one();
        }

        /// Waits for a notification or the timeout. A thread is the timer, so that the checker chooses the time of the
        /// timeout. It wakes all waiting threads, so that spurious wake-ups occur too.
        pub(in crate::server) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _timeout: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
            // Of the standard library, because reading it is not a step for the checker.
            let is_over = Arc::new(AtomicBool::new(false));
            let (waits, woken) = (Arc::downgrade(&is_over), self.0.clone());
            shuttle::thread::spawn(move || {
                // A notification is lost if the wait has not begun yet.
                while waits.upgrade().inspect(|is_over| is_over.store(true, Ordering::Relaxed)).is_some() {
                    woken.notify_all();
                    shuttle::thread::yield_now();
                }
            });
            let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            Ok((guard, TimedOut(is_over.load(Ordering::Relaxed))))
        }
    }

    impl TimedOut {
        pub(in crate::server) fn timed_out(&self) -> bool {
            self.0
        }
    }

    shuttle::lazy_static! {
        /// Locked while a poll looks for events, so that none is missed before the poll waits.
        static ref POLLS: Mutex<()> = Mutex::new(());
        /// Notified after each wake-up.
        static ref WOKEN: shuttle::sync::Condvar = shuttle::sync::Condvar::new();
    }

    /// A poll of the kernel that waits in the checker. A [`Waker`] ends a wait without a timeout. With a timeout, the poll
    /// also looks for events of sockets, which the checker does not control. The timeout never passes.
    pub(in crate::server) struct Poll(mio::Poll);

    impl Poll {
        pub(in crate::server) fn new() -> io::Result<Poll> {
            mio::Poll::new().map(Poll)
        }

        pub(in crate::server) fn registry(&self) -> &Registry {
            self.0.registry()
        }

        pub(in crate::server) fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
            let mut polls = POLLS.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                self.0.poll(events, Some(Duration::ZERO))?;
                if !events.is_empty() || timeout == Some(Duration::ZERO) {
                    return Ok(());
                }
                polls = if timeout.is_none() {
                    WOKEN.wait(polls).unwrap_or_else(PoisonError::into_inner)
                } else {
                    drop(polls);
                    shuttle::thread::yield_now();
                    POLLS.lock().unwrap_or_else(PoisonError::into_inner)
                };
            }
        }
    }

    /// A waker of the kernel that also wakes a [`Poll`] in the checker.
    pub(in crate::server) struct Waker(mio::Waker);

    impl Waker {
        pub(in crate::server) fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
            mio::Waker::new(registry, token).map(Waker)
        }

        pub(in crate::server) fn wake(&self) -> io::Result<()> {
            let _polls = POLLS.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.wake()?;
            WOKEN.notify_all();
            Ok(())
        }
    }
}
