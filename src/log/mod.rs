//! The log. Saying something never waits for whoever reads it: messages and accesses go into a bounded queue, one
//! thread formats and writes them, and what does not fit is counted and the count is written as soon as there is room.
//!
//! Messages are said with the macros of the `log` crate: `error!` for what the operator must repair, `warn!`
//! for what he should know, `info!` for the daemon's life, `debug!` for whoever looks for a fault. Accesses are
//! [`access`]. Whatever is said, it is one line in the log; text that a peer made goes through [`Escaped`] as well.
//!
//! The thread is started by [`start`]. It has to be after the fork of `--daemon`, and after privileges and sandbox,
//! which the kernel sets for a thread and those that it starts. Until then messages are written to standard error by
//! whoever says them, once [`init`] was called.

mod escape;
mod every;
mod queue;
mod record;
mod stderr;
mod syslog;
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
pub use every::Every;
pub use record::Access;

/// Messages and access lines that the queue holds. With [`LIMIT`] that bounds its memory to a few MiB.
const MESSAGES: usize = 1024;
const ACCESSES: usize = 4096;

/// How long the log of a panic may take.
const PANIC_FLUSH: Duration = Duration::from_secs(2);

/// Bytes of a message, or of the request in an [`Access`], beyond which it is cut.
const LIMIT: usize = 1024;

static FACADE: Facade = Facade { queue: OnceLock::new() };
static ACCESS: AtomicBool = AtomicBool::new(false);

/// What can be done with the running log.
#[derive(Debug)]
pub struct Handle {
    queue: Arc<Queue>,
    daemon: bool,
}

/// Makes messages of at least the level `info` appear on standard error, written by whoever says them. To be called
/// first thing in `main`; [`start`] calls it too, and more calls do nothing.
pub fn init() {
    if ::log::set_logger(&FACADE).is_ok() {
        ::log::set_max_level(::log::LevelFilter::Info);
    }
}

/// Starts the thread that writes the log. `daemon` says that nobody reads standard error: target `auto` is syslog then,
/// and messages for a log daemon that is not there are counted as lost instead of standing on standard error. A missing
/// log daemon is no error; it is looked for with every message.
///
/// # Errors
///
/// The thread cannot be made, or [`start`] was called before in this process.
pub fn start(settings: &config::Log, daemon: bool) -> io::Result<Handle> {
    init();
    let queue = Arc::new(Queue::new(MESSAGES, ACCESSES));
    let handle = Handle { queue: Arc::clone(&queue), daemon };
    if FACADE.queue.get().is_some() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the log has been started before"));
    }
    Writer::new(Arc::clone(&queue), Settings::new(settings, daemon), Stderr::own()).spawn()?;
    if FACADE.queue.set(queue).is_err() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the log has been started before"));
    }
    handle.switch(settings);
    Ok(handle)
}

/// From now on a thread that panics ends the process with this code: the service manager starts another daemon, which is
/// better than one that serves some of its clients. The panic is logged, for with `--daemon` nobody reads standard error.
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

/// Whether accesses are logged, so that nobody collects one in vain.
#[must_use]
pub fn access_enabled() -> bool {
    ACCESS.load(Ordering::Relaxed)
}

/// Logs an access, if accesses are logged, at the priority of `info` whatever the level is: `log.access` decides.
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
    /// Goes on with other settings, for what is said from here on. Does not wait.
    pub fn apply(&self, settings: &config::Log) {
        self.switch(settings);
        self.queue.change(Settings::new(settings, self.daemon));
    }

    /// Waits until everything said so far has been written or has failed to be, at most for `patience`; whether that
    /// came true. For the moment before the process ends.
    pub fn flush(&self, patience: Duration) -> bool {
        self.queue.flush(patience)
    }

    /// Messages and accesses lost since the start: they did not fit, or could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    fn switch(&self, settings: &config::Log) {
        ::log::set_max_level(settings.level);
        ACCESS.store(settings.access, Ordering::Relaxed);
    }
}

/// What the macros of the `log` crate talk to.
struct Facade {
    /// There once the log was started.
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
        // An error says that the message was cut, and it shows that itself.
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

    /// Does nothing, for it has no deadline; [`Handle::flush`] has.
    fn flush(&self) {}
}

#[cfg(test)]
mod tests;
