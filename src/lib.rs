//! hftpd publishes one directory, read-only, over HFTP. This is how it is built.
//!
//! # The parts
//!
//! | part | is |
//! |---|---|
//! | [`server`] | the threads: it polls, accepts, dispatches, reloads and drains |
//! | [`connection`] | one client: bytes and the time go in, bytes and events come out |
//! | [`handle`] | the root, its names and the bytes of its files; knows nothing of the protocol |
//! | [`wire`] | the grammar of requests and of answers, for both ends; values alone |
//! | [`config`] | `/etc/hftp.toml`: reading, checking, and telling two configurations apart |
//! | [`log`](mod@log) | a queue and the thread that writes it, to standard error or to syslog |
//! | [`metrics`] | what is counted |
//! | [`os`] | system calls, one family a file; the only folder in which unsafe code may stand |
//! | [`cli`] | the command line, `--help`, `hftpd check` |
//! | [`exit`] | the exit codes and their meanings |
//! | [`detach`] | `--daemon`: into the background, with an exit code that is true |
//!
//! `src/bin/hftpd.rs` joins them: it reads the command line, loads the configuration and calls [`server::run`].
//!
//! # The way of a request
//!
//! 1. A **worker** (`server/worker/`) is an event loop. Its poll says that a client has sent something; the worker
//!    lends the client's [`Connection`](connection::Connection) its buffers and its view of the root, in a
//!    [`Context`](connection::Context), and calls [`drive`](connection::Connection::drive).
//! 2. The connection reads, and gives what it has read to a [`RequestReader`](wire::RequestReader). That keeps a few
//!    hundred bytes of a line, whatever the line's length, and at the line's end has a [`Request`](wire::Request) or a
//!    [`Code`](wire::Code) that refuses it.
//! 3. The connection asks [`RootView`](handle::RootView), the worker's view of the root, for the file or the listing. What
//!    the kernel has in memory is [answered now](handle::Lookup::Ready). Anything else is a [`Job`](handle::Job): the
//!    connection leaves it in the context as a [`Task`](connection::Task) and waits, the worker gives it to the **pool**
//!    (`server/pool/`), and a thread of the pool, which may wait for a disk, sends what it [found](handle::JobResult) back to
//!    the worker's mailbox, and so to `drive` ([`LookedUp`](connection::Cause::LookedUp)).
//! 4. The answer is queued (`connection/output.rs`). The worker makes and sends small answers itself, many in one call,
//!    if it can read their files without waiting. Large answers, and those whose file may have to come from a disk, are
//!    sent by a thread of the pool: the connection lends it the answers in a [`SendTask`](connection::SendTask), and gets
//!    them back ([`Sent`](connection::Cause::Sent)) when they were sent or the client takes no more.
//!    The worker goes on when the client has taken some. Until the
//!    answer is complete nothing more is read. Of an answer that waits only the place that was reached is kept.
//! 5. The connection tells what happened in [`Event`](connection::Event)s. The worker counts them in its
//!    [`Tally`](metrics::Tally) and logs them, asks the connection what it [waits for](connection::Connection::awaits)
//!    and [until when](connection::Connection::deadline), and removes it when
//!    [`closed`](connection::Connection::closed) gives a reason.
//!
//! The same by function: `Worker::round` passes the poll's event to `Clients::on_event`, which queues the client;
//! `Clients::serve_queues` calls `Connection::receive` for each client of a batch, then `Connection::drive`. A look-up
//! goes by `Pool::look_up` to `Work::run` on a pool thread, comes back when its `LookupReply` is dropped, to
//! `Worker::handle_command`, and is driven in the next batch; large answers go by `Lending::lend` and come back when
//! their `Batch` is dropped. `Reporter::report` counts and logs, `Clients::requeue` queues a client that has more to do
//! and sets its timer, `Clients::remove` closes it.
//!
//! In one round a connection is served within a budget of bytes; one that has more to do comes again after others. Between
//! two polls a worker serves a few dozen clients, and those that have just sent something share each round with those that
//! have more to do, so that a client with small requests does not wait for all that have large ones.
//!
//! A client's way to its worker (`server/worker/`): `Acceptor::accept` takes it from the queue of a listener, and
//! `Clients::admit` applies `[limits]` in two steps. `Admission::admit` counts it; `Permit::identify` applies the limits of
//! its address, and can be called later if a proxy sends that address. The client then goes to the worker with the fewest
//! clients (`WorkerCommand::AddClient`), or stays where clients come and go (`LocalBias::keeps`).
//!
//! # The way of a reload
//!
//! 1. `Supervisor::begin_reload` is called for SIGHUP (`handle_signals`) and for `hftpd reload` (`handle_control`). One
//!    reload is under way at a time (`supervisor/reload.rs`); further requests are joined into one that follows it.
//! 2. A thread of its own runs `prepare::prepare`: `config::load`, `config::diff`, `check_root`, `listener::bind_all`,
//!    `WorkerConfig::for_all`. All that can fail happens here. It sends `SupervisorEvent::Prepared`.
//! 3. `Supervisor::apply` replaces the configuration and the listeners, and sends `WorkerCommand::Reconfigure` to every
//!    worker.
//! 4. `Worker::configure` gives the clients their new rules (`Clients::set_rules`) and the acceptor its listeners
//!    (`Acceptor::set_listeners`). New listeners are registered first; a removed one is accepted from until its queue is
//!    empty, then closed. The worker sends `SupervisorEvent::Reconfigured`.
//! 5. When all workers have confirmed, or a deadline has passed (`Reloads::expire`), `Supervisor::end_reload` logs the
//!    result and sends it to the service manager and to the clients of the control socket.
//!
//! # The threads
//!
//! * The **main thread** is the supervisor (`server/supervisor/`): signals, the control socket, reloads, the drain,
//!   and the service manager. It serves no client, and it is the only one that changes what is in force.
//! * **Workers**, one for each core (`server/worker/`). Each has its own poll, clients, timers, counters and view of the
//!   root. A new connection wakes one of them.
//! * The **pool** (`server/pool/`), a bounded number of threads that are started and stopped with the work. No name, no
//!   device and no root holds more than a part of them, so that a disk that hangs delays only the clients that need it.
//! * The **log**'s thread. A record is put into a queue, and if that is full, it is counted as lost.
//! * During a **reload**, the thread that prepares it (`server/prepare.rs`).
//!
//! Threads communicate by messages (`server/messages.rs`). They share only what `server/shared.rs` lists, and the
//! pool's queue.
//!
//! # Who imports whom
//!
//! ```text
//! bin/hftpd   -> cli, config, server
//! cli         -> config, exit
//! server      -> connection, handle, config, log, metrics, os, detach, exit
//! connection  -> wire, handle             never poll, configuration or log
//! handle      -> os                       never the protocol
//! wire        -> the standard library     for both ends
//! config      -> wire, handle             the types of what it says
//! os          -> libc, rustix and their like
//! ```
//!
//! `tests/architecture` holds the whole table, with the reason for each line, and keeps it.
//!
//! # Where to change what
//!
//! * **A command of the protocol**: [`wire::Command`] and [`wire::Request`] (`wire/request.rs`), the reader beside them
//!   (`wire/reader.rs`), `Connection::answer` in `connection/input.rs`, hftp(7), and `tests/protocol`.
//! * **The form of an answer**: [`wire::Encoding`] and [`wire::answer`], and `connection/slice.rs`, which makes it from
//!   any place on; [`wire::AnswerReader`], by which a client reads it.
//! * **A setting**: its line in [`config::SETTINGS`], its place in [`config::Config`], `etc/hftp.toml` and
//!   hftp.toml(5). From there `server/worker_config.rs` carries it to connections ([`connection::Settings`]) or to files
//!   ([`handle::Policy`]).
//! * **Which files are served**: [`handle`]; what the kernel is asked for, [`os::files`].
//! * **A limit on who may connect**: `server/admission.rs`. **A timeout**:
//!   [`Connection::deadline`](connection::Connection::deadline).
//! * **Which worker accepts a client, and which serves it**: `server/worker/acceptor.rs` and `server/worker/balance.rs`.
//! * **Why a connection ends**: [`connection::CloseReason`], which `hftpd status` counts.
//! * **What `hftpd status` reports**: `server/supervisor/status.rs`; what it counts, [`metrics`].
//! * **An option of the command line**: the table in `cli.rs`, and hftpd(8). **An exit code**: [`exit::Exit::TABLE`].
//! * **A system call**: [`os`], in the file of its family.

pub mod cli;
pub mod config;
pub mod connection;
pub mod detach;
pub mod exit;
pub mod handle;
pub mod log;
pub mod metrics;
pub mod os;
pub mod server;
pub mod wire;
