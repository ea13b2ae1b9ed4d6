//! The supervisor: signals, control socket, reloads, drain, service manager. It runs on the main thread, serves no
//! client, and is the only one that changes what is in force.

pub(super) mod control_socket;
pub(super) mod daemon;
mod drain;
pub(super) mod listeners;
mod reload;
pub(super) mod sd_notify;
pub(super) mod status;
mod status_query;
mod watchdog;

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use self::control_socket::{ControlSocket, Requests};
use self::daemon::Daemon;
use self::drain::{Drain, DrainStep};
use self::reload::{Outcome, Reloads, SHUTTING_DOWN};
use self::sd_notify::NotifyState;
use self::status_query::StatusQuery;
use self::watchdog::Watchdog;
use super::control::{ControlReply, ControlRequest};
use super::descriptors;
use super::failure::Failure;
use super::listener;
use super::mailbox::{Inbox, Mailbox};
use super::messages::{SupervisorEvent, WorkerCommand};
use super::prepare::{self, Prepared};
use crate::exit::Exit;

const MAIL: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// How often the number of clients in the service manager's status is brought up to date.
const STATUS_PERIOD: Duration = Duration::from_secs(5);

/// How long the end waits for the log.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// The supervisor.
pub(super) struct Supervisor {
    pub(super) daemon: Daemon,
    poll: Poll,
    events: Inbox<SupervisorEvent>,
    mailbox: Mailbox<SupervisorEvent>,
    signals: Signals,
    reloads: Reloads,
    status_query: Option<StatusQuery>,
    /// The number of the last status query.
    last_query: u64,
    drain: Option<Drain>,
    stopped: bool,
    watchdog: Option<Watchdog>,
    /// When the service manager is sent the number of clients next, if there is one.
    status_at: Option<Instant>,
    /// The number that it was sent last.
    last_reported: u32,
}

impl Supervisor {
    /// Signals are handled from here on.
    pub(super) fn new(mut daemon: Daemon) -> io::Result<Supervisor> {
        let poll = Poll::new()?;
        let (mailbox, events) = Mailbox::new(poll.registry(), MAIL)?;
        let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        if let Some(control) = &mut daemon.control {
            control.register(poll.registry())?;
        }
        let now = Instant::now();
        let watchdog = sd_notify::watchdog_enabled().map(|timeout| Watchdog::new(timeout, daemon.workers.len(), now));
        Ok(Supervisor {
            daemon,
            poll,
            events,
            mailbox,
            signals,
            reloads: Reloads::default(),
            status_query: None,
            last_query: 0,
            drain: None,
            stopped: false,
            watchdog,
            status_at: sd_notify::is_available().then_some(now + STATUS_PERIOD),
            last_reported: 0,
        })
    }

    pub(super) fn mailbox(&self) -> Mailbox<SupervisorEvent> {
        self.mailbox.clone()
    }

    /// Reports to the service manager that the daemon serves, and gives it the listeners to keep.
    pub(super) fn ready(&self) {
        self.daemon.listeners.store();
        sd_notify::ready(&self.daemon.serving());
    }

