//! The log. Logging does not block: messages and access records go into a bounded queue, and one thread formats and writes
//! them. Records that do not fit are counted, and the count is written when there is room.
//!
//! Messages are logged with the macros of the `log` crate: `error!` for problems that the operator must fix, `warn!` for
//! problems to know about, `info!` for the lifecycle of the daemon, `debug!` for debugging. Access records are logged with
//! [`access`]. Each record is one line. Untrusted text must also be escaped with [`Escaped`].
//!
//! [`start`] starts the thread. Call it after the fork of `--daemon`, and after dropping privileges and entering the
//! sandbox, which apply to the calling thread and threads that it starts. Between [`init`] and [`start`] the calling
//! thread writes its messages to standard error.

mod escape;
mod queue;
mod record;
mod stderr;
mod syslog;
mod throttle;
mod writer;

use std::fmt::Write;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::config;

use escape::OneLine;
use queue::Queue;
use record::{Record, Settings};
use stderr::Stderr;
use writer::Writer;

pub use escape::Escaped;
pub use record::Access;
pub use throttle::Throttle;

/// The capacities of the queue for messages and access records. With [`LIMIT`] they bound its memory to a few MiB.
const MESSAGES: usize = 1024;
const ACCESSES: usize = 4096;

/// The time limit for writing the log after a panic.
const PANIC_FLUSH: Duration = Duration::from_secs(2);

/// The maximum length of a message, and of the request in an [`Access`], in bytes. Longer ones are truncated.
const LIMIT: usize = 1024;

static FACADE: Facade = Facade { queue: OnceLock::new() };
static ACCESS: AtomicBool = AtomicBool::new(false);

/// Controls the running log.
#[derive(Debug)]
pub struct Handle {
    queue: Arc<Queue>,
    daemon: bool,
}

/// Writes messages of level `info` and above to standard error, from the calling thread. Call it first in `main`. [`start`]
/// calls it, too. Further calls have no effect.
pub fn init() {
    if ::log::set_logger(&FACADE).is_ok() {
        ::log::set_max_level(::log::LevelFilter::Info);
    }
}

/// Starts the thread that writes the log. With `daemon`, target `auto` is syslog, and messages are lost while no log
/// daemon runs; otherwise they go to standard error meanwhile. A missing log daemon is not an error: each message tries to
/// connect again.
///
/// # Errors
///
/// The thread cannot be started, or [`start`] was called before in this process.
pub fn start(settings: &config::Log, daemon: bool) -> io::Result<Handle> {
    init();
    let queue = Arc::new(Queue::new(MESSAGES, ACCESSES));
    let handle = Handle { queue: Arc::clone(&queue), daemon };
    if FACADE.queue.get().is_some() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the log is already started"));
    }
    Writer::new(Arc::clone(&queue), Settings::new(settings, daemon), Stderr::own()).spawn()?;
    if FACADE.queue.set(queue).is_err() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the log is already started"));
    }
    handle.set_filters(settings);
    Ok(handle)
}

/// Makes the process exit with `code` when a thread panics, so that the service manager restarts it. Without this, the
/// daemon would serve only some of its clients. The panic is logged, because `--daemon` discards standard error.
pub fn exit_on_panic(code: u8) {
    let to_stderr = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        match FACADE.queue.get() {
            Some(queue) => {
                ::log::error!("internal error, the daemon stops: {panic}; please report it");
                queue.flush(PANIC_FLUSH);
            }
            None => to_stderr(panic),
        }
        std::process::exit(i32::from(code));
    }));
}

/// Whether access records are logged. If not, the caller need not create them.
#[must_use]
pub fn access_enabled() -> bool {
    ACCESS.load(Ordering::Relaxed)
}

/// Logs an access record if `log.access` is set. Its priority is `info`, and `log.level` does not apply.
pub fn access(mut access: Access) {
    if !access_enabled() {
        return;
    }
    if access.request.len() > LIMIT {
        access.request = access.request[..LIMIT].into();
    }
    if let Some(queue) = FACADE.queue.get() {
        queue.push(Record::Access(access));
    }
}

impl Handle {
    /// Applies new settings to later records. Does not block.
    pub fn apply(&self, settings: &config::Log) {
        self.set_filters(settings);
        self.queue.change(Settings::new(settings, self.daemon));
    }

    /// Waits until all records so far have been written or lost, at most for `timeout`. Returns false after a timeout.
    /// Call it before the process exits.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.queue.flush(timeout)
    }

    /// The number of records lost since the start: the queue was full, or they could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    fn set_filters(&self, settings: &config::Log) {
        ::log::set_max_level(settings.level);
        ACCESS.store(settings.access, Ordering::Relaxed);
    }
}

/// The logger of the `log` crate.
struct Facade {
    /// Set by [`start`].
    queue: OnceLock<Arc<Queue>>,
}

impl ::log::Log for Facade {
    fn enabled(&self, metadata: &::log::Metadata<'_>) -> bool {
        metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &::log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = OneLine::new(LIMIT);
        // An error means that the message was truncated, which `finish` marks.
        let _ = line.write_fmt(*record.args());
        let text = line.finish();
        match self.queue.get() {
            Some(queue) => queue.push(Record::Message(record.level(), text)),
            None => {
                let mut stderr = Stderr::own();
                stderr.line(record.level(), &text);
                stderr.flush();
            }
        }
    }

    /// Does nothing: [`Handle::flush`] has a timeout, this function has none.
    fn flush(&self) {}
}

#[cfg(test)]
mod tests;
