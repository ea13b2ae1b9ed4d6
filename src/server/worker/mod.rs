//! An event loop.

pub(super) mod acceptor;
pub(super) mod balance;
pub(super) mod client;
mod clients;
mod timers;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use self::acceptor::Acceptor;
use self::client::Client;
use self::timers::Timers;
use super::mailbox::Mailbox;
use super::messages::{SupervisorEvent, WorkerCommand, WorkerStatus};
use super::pool::Lent;
use super::shared::Shared;
use super::slots::{LISTENER_BIT, Slots};
use super::worker_config::WorkerConfig;
use crate::config::Limits;
use crate::connection::{Cause, CloseReason, Event, Phase, Scratch, Settings};
use crate::handle::{JobResult, Policy, RootView};
use crate::log::Every;
use crate::metrics::Tally;

/// The token of the mailbox.
const MAIL: Token = Token(usize::MAX);

/// Bytes that a client may be sent by the event loop before others get their turn; requests count too. Some 50 µs.
const ROUND: usize = 96 * 1024;

/// Clients that are served between two polls from each queue. Their requests are taken before the first of them is
/// answered, so that one look at a file serves all of them: with 64 connections that ask for 4 KiB of one file this gives
/// 1.3 times the rate, for `get_metadata` 1.4 times (`tests/bench/run small metadata`).
const BATCH: usize = 32;

/// Clients whose small answers one thread sends.
const SHARED: usize = 32;

/// How long a file that nobody asks for is kept open, at least; at most twice that.
const AGE: Duration = Duration::from_secs(1);

/// An event loop with its clients.
pub(crate) struct Worker {
    pub(crate) id: usize,
    pub(crate) poll: Poll,
    orders: Receiver<WorkerCommand>,
    mailbox: Mailbox<WorkerCommand>,
    /// All workers, this one too.
    pub(crate) peers: Vec<Mailbox<WorkerCommand>>,
    supervisor: Mailbox<SupervisorEvent>,
    pub(crate) shared: Arc<Shared>,
    clients: Slots<Client>,
    queues: Queues,
    /// Small answers of this round that a thread is to send.
    lent: Vec<Lent>,
    timers: Timers,
    pub(crate) acceptor: Acceptor,
    settings: Settings,
    pub(crate) limits: Limits,
    policy: Arc<Policy>,
    files: RootView,
    /// When files that nobody asks for are closed next.
    age_at: Option<Instant>,
    scratch: Scratch,
    happened: Vec<Event>,
    pub(crate) tally: Tally,
    pub(crate) draining: bool,
    faults: Every,
}

/// What is to be done, in the order in which it came. A client is in one of the first two at most once.
#[derive(Default)]
struct Queues {
    /// Clients of which the poll has told something.
    arrived: VecDeque<Token>,
    /// Clients that had their turn and have more to do. They share each round with those that have just come, so that
    /// who asks for much makes nobody wait who asks for little.
    unfinished: VecDeque<Token>,
    /// What threads have done.
    done: VecDeque<Finished>,
}

impl Queues {
    fn are_empty(&self) -> bool {
        self.arrived.is_empty() && self.unfinished.is_empty() && self.done.is_empty()
    }

    /// The clients whose turn it is.
    fn batch(&mut self) -> Vec<Token> {
        let arrived = self.arrived.drain(..self.arrived.len().min(BATCH));
        arrived.chain(self.unfinished.drain(..self.unfinished.len().min(BATCH))).collect()
    }
}

/// What a thread has done.
enum Finished {
    LookUp(Token, Option<JobResult>),
    Send(Lent),
}

/// A worker that can be written to, but does not run yet.
pub(crate) struct WorkerChannel {
    poll: Poll,
    orders: Receiver<WorkerCommand>,
    pub(crate) mailbox: Mailbox<WorkerCommand>,
}

impl WorkerChannel {
    pub(crate) fn new() -> io::Result<WorkerChannel> {
        let poll = Poll::new()?;
        let (mailbox, orders) = Mailbox::new(poll.registry(), MAIL)?;
        Ok(WorkerChannel { poll, orders, mailbox })
    }
}

impl Worker {
    pub(crate) fn new(
        id: usize,
        channel: WorkerChannel,
        peers: Vec<Mailbox<WorkerCommand>>,
        supervisor: Mailbox<SupervisorEvent>,
        shared: Arc<Shared>,
        setup: WorkerConfig,
    ) -> Worker {
        let WorkerChannel { poll, orders, mailbox } = channel;
        let WorkerConfig { settings, limits, policy, listeners } = setup;
        let now = Instant::now();
        let mut worker = Worker {
            id,
            poll,
            orders,
            mailbox,
            peers,
            supervisor,
            shared,
            clients: Slots::new(),
            queues: Queues::default(),
            lent: Vec::new(),
            timers: Timers::new(now),
            acceptor: Acceptor::new(),
            settings,
            limits,
            files: RootView::new(policy.clone()),
            age_at: None,
            policy,
            scratch: Scratch::default(),
            happened: Vec::new(),
            tally: Tally::default(),
            draining: false,
            faults: Every::minute(),
        };
        worker.listen(listeners, now);
        worker
    }

