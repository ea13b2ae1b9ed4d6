//! A worker: an event loop with its listeners and clients.

mod acceptor;
mod balance;
mod client;
mod clients;
mod lending;
mod queues;
mod reporter;
mod timers;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Token};

use super::mailbox::{Inbox, Mailbox};
use super::messages::{SupervisorEvent, WorkerCommand};
use super::shared::WorkerShared;
use super::slots::LISTENER_BIT;
use super::sync::Poll;
use super::worker_config::WorkerConfig;
use acceptor::Acceptor;
use clients::Clients;

/// The token of the mailbox.
const MAIL: Token = Token(usize::MAX);

/// A worker.
pub(super) struct Worker {
    id: usize,
    poll: Poll,
    commands: Inbox<WorkerCommand>,
    supervisor: Mailbox<SupervisorEvent>,
    acceptor: Acceptor,
    clients: Clients,
}

/// The poll and the mailbox of a worker whose thread does not run yet.
pub(super) struct WorkerChannel {
    poll: Poll,
    commands: Inbox<WorkerCommand>,
    pub(super) mailbox: Mailbox<WorkerCommand>,
}

impl WorkerChannel {
    pub(super) fn new() -> io::Result<WorkerChannel> {
        let poll = Poll::new()?;
        let (mailbox, commands) = Mailbox::new(poll.registry(), MAIL)?;
        Ok(WorkerChannel { poll, commands, mailbox })
    }
}

impl Worker {
    /// The worker with the number `id` among `workers`.
    pub(super) fn new(
        id: usize,
        channel: WorkerChannel,
        workers: Vec<Mailbox<WorkerCommand>>,
        supervisor: Mailbox<SupervisorEvent>,
        shared: Arc<WorkerShared>,
        config: WorkerConfig,
    ) -> Worker {
        let WorkerChannel { poll, commands, .. } = channel;
        let acceptor = Acceptor::new(shared.clone());
        let clients = Clients::new(id, workers, shared, config.rules.clone());
        let mut worker = Worker { id, poll, commands, supervisor, acceptor, clients };
        worker.configure(config, Instant::now());
        worker
    }

    /// Serves until a drain is complete.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        // Another worker that does not drain yet may have sent a client.
        while !(self.clients.is_draining() && self.clients.are_empty() && self.commands.close_if_empty()) {
            if let Err(error) = self.poll.poll(&mut events, self.timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                // Any other error of epoll_wait(2) is a bug.
                panic!("an event loop cannot wait: {error}");
            }
            self.round(&events, Instant::now());
        }
        self.supervisor.send(SupervisorEvent::WorkerStopped);
    }

    fn timeout(&self) -> Option<Duration> {
        if self.acceptor.is_ready() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let acceptor = self.acceptor.deadline().map(|deadline| deadline.saturating_duration_since(now));
        self.clients.timeout(now).into_iter().chain(acceptor).min()
    }

    /// What is done between two polls.
    fn round(&mut self, events: &Events, now: Instant) {
        for event in events {
            match event.token() {
                MAIL => {}
                token if token.0 & LISTENER_BIT != 0 => self.acceptor.on_event(token),
                token => self.clients.on_event(token, event, now),
            }
        }
        while let Some(command) = self.commands.next() {
            self.handle_command(command, now);
        }
        let (registry, clients) = (self.poll.registry(), &mut self.clients);
        self.acceptor.accept(registry, now, &mut |accepted| clients.admit(accepted, registry, now));
        self.clients.serve(now);
    }

    fn handle_command(&mut self, command: WorkerCommand, now: Instant) {
        match command {
            WorkerCommand::AddClient(client) => self.clients.add_from_worker(client, self.poll.registry(), now),
            WorkerCommand::LookedUp { token, policy, result } => self.clients.looked_up(token, &policy, result),
            WorkerCommand::Sent(answers) => self.clients.sent(answers),
            WorkerCommand::Reconfigure { serial, config } => {
                self.configure(*config, now);
                self.supervisor.send(SupervisorEvent::Reconfigured { serial });
            }
            WorkerCommand::ReportStatus(serial) => {
                let mut status = Box::new(self.clients.status());
                status.counters += &self.acceptor.counters;
                self.supervisor.send(SupervisorEvent::WorkerStatus { worker: self.id, serial, status });
            }
            WorkerCommand::Ping(serial) => self.supervisor.send(SupervisorEvent::Pong { worker: self.id, serial }),
            WorkerCommand::Drain => {
                self.clients.set_draining();
                let (registry, clients) = (self.poll.registry(), &mut self.clients);
                self.acceptor.close_all(registry, now, &mut |accepted| clients.admit(accepted, registry, now));
                self.clients.drain_all(now);
            }
            WorkerCommand::CloseAll => self.clients.close_all(now),
        }
    }

    /// Applies a configuration. Listeners that it does not name are closed.
    fn configure(&mut self, config: WorkerConfig, now: Instant) {
        self.clients.set_rules(config.rules);
        if !self.clients.is_draining() {
            let (registry, clients) = (self.poll.registry(), &mut self.clients);
            let admit = &mut |accepted| clients.admit(accepted, registry, now);
            self.acceptor.set_listeners(config.listeners, registry, now, admit);
        }
    }
}
