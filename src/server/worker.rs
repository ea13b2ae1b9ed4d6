//! An event loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::accept::Accepting;
use super::client::Client;
use super::mailbox::Mailbox;
use super::slots::{NOT_A_SLOT, Slots};
use super::timers::Timers;
use super::{Notice, Order, Reply, Report, Setup, Shared};
use crate::config::Limits;
use crate::connection::{Answered, CloseReason, Context, Event, Phase, Scratch, Settings};
use crate::handle::{Done, Fault, Files, Policy};
use crate::log::{self, Access, Escaped, Every};
use crate::metrics::Tally;

/// The token of the mailbox.
const MAIL: Token = Token(usize::MAX);

/// Bytes that a client may be sent before others get their turn.
const ROUND: usize = 512 * 1024;

/// Clients whose requests are taken before the first of them is answered. Each may keep [`crate::connection::INPUT`]
/// bytes meanwhile.
const BATCH: usize = 64;

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
    /// Clients for whom something can be done now.
    queue: Vec<Token>,
    timers: Timers,
    pub(super) accepting: Accepting,
    settings: Settings,
    pub(super) limits: Limits,
    policy: Arc<Policy>,
    files: Files,
    /// When files that nobody asks for are closed next.
    age_at: Option<Instant>,
    scratch: Scratch,
    happened: Vec<Event>,
    pub(super) tally: Tally,
    pub(super) draining: bool,
    faults: Every,
}

/// Why a client is looked at.
enum Cause {
    /// What it has sent is taken; it is answered when that of others has been taken too.
    Received,
    Ready,
    Deadline,
    Disk(Option<Done>),
    Drain,
    Reset,
    Cut,
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
            queue: Vec::new(),
            timers: Timers::new(now),
            accepting: Accepting::new(),
            settings,
            limits,
            files: Files::new(policy.clone()),
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
        if !self.queue.is_empty() || self.accepting.is_ready() {
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
        self.serve_queue(now);
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
        let clients = &self.clients;
        let counts = |tick, token| clients.get(token).is_some_and(|client| client.alarm == Some(tick));
        self.timers.sweep(clients.len(), counts);
        self.age(now);
    }

    /// Serves the clients in the queue; those who are put into it meanwhile come in the next round.
    fn serve_queue(&mut self, now: Instant) {
        let mut queue = std::mem::take(&mut self.queue);
        self.files.expect_change();
        // Requests go before answers that are under way: most are answered in less time than a piece of those takes.
        for batch in queue.chunks(BATCH) {
            for &token in batch {
                if self.is_queued(token, false) {
                    self.serve(token, Cause::Received, now);
                }
            }
            for &token in batch {
                if self.is_queued(token, false) {
                    self.serve(token, Cause::Ready, now);
                }
            }
        }
        for &token in &queue {
            if self.is_queued(token, true) {
                self.serve(token, Cause::Ready, now);
            }
        }
        // Its memory is used again.
        queue.clear();
        queue.append(&mut self.queue);
        self.queue = queue;
    }

    /// Whether a client is in the queue, and in the middle of an answer or not.
    fn is_queued(&self, token: Token, sending: bool) -> bool {
        let is = |client: &Client| client.queued && sending == (client.connection.phase() == Phase::Sending);
        self.clients.get(token).is_some_and(is)
    }

    /// Closes files and the root when nobody asks for them any more.
    fn age(&mut self, now: Instant) {
        match self.age_at {
            Some(at) if at <= now => self.age_at = (!self.files.age()).then_some(now + AGE),
            Some(_) => {}
            None if self.files.holds() => self.age_at = Some(now + AGE),
            None => {}
        }
    }