    /// Serves until a drain is over.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !(self.draining && self.clients.len() == 0) {
            if let Err(error) = self.poll.poll(&mut events, self.timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                // epoll_wait(2) fails for nothing but a fault of ours.
                panic!("an event loop cannot wait: {error}");
            }
            self.round(&events, Instant::now());
        }
        self.supervisor.send(SupervisorEvent::WorkerStopped);
    }

    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        if !self.queues.are_empty() || self.acceptor.is_ready() {
            return Some(Duration::ZERO);
        }
        let acceptor = self.acceptor.deadline().map(|deadline| deadline.saturating_duration_since(now));
        let age = self.age_at.map(|at| at.saturating_duration_since(now));
        self.timers.timeout(now).into_iter().chain(acceptor).chain(age).min()
    }

    /// What is done between two polls.
    fn round(&mut self, events: &Events, now: Instant) {
        for event in events {
            match event.token() {
                MAIL => {}
                Token(token) if token & LISTENER_BIT != 0 => self.acceptor.notice(event.token()),
                token => self.notice(token, event, now),
            }
        }
        while let Ok(order) = self.orders.try_recv() {
            self.handle_command(order, now);
        }
        self.accept(now);
        self.serve_queues(now);
        while let Some((tick, token)) = self.timers.pop_expired(now) {
            let Some(client) = self.clients.get_mut(token).filter(|client| client.timer == Some(tick)) else {
                continue;
            };
            client.timer = None;
            let due = client.connection.deadline(&self.settings).is_some_and(|deadline| deadline <= now);
            if due {
                self.serve(token, Cause::Deadline, now);
            } else {
                self.set_timer(token);
            }
        }
        self.lend_all();
        let clients = &self.clients;
        let counts = |tick, token| clients.get(token).is_some_and(|client| client.timer == Some(tick));
        self.timers.sweep(clients.len(), counts);
        self.age(now);
    }

    /// Serves some of the clients that wait.
    fn serve_queues(&mut self, now: Instant) {
        let batch = self.queues.batch();
        for &token in &batch {
            self.receive(token, now);
        }
        // One look at a file serves all who have asked for it by now.
        self.files.begin_epoch();
        for _ in 0..self.queues.done.len().min(BATCH) {
            match self.queues.done.pop_front() {
                Some(Finished::LookUp(token, done)) => self.serve(token, Cause::LookedUp(done), now),
                Some(Finished::Send(lent)) => self.take_back(lent, now),
                None => break,
            }
        }
        for token in batch {
            if let Some(client) = self.clients.get_mut(token) {
                client.queued = false;
                self.serve(token, Cause::Ready, now);
            }
        }
    }

    /// Closes files and the root when nobody asks for them any more.
    fn age(&mut self, now: Instant) {
        match self.age_at {
            Some(at) if at <= now => self.age_at = (!self.files.expire_idle()).then_some(now + AGE),
            Some(_) => {}
            None if self.files.is_open() => self.age_at = Some(now + AGE),
            None => {}
        }
    }

    fn notice(&mut self, token: Token, event: &mio::event::Event, now: Instant) {
        let Some(client) = self.clients.get_mut(token) else { return };
        if client.socket.notice(event) {
            self.serve(token, Cause::Reset, now);
        } else if !client.queued && client.is_ready() {
            client.queued = true;
            self.queues.arrived.push_back(token);
        }
    }

    fn handle_command(&mut self, order: WorkerCommand, now: Instant) {
        match order {
            WorkerCommand::AddClient(client) => {
                let token = self.clients.next_token();
                self.add_client(client, now);
                if self.draining {
                    self.serve(token, Cause::Drain, now);
                }
            }
            WorkerCommand::LookedUp { token, policy, done } => {
                if let (Some(policy), Some(done)) = (&policy, &done) {
                    self.files.update_from(policy, done);
                }
                self.queues.done.push_back(Finished::LookUp(token, done));
            }
            WorkerCommand::Sent(answers) => {
                self.queues.done.extend(answers.into_iter().map(Finished::Send));
            }
            WorkerCommand::Reconfigure(setup) => {
                let WorkerConfig { settings, limits, policy, listeners } = *setup;
                self.files.set_policy(policy.clone());
                (self.settings, self.limits, self.policy) = (settings, limits, policy);
                if !self.draining {
                    self.listen(listeners, now);
                }
                // Alarms stay as they are: a new timeout counts from the next request on.
                // Said once listeners that are gone are closed: then the whole of it is in force.
                self.acceptor.reports = true;
            }
            WorkerCommand::ReportStatus(serial) => {
                let report = Box::new(self.report());
                self.supervisor.send(SupervisorEvent::WorkerStatus { serial, report });
            }
            WorkerCommand::Ping(serial) => self.supervisor.send(SupervisorEvent::Pong { worker: self.id, serial }),
            WorkerCommand::Drain => {
                // Whom it accepts now it keeps: another worker may have ended already.
                self.draining = true;
                self.accept_last(now);
                self.serve_all(|| Cause::Drain, now);
            }
            WorkerCommand::CloseAll => self.serve_all(|| Cause::Abort(CloseReason::Cut), now),
        }
    }

    /// The configuration is in force here.
    pub(crate) fn reconfigured(&self) {
        self.supervisor.send(SupervisorEvent::Reconfigured);
    }

    fn serve_all(&mut self, cause: impl Fn() -> Cause, now: Instant) {
        for token in self.clients.tokens() {
            self.serve(token, cause(), now);
        }
    }

    fn report(&self) -> WorkerStatus {
        let mut phases = [0; Phase::OPEN.len()];
        for client in self.clients.iter() {
            if let Some(at) = Phase::OPEN.iter().position(|&phase| phase == client.connection.phase()) {
                phases[at] += 1;
            }
        }
        WorkerStatus { tally: self.tally.clone(), phases }
    }
}
