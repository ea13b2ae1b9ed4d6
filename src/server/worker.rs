//! An event loop.

mod clients;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::accept::Accepting;
use super::client::Client;
use super::mailbox::Mailbox;
use super::pool::Lent;
use super::slots::{NOT_A_SLOT, Slots};
use super::timers::Timers;
use super::{Notice, Order, Report, Setup, Shared};
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
pub(super) struct Worker {
    pub(super) id: usize,
    pub(super) poll: Poll,
    orders: Receiver<Order>,
    mailbox: Mailbox<Order>,
    /// All workers, this one too.
    pub(super) peers: Vec<Mailbox<Order>>,
    supervisor: Mailbox<Notice>,
    pub(super) shared: Arc<Shared>,
    clients: Slots<Client>,
    queues: Queues,
    /// Small answers of this round that a thread is to send.
    lent: Vec<Lent>,
    timers: Timers,
    pub(super) accepting: Accepting,
    settings: Settings,
    pub(super) limits: Limits,
    policy: Arc<Policy>,
    files: RootView,
    /// When files that nobody asks for are closed next.
    age_at: Option<Instant>,
    scratch: Scratch,
    happened: Vec<Event>,
    pub(super) tally: Tally,
    pub(super) draining: bool,
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
pub(super) struct Berth {
    poll: Poll,
    orders: Receiver<Order>,
    pub(super) mailbox: Mailbox<Order>,
}

impl Berth {
    pub(super) fn new() -> io::Result<Berth> {
        let poll = Poll::new()?;
        let (mailbox, orders) = Mailbox::new(poll.registry(), MAIL)?;
        Ok(Berth { poll, orders, mailbox })
    }
}

impl Worker {
    pub(super) fn new(
        id: usize,
        berth: Berth,
        peers: Vec<Mailbox<Order>>,
        supervisor: Mailbox<Notice>,
        shared: Arc<Shared>,
        setup: Setup,
    ) -> Worker {
        let Berth { poll, orders, mailbox } = berth;
        let Setup { settings, limits, policy, listeners } = setup;
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
            accepting: Accepting::new(),
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
    pub(super) fn run(mut self) {
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
        self.supervisor.send(Notice::Ended);
    }

    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        if !self.queues.are_empty() || self.accepting.is_ready() {
            return Some(Duration::ZERO);
        }
        let accepting = self.accepting.deadline().map(|deadline| deadline.saturating_duration_since(now));
        let age = self.age_at.map(|at| at.saturating_duration_since(now));
        self.timers.timeout(now).into_iter().chain(accepting).chain(age).min()
    }

    /// What is done between two polls.
    fn round(&mut self, events: &Events, now: Instant) {
        for event in events {
            match event.token() {
                MAIL => {}
                Token(token) if token & NOT_A_SLOT != 0 => self.accepting.notice(event.token()),
                token => self.notice(token, event, now),
            }
        }
        while let Ok(order) = self.orders.try_recv() {
            self.obey(order, now);
        }
        self.accept(now);
        self.serve_queues(now);
        while let Some((tick, token)) = self.timers.rung(now) {
            let Some(client) = self.clients.get_mut(token).filter(|client| client.alarm == Some(tick)) else {
                continue;
            };
            client.alarm = None;
            let due = client.connection.deadline(&self.settings).is_some_and(|deadline| deadline <= now);
            if due {
                self.serve(token, Cause::Deadline, now);
            } else {
                self.set_alarm(token);
            }
        }
        self.lend_all();
        let clients = &self.clients;
        let counts = |tick, token| clients.get(token).is_some_and(|client| client.alarm == Some(tick));
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

    fn obey(&mut self, order: Order, now: Instant) {
        match order {
            Order::Client(client) => {
                let token = self.clients.next_token();
                self.take_in(client, now);
                if self.draining {
                    self.serve(token, Cause::Drain, now);
                }
            }
            Order::Found { token, policy, done } => {
                if let (Some(policy), Some(done)) = (&policy, &done) {
                    self.files.update_from(policy, done);
                }
                self.queues.done.push_back(Finished::LookUp(token, done));
            }
            Order::Sent(answers) => {
                self.queues.done.extend(answers.into_iter().map(Finished::Send));
            }
            Order::Setup(setup) => {
                let Setup { settings, limits, policy, listeners } = *setup;
                self.files.set_policy(policy.clone());
                (self.settings, self.limits, self.policy) = (settings, limits, policy);
                if !self.draining {
                    self.listen(listeners, now);
                }
                // Alarms stay as they are: a new timeout counts from the next request on.
                // Said once listeners that are gone are closed: then the whole of it is in force.
                self.accepting.reports = true;
            }
            Order::Report(serial) => {
                let report = Box::new(self.report());
                self.supervisor.send(Notice::Report { serial, report });
            }
            Order::Ping(serial) => self.supervisor.send(Notice::Pong { worker: self.id, serial }),
            Order::Drain => {
                // Whom it accepts now it keeps: another worker may have ended already.
                self.draining = true;
                self.accept_last(now);
                self.serve_all(|| Cause::Drain, now);
            }
            Order::Cut => self.serve_all(|| Cause::Abort(CloseReason::Cut), now),
        }
    }

    /// The configuration is in force here.
    pub(super) fn set_up(&self) {
        self.supervisor.send(Notice::SetUp);
    }

    fn serve_all(&mut self, cause: impl Fn() -> Cause, now: Instant) {
        for token in self.clients.tokens() {
            self.serve(token, cause(), now);
        }
    }

    fn report(&self) -> Report {
        let mut phases = [0; Phase::OPEN.len()];
        for client in self.clients.iter() {
            if let Some(at) = Phase::OPEN.iter().position(|&phase| phase == client.connection.phase()) {
                phases[at] += 1;
            }
        }
        Report { tally: self.tally.clone(), phases }
    }
}
