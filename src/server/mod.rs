//! The server: it polls, accepts, dispatches, reloads and drains.
//!
//! The path of a file names the thread that runs it:
//!
//! | path | thread |
//! |---|---|
//! | `start.rs`, `startup_signals.rs`, `supervisor/` | the main thread: start, signals, control socket, reloads, drain, service manager |
//! | `worker/` | one thread a core: an event loop with its clients, its view of the root, its buffers |
//! | `pool/` | a few threads: look-ups that may wait for a disk, and large answers |
//! | `prepare.rs` | one thread a reload: it reads, checks and prepares the new configuration |
//! | all others | values that these threads share or send to each other |
//!
//! Threads communicate by messages (`messages.rs`): a `WorkerCommand` goes to a worker's mailbox, a `SupervisorEvent` to
//! the supervisor's. A worker waits for nothing but its poll.

mod admission;
mod listener;
mod mailbox;
mod messages;
mod pool;
mod prepare;
mod shared;
mod slots;
mod start;
mod startup_signals;
mod supervisor;
mod worker;
mod worker_config;

pub use listener::BindError;
pub use start::{Failure, Start, run};
pub use supervisor::control::{ControlReply, ControlRequest, ask};
pub use supervisor::status::text as status_text;
