//! hftpd publishes one directory, read-only, over HFTP. This page describes the structure of the source.
//!
//! # The parts
//!
//! | part | purpose |
//! |---|---|
//! | [`server`] | the threads: it polls, accepts, dispatches, reloads and drains |
//! | [`connection`] | one client: bytes and the time go in, bytes and events come out |
//! | [`handle`] | the root, its names and the bytes of its files; knows nothing of the protocol |
//! | [`wire`] | the grammar of requests and answers, for servers and clients |
//! | [`config`] | `/etc/hftp.toml`: reading, checking and comparing configurations |
//! | [`log`](mod@log) | a queue and the thread that writes it, to standard error or to syslog |
//! | [`metrics`] | the counters |
//! | [`client`] | a client of HFTP servers of every generation: names, sizes, slices as streams |
//! | [`hftp`] | the program `hftp`: its command line, its commands, progress |
//! | [`os`] | system calls, one family a file; the only folder with unsafe code |
//! | [`cli`] | the command line, `--help` |
//! | [`exit`] | the exit codes and their meanings |
//! | [`detach`] | `--daemon`: runs in the background; the exit code reports whether the daemon serves |
//!
//! The feature `daemon` builds the parts of the daemon, the feature `client` those of the client; both share [`wire`].
//!
//! `src/bin/hftp.rs` calls [`hftp::run`]. `src/bin/hftpd.rs` joins the parts of the daemon: it reads the command line,
//! loads the configuration and calls [`server::run`].
//!
//! # The way of a request
//!
//! Each step names its functions, in the order of the calls, as `file::function` below `src/`.
//!
//! 1. A **worker** is an event loop. Its poll reports that a client has sent something, and the client is queued.
//!    `server/worker/mod.rs::run`, `server/worker/mod.rs::round`, `server/worker/clients.rs::on_event`
//! 2. The worker takes a batch of queued clients. For each it lends the [`Connection`](connection::Connection) its
//!    buffers and its view of the root, in a [`Context`](connection::Context). The connection first reads, then
//!    continues with what it read.
//!    `server/worker/clients.rs::serve_queues`, `connection/input.rs::receive`, `connection/mod.rs::drive`
//! 3. A [`RequestReader`](wire::RequestReader) takes the bytes. It keeps a few hundred bytes of a line, whatever the
//!    line's length. At the end of the line it returns a [`Request`](wire::Request), or the [`Code`](wire::Code) of the
//!    error.
//!    `connection/input.rs::parse_line`, `wire/reader.rs::read`, `wire/reader.rs::request`
//! 4. The connection asks [`RootView`](handle::RootView), the worker's view of the root, for the file or the listing.
//!    If the kernel has it in memory, the result is [ready](handle::Lookup::Ready).
//!    `connection/input.rs::answer`, `handle/root_view.rs::find`
//! 5. If not, the result is a [`Job`](handle::Job), and the connection waits. A thread of the **pool**, which may wait for
//!    a disk, runs the job and sends the [result](handle::JobResult) to the worker's mailbox.
//!    `connection/input.rs::look_up`, `server/pool/mod.rs::look_up`, `handle/job.rs::run`,
//!    `server/worker/mod.rs::handle_command`, `server/worker/clients.rs::looked_up`, `connection/mod.rs::looked_up`
//! 6. The worker makes and sends small answers itself, many in one call, if it can read their files without waiting.
//!    While an answer is incomplete, the connection reads nothing; it keeps the position in the answer, not the bytes.
//!    `connection/deliver.rs::send_answers`, `connection/output.rs::send`, `connection/slice.rs::append_next`
//! 7. A pool thread sends large answers, and those whose file may have to come from a disk. The connection lends them in
//!    a [`SendTask`](connection::SendTask). It gets them back when they are sent or the socket's buffer is full.
//!    `connection/deliver.rs::hand_over`, `server/worker/lending.rs::lend`, `connection/send_task.rs::run`,
//!    `server/worker/clients.rs::sent`, `connection/deliver.rs::take_back`
//! 8. The connection returns [`Event`](connection::Event)s, which the worker counts and logs. The worker queues the
//!    client again if it [has more to do](connection::Connection::is_ready), sets its
//!    [timer](connection::Connection::deadline), and removes it when it is [closed](connection::Connection::closed).
//!    `server/worker/reporter.rs::report`, `server/worker/clients.rs::requeue`, `server/worker/clients.rs::remove`
//!
//! In one round a connection is served within a budget of bytes; one that has more to do is queued again behind others.
//! Between two polls a worker serves a few dozen clients: half of them have just sent something, half have more to do. So
//! a client with small requests does not wait for all that have large ones.
//!
//! # The way of a connection to its worker
//!
//! 1. A new connection wakes one worker, which accepts it.
//!    `server/worker/acceptor.rs::accept`
//! 2. `[limits]` apply in two steps: the connection is counted, then the limits of its address apply. The second step can
//!    come later, if a proxy sends the address.
//!    `server/worker/clients.rs::admit`, `server/admission.rs::admit`, `server/admission.rs::identify`
//! 3. The worker with the fewest clients gets it; but where clients come and go, the worker that accepted it keeps it.
//!    `server/worker/balance.rs::keeps`, `server/worker/clients.rs::add_from_worker`
//!
//! # The way of a reload
//!
//! 1. The supervisor receives SIGHUP, or `hftpd reload` through the control socket. One reload is under way at a time;
//!    further requests are joined into one that follows it.
//!    `server/supervisor/mod.rs::handle_signals`, `server/supervisor/mod.rs::handle_control`,
//!    `server/supervisor/mod.rs::begin_reload`, `server/supervisor/reload.rs::begin`
//! 2. A thread reads, checks and prepares everything. All that can fail happens here.
//!    `server/prepare.rs::prepare`, `config/load.rs::load`, `config/diff.rs::diff`, `server/prepare.rs::check_root`,
//!    `server/listener.rs::bind_all`, `server/worker_config.rs::for_all`
//! 3. The supervisor replaces the configuration and the listeners, and sends the new configuration to every worker.
//!    `server/supervisor/mod.rs::prepared`, `server/supervisor/mod.rs::apply`, `server/supervisor/listeners.rs::replace`
//! 4. Each worker gives its clients their new rules and its acceptor the new listeners, and confirms. New listeners are
//!    registered first. The worker accepts what is in the queue of a removed listener before it closes it.
//!    `server/worker/mod.rs::configure`, `server/worker/clients.rs::set_rules`,
//!    `server/worker/acceptor.rs::set_listeners`
//! 5. When all workers have confirmed, or a deadline has passed, the supervisor logs the result and sends it to the service
//!    manager and to the clients of the control socket.
//!    `server/supervisor/reload.rs::confirmed`, `server/supervisor/reload.rs::expire`,
//!    `server/supervisor/mod.rs::end_reload`
//!
//! # The way of a fetch
//!
//! 1. The command line decides the files: a URL is a name, or a pattern for the names that the server lists.
//!    `hftp/get.rs::run`, `hftp/remote.rs::find`, `client/session.rs::list`
//! 2. Their sizes are asked in one pipeline, and each file is planned: where it goes, its checksum, whether it resumes.
//!    `hftp/remote.rs::sizes`, `hftp/pipeline.rs::pipeline`, `hftp/get.rs::plan`
//! 3. Small files are pipelined, a large file comes over one connection, or in slices over several.
//!    `hftp/fetch.rs::fetch_all`, `hftp/batch.rs::fetch`, `hftp/transfer.rs::transfer`, `hftp/parallel.rs::fetch`
//! 4. Before the first slice, one byte shows how the server sends slices. The bytes are then handed on from the buffer in
//!    which they were received. `client/session.rs::encoding`, `client/detect.rs::encoding_of`, `client/channel.rs::item`
//! 5. `NAME.part` takes them. When it is complete, it is verified, synced and renamed.
//!    `hftp/sink.rs::open`, `hftp/sink.rs::finish`
//! 6. After an error that may pass, the fetch goes on where it stopped, if the size and the last bytes are the same.
//!    `hftp/retry.rs::after`, `hftp/transfer.rs::check`
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
//! # Imports
//!
//! ```text
//! bin/hftpd   -> cli, config, server, exit
//! cli         -> config
//! server      -> connection, handle, config, log, metrics, os, detach, exit
//! connection  -> wire, handle             never poll, configuration or log
//! handle      -> os                       never the protocol
//! wire        -> the standard library     for both ends
//! config      -> wire, handle, os, exit   the types of its values
//! bin/hftp    -> hftp
//! hftp        -> client, wire
//! client      -> wire                     nothing that only Linux has
//! os          -> libc, rustix and their like
//! ```
//!
//! `tests/architecture` contains the whole table, with reasons, and checks it. It also refuses circles between files, and
//! checks that the functions named above exist.
//!
//! # Where to change what
//!
//! * **A command of the protocol**: [`wire::Command`] and [`wire::Request`] (`wire/request.rs`), their reader
//!   (`wire/reader.rs`), `Connection::answer` in `connection/input.rs`, hftp(7), and `tests/protocol`.
//! * **The form of an answer**: [`wire::Encoding`] and [`wire::answer`], `connection/slice.rs`, which encodes it from
//!   any offset, and [`wire::AnswerReader`], with which a client reads it.
//! * **A setting**: its line in [`config::SETTINGS`], its place in [`config::Config`], `etc/hftp.toml` and
//!   hftp.toml(5). From there `server/worker_config.rs` carries it to connections ([`connection::Settings`]) or to files
//!   ([`handle::Policy`]).
//! * **The choice of files that are served**: [`handle`]; the system calls, [`os::files`].
//! * **A limit of connections**: `server/admission.rs`. **A timeout**:
//!   [`Connection::deadline`](connection::Connection::deadline).
//! * **The worker that accepts a client, and the one that serves it**: `server/worker/acceptor.rs` and `server/worker/balance.rs`.
//! * **A reason to close a connection**: [`connection::CloseReason`], which `hftpd status` counts.
//! * **The output of `hftpd status`**: `server/supervisor/status.rs`; its counters, [`metrics`].
//! * **An option of the command line**: the table in `cli/options.rs`, and hftpd(8). **An exit code**: [`exit::Exit::TABLE`].
//! * **What a client does on the wire**: [`client`]: requests and answers, `client/channel.rs`; finding out the encoding,
//!   `client/detect.rs`.
//! * **An option of `hftp`**: `hftp/args.rs`, and hftp(1). **An exit code of it**: [`hftp::Exit::TABLE`]. **How a file is
//!   fetched**: `hftp/fetch.rs`.
//! * **A system call**: [`os`], in the file of its family.

#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod connection;
#[cfg(feature = "daemon")]
pub mod detach;
#[cfg(feature = "daemon")]
pub mod exit;
#[cfg(feature = "daemon")]
pub mod handle;
#[cfg(feature = "client")]
pub mod hftp;
#[cfg(feature = "daemon")]
pub mod log;
#[cfg(feature = "daemon")]
pub mod metrics;
#[cfg(feature = "daemon")]
pub mod os;
#[cfg(feature = "daemon")]
pub mod server;
pub mod wire;
