//! The server: it polls, accepts, dispatches, reloads and drains.
//!
//! The path of a file names the thread that runs it:
//!
//! | path | thread |
//! |---|---|
//! | `start.rs`, `check.rs`, `supervisor/` | the main thread: start, signals, control socket, reloads, drain, service manager |
//! | `worker/` | one thread a core: an event loop with its clients, its view of the root, its buffers |
//! | `pool/` | a few threads: look-ups that may wait for a disk, and large answers |
//! | `prepare.rs` | one thread a reload: it reads, checks and prepares the new configuration |
//! | all others | what these threads share or send to each other |
//!
//! Threads communicate by messages (`messages.rs`): a `WorkerCommand` goes to a worker's mailbox, a `SupervisorEvent` to
//! the supervisor's. A worker waits for nothing but its poll.

mod admission;
mod check;
mod control;
mod descriptors;
mod failure;
mod listener;
mod mailbox;
mod messages;
#[cfg(all(test, hftpd_model))]
mod models;
mod pool;
mod prepare;
mod shared;
mod slots;
mod start;
mod stream;
mod supervisor;
mod sync;
mod worker;
mod worker_config;

pub use check::{Report, check};
pub use control::{ControlReply, ControlRequest, ask};
pub use failure::Failure;
pub use start::{Start, run};

/// The status of [`ControlRequest::Status`] for people: a line for each value.
pub fn status_text(status: &str) -> Result<String, serde_json::Error> {
    supervisor::status::text(status)
}