    fn notice(&mut self, token: Token, event: &mio::event::Event, now: Instant) {
        let Some(client) = self.clients.get_mut(token) else { return };
        if client.socket.notice(event) {
            self.serve(token, Cause::Reset, now);
        } else if !client.queued && client.is_ready() {
            client.queued = true;
            self.queue.push(token);
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
            Order::Disk { token, policy, done } => {
                if let (Some(policy), Some(done)) = (&policy, &done) {
                    self.files.learn(policy, done);
                }
                self.serve(token, Cause::Disk(done), now);
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
            Order::Cut => self.serve_all(|| Cause::Cut, now),
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

    /// Puts a client into the poll and into the queue.
    pub(super) fn insert(&mut self, mut client: Client) {
        let token = self.clients.next_token();
        let both = Interest::READABLE | Interest::WRITABLE;
        client.queued = true;
        let registered = self.poll.registry().register(&mut client.socket.stream, token, both);
        self.clients.insert(client);
        if let Err(error) = registered {
            ::log::error!("cannot wait for a client: {error}");
            self.remove(token, CloseReason::Reset);
        } else {
            self.queue.push(token);
        }
    }

    fn remove(&mut self, token: Token, reason: CloseReason) {
        let Some(mut client) = self.clients.remove(token) else { return };
        let _ = self.poll.registry().deregister(&mut client.socket.stream);
        if let Some(wanted) = client.wanted {
            wanted.store(false, Ordering::Relaxed);
        }
        self.tally.closed(reason);
        ::log::debug!("{} is gone: {}", client.peer.address(), reason.name());
        if client.entered {
            self.shared.gate.leave(client.peer.ip);
            self.shared.loads[self.id].fetch_sub(1, Ordering::Relaxed);
        } else {
            self.accepting.turned_away -= 1;
        }
    }

    /// Does for a client what can be done now, within a round's budget.
    fn serve(&mut self, token: Token, cause: Cause, now: Instant) {
        let Some(client) = self.clients.get_mut(token) else { return };
        let mut cx = Context {
            transport: &mut client.socket,
            files: &mut self.files,
            settings: &self.settings,
            now,
            draining: self.draining,
            record: log::access_enabled(),
            scratch: &mut self.scratch,
            events: &mut self.happened,
            job: None,
            budget: ROUND,
        };
        let connection = &mut client.connection;
        let goes_on = !matches!(cause, Cause::Received);
        match cause {
            Cause::Received => connection.receive(&mut cx),
            Cause::Ready => client.queued = false,
            Cause::Deadline => connection.handle_deadline(&mut cx),
            Cause::Disk(Some(done)) => connection.handle_disk(done, &mut cx),
            Cause::Disk(None) => connection.handle_no_disk(&mut cx),
            Cause::Drain => {
                cx.transport.look_again();
                connection.handle_drain(&mut cx);
            }
            Cause::Reset => connection.handle_reset(&mut cx),
            Cause::Cut => connection.handle_abort(CloseReason::Cut, &mut cx),
        }
        while goes_on && cx.budget > 0 && cx.job.is_none() {
            let events = connection.events();
            if events.run || (events.read && cx.transport.is_readable()) {
                connection.handle_input(&mut cx);
            } else if events.write && cx.transport.is_writable() {
                connection.handle_output(&mut cx);
            } else {
                break;
            }
        }
        let (job, gone) = (cx.job, connection.to_remove());
        if let Some(job) = job {
            let wanted = Arc::new(AtomicBool::new(true));
            client.wanted = Some(wanted.clone());
            let policy = Some(self.policy.clone());
            let reply = Reply { worker: self.mailbox.clone(), token, policy, wanted, sent: false };
            self.shared.pool.submit(job, reply);
        }
        if !self.happened.is_empty() {
            let peer = client.peer.address();
            self.tell(peer, now);
        }
        match gone {
            Some(reason) => self.remove(token, reason),
            None if goes_on => self.set_alarm(token),
            None => {}
        }
    }

    /// Puts a client that is not done into the queue again, and sees to its deadline.
    fn set_alarm(&mut self, token: Token) {
        let Some(client) = self.clients.get_mut(token) else { return };
        if !client.queued && client.is_ready() {
            client.queued = true;
            self.queue.push(token);
        }
        if let Some(deadline) = client.connection.deadline(&self.settings) {
            self.timers.set(token, deadline, &mut client.alarm);
        }
    }

    /// Counts and logs what happened on a connection.
    fn tell(&mut self, peer: std::net::SocketAddr, now: Instant) {
        for event in self.happened.drain(..) {
            match event {
                Event::Answered(answered) => {
                    self.tally.answered(&answered);
                    if self.shared.root_is_lost.load(Ordering::Relaxed) && self.files.is_reached() {
                        self.shared.root_is_lost.store(false, Ordering::Relaxed);
                        ::log::info!("the root {} is there again", self.policy.root.display());
                    }
                    let Answered { code, bytes, since, complete, request } = answered;
                    if let Some(request) = request {
                        let duration = since.elapsed();
                        log::access(Access { peer, request, code: code.number(), bytes, duration, complete });
                    }
                }
                Event::Fault { fault: Fault::Root(errno), .. } => {
                    if !self.shared.root_is_lost.swap(true, Ordering::Relaxed) {
                        let (root, error) = (self.policy.root.display(), io::Error::from(errno));
                        ::log::error!(
                            "cannot reach the root {root}: {error}; requests get 199 until it is there again"
                        );
                    }
                }
                Event::Fault { name, fault } => {
                    if let Some(suppressed) = self.faults.tick(now) {
                        let name = name.as_deref().unwrap_or(b"the directory or a file that is being sent");
                        ::log::warn!(
                            "cannot read {} in {}: {fault} ({suppressed} like messages were left out)",
                            Escaped(name),
                            self.policy.root.display()
                        );
                    }
                }
            }
        }
    }
}