    /// Runs until a drain is complete.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        while !self.stopped {
            if let Err(error) = self.poll.poll(&mut events, self.timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                panic!("the main thread cannot wait: {error}");
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    SIGNALS => self.handle_signals(now),
                    token if control_socket::is_control(token) => {
                        let requests =
                            self.daemon.control.as_mut().map(|c| c.on_event(token, self.poll.registry(), now));
                        self.handle_control(requests.unwrap_or_default(), now);
                    }
                    _ => {}
                }
            }
            while let Some(event) = self.events.next() {
                self.handle_event(event, now);
            }
            self.on_tick(now);
        }
        ::log::info!("stopped");
        drop(self.daemon.control.take());
        // If the log cannot be written, there is nowhere to report that.
        self.daemon.log.flush(LOG_TIMEOUT);
    }

    fn timeout(&self) -> Option<Duration> {
        let deadlines = [
            self.drain.as_ref().map(Drain::next),
            self.reloads.deadline(),
            self.daemon.control.as_ref().and_then(ControlSocket::deadline),
            self.status_query.as_ref().map(|query| query.deadline),
            self.watchdog.as_ref().map(Watchdog::next),
            self.status_at.filter(|_| self.drain.is_none()),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Handles the signals that have come. Of several, the one that ends the daemon counts.
    fn handle_signals(&mut self, now: Instant) {
        let pending: Vec<_> = self.signals.pending().collect();
        if pending.iter().any(|&signal| signal != SIGHUP) {
            self.terminate(now);
        } else if !pending.is_empty() {
            self.begin_reload(Vec::new(), now);
        }
    }

    fn handle_control(&mut self, requests: Requests, now: Instant) {
        for (client, request) in requests {
            match request {
                ControlRequest::Reload => self.begin_reload(vec![client], now),
                ControlRequest::Status => self.begin_status(client, now),
            }
        }
    }

    fn handle_event(&mut self, event: SupervisorEvent, now: Instant) {
        match event {
            SupervisorEvent::Prepared { serial, result } => self.prepared(serial, result, now),
            SupervisorEvent::Reconfigured { serial } => {
                if let Some(outcome) = self.reloads.confirmed(serial) {
                    self.end_reload(outcome, now);
                }
            }
            SupervisorEvent::WorkerStatus { worker, serial, status } => {
                if let Some(query) = &mut self.status_query {
                    query.add(worker, serial, &status);
                }
            }
            SupervisorEvent::Pong { worker, serial } => {
                if let Some(watchdog) = &mut self.watchdog {
                    watchdog.answered(worker, serial);
                }
            }
            SupervisorEvent::WorkerStopped => {
                if let Some(drain) = &mut self.drain {
                    drain.worker_stopped();
                }
            }
        }
    }

    /// Does what is due.
    fn on_tick(&mut self, now: Instant) {
        let requests = self.daemon.control.as_mut().map(|control| control.expire(self.poll.registry(), now));
        self.handle_control(requests.unwrap_or_default(), now);
        if let Some(query) = self.status_query.take_if(|query| query.is_over(now)) {
            self.end_status(query, now);
        }
        if let Some(outcome) = self.reloads.expire(now) {
            self.end_reload(outcome, now);
        }
        self.step_drain(now);
        self.report_clients(now);
        if let Some(serial) = self.watchdog.as_mut().and_then(|watchdog| watchdog.step(self.drain.is_some(), now)) {
            sd_notify::send(&[NotifyState::Watchdog]);
            self.command_all(|| WorkerCommand::Ping(serial));
        }
    }

    /// Keeps the line that `systemctl status` shows up to date.
    fn report_clients(&mut self, now: Instant) {
        if self.status_at.is_none_or(|at| now < at) || self.drain.is_some() {
            return;
        }
        self.status_at = Some(now + STATUS_PERIOD);
        let connected = self.daemon.shared.admission.connected();
        if connected != self.last_reported && self.reloads.is_idle() {
            self.last_reported = connected;
            let status = format!("{}; {connected} clients connected", self.daemon.serving());
            sd_notify::send(&[NotifyState::Status(&status)]);
        }
    }

    /// Begins a reload, or makes one follow the one under way.
    fn begin_reload(&mut self, clients: Vec<Token>, now: Instant) {
        if self.drain.is_some() {
            return self.refuse_reload(clients, SHUTTING_DOWN, now);
        }
        let serial = match self.reloads.begin(clients, now) {
            Ok(Some(serial)) => serial,
            Ok(None) => return,
            Err(refused) => return self.refuse_reload(refused.clients, &refused.message, now),
        };
        sd_notify::reloading();
        let (source, overrides, config) =
            (self.daemon.source.clone(), self.daemon.overrides.clone(), self.daemon.config.clone());
        let (held, workers, mailbox) = (self.daemon.listeners.held(), self.daemon.workers.len(), self.mailbox.clone());
        let spawned = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let result = prepare::prepare(&source, &overrides, &config, &held, workers).map(Box::new);
            mailbox.send(SupervisorEvent::Prepared { serial, result });
        });
        if let Err(error) = spawned {
            self.prepared(serial, Err(Failure::no_thread("a thread that reloads", &error)), now);
        }
    }

    fn refuse_reload(&mut self, clients: Vec<Token>, message: &str, now: Instant) {
        ::log::warn!("not reloaded: {message}");
        self.reply(clients, Exit::Unavailable, message, now);
    }

    /// A thread has prepared a reload, which may have expired.
    fn prepared(&mut self, serial: u64, result: Result<Box<Prepared>, Failure>, now: Instant) {
        let Some(clients) = self.reloads.prepared(serial) else { return };
        match result {
            _ if self.drain.is_some() => self.refuse_reload(clients, SHUTTING_DOWN, now),
            Ok(prepared) => match listener::listen(&prepared.endpoints, &self.daemon.listeners.held()) {
                Ok(()) => self.apply(serial, *prepared, clients, now),
                Err(Failure { exit, message }) => self.end_reload(Outcome { clients, exit, message }, now),
            },
            Err(Failure { exit, message }) => self.end_reload(Outcome { clients, exit, message }, now),
        }
    }

    /// Applies a configuration. Nothing of it can fail.
    fn apply(&mut self, serial: u64, prepared: Prepared, clients: Vec<Token>, now: Instant) {
        let Prepared { config, changes, endpoints, worker_configs } = prepared;
        self.daemon.log.apply(&config.log);
        descriptors::raise_limit(&config, self.daemon.workers.len());
        self.daemon.config = config;
        self.daemon.listeners.replace(endpoints);
        for (worker, config) in self.daemon.workers.iter().zip(worker_configs) {
            worker.send(WorkerCommand::Reconfigure { serial, config: Box::new(config) });
        }
        let message = format!("{changes}; {}", self.daemon.serving());
        self.reloads.apply(clients, self.daemon.workers.len(), message, now);
    }

    /// Reports how a reload ended, and begins the next one if it was asked for.
    fn end_reload(&mut self, outcome: Outcome, now: Instant) {
        let Outcome { clients, exit, message } = outcome;
        let ok = exit == Exit::Success;
        let mut status = self.daemon.serving();
        if ok {
            ::log::info!("reloaded: {message}");
        } else {
            message.lines().for_each(|line| ::log::error!("not reloaded: {line}"));
            status += &format!("; not reloaded: {}", message.lines().next().unwrap_or_default());
        }
        self.reply(clients, exit, &message, now);
        if self.drain.is_none() {
            sd_notify::ready(&status);
        }
        if let Some(clients) = self.reloads.ended(ok, message, now) {
            self.begin_reload(clients, now);
        }
    }

    /// Asks all workers for their status.
    fn begin_status(&mut self, client: Token, now: Instant) {
        if let Some(query) = &mut self.status_query {
            return query.clients.push(client);
        }
        self.last_query += 1;
        let serial = self.last_query;
        self.status_query = Some(StatusQuery::new(serial, client, self.daemon.workers.len(), now));
        self.command_all(|| WorkerCommand::ReportStatus(serial));
    }

    fn end_status(&mut self, query: StatusQuery, now: Instant) {
        let text = status::json(&self.daemon, &query, &self.reloads, self.drain.is_some(), now).to_string();
        self.reply(query.clients, Exit::Success, &text, now);
    }

    /// Begins the drain; during the drain, closes the connections that are left.
    fn terminate(&mut self, now: Instant) {
        if let Some(drain) = &mut self.drain {
            ::log::info!("second signal: closing all connections now");
            return drain.hasten(now);
        }
        let timeout = self.daemon.config.timeouts.drain;
        let connected = self.daemon.shared.admission.connected();
        ::log::info!("shutting down: draining {connected} connections (timeout {} s)", timeout.as_secs());
        sd_notify::send(&[NotifyState::Stopping, NotifyState::Status(&format!("draining {connected} connections"))]);
        self.daemon.listeners.close(self.reloads.has_threads());
        self.drain = Some(Drain::new(timeout, self.daemon.workers.len(), now));
        self.command_all(|| WorkerCommand::Drain);
    }

    fn step_drain(&mut self, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        let connected = self.daemon.shared.admission.connected();
        match drain.step(now) {
            DrainStep::Wait => {}
            DrainStep::Report(more) => {
                let more = NotifyState::ExtendTimeoutUsec(u32::try_from(more.as_micros()).unwrap_or(u32::MAX));
                sd_notify::send(&[NotifyState::Status(&format!("draining {connected} connections")), more]);
            }
            DrainStep::CloseAll => {
                if connected > 0 {
                    ::log::warn!("drain timeout: closing {connected} connections");
                }
                self.command_all(|| WorkerCommand::CloseAll);
            }
            DrainStep::Complete => self.stopped = true,
            DrainStep::WorkerStuck => {
                ::log::error!("a worker did not stop in time; exiting");
                self.stopped = true;
            }
        }
    }

    fn command_all(&self, command: impl Fn() -> WorkerCommand) {
        self.daemon.workers.iter().for_each(|worker| worker.send(command()));
    }

    fn reply(&mut self, clients: Vec<Token>, exit: Exit, text: &str, now: Instant) {
        if let Some(control) = &mut self.daemon.control {
            let reply = ControlReply { exit: exit.code(), text: text.to_owned() };
            clients.into_iter().for_each(|client| control.reply(client, &reply, now));
        }
    }
}
