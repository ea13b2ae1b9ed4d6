//! The clients of a worker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::acceptor::Accepted;
use super::balance::LocalBias;
use super::client::{Client, Socket};
use super::lending::Lending;
use super::queues::{PoolResult, WorkQueues};
use super::reporter::Reporter;
use super::timers::Timers;
use crate::connection::{Cause, CloseReason, Connection, Context, Event, Phase, Refusal, Scratch, Task};
use crate::handle::{JobResult, Policy, RootView};
use crate::log;
use crate::server::mailbox::Mailbox;
use crate::server::messages::{AdmittedClient, LentAnswers, LookupReply, WorkerCommand, WorkerStatus};
use crate::server::shared::WorkerShared;
use crate::server::slots::Slots;
use crate::server::stream::Stream;
use crate::server::worker_config::ClientRules;

/// Bytes that a client may be sent by the event loop before others get their turn; requests count too. Some 50 µs.
const ROUND: usize = 96 * 1024;

/// The number of refused clients that wait until the reason is sent. Others are closed at once, after one attempt to send.
const MAX_REJECTIONS: usize = 256;

/// The minimum time for which an unused file remains open. The maximum is twice as long.
const FILE_IDLE: Duration = Duration::from_secs(1);

/// The clients of a worker, and what is needed to serve them.
pub(super) struct Clients {
    id: usize,
    /// All workers, this one too.
    workers: Vec<Mailbox<WorkerCommand>>,
    shared: Arc<WorkerShared>,
    slots: Slots<Client>,
    queues: WorkQueues,
    timers: Timers,
    lending: Lending,
    reporter: Reporter,
    local_bias: LocalBias,
    rules: ClientRules,
    files: RootView,
    /// When files that are not asked for are closed next.
    expire_files_at: Option<Instant>,
    /// Refused clients that are being sent the reason.
    rejected: usize,
    draining: bool,
    scratch: Scratch,
    events: Vec<Event>,
}

impl Clients {
    pub(super) fn new(
        id: usize,
        workers: Vec<Mailbox<WorkerCommand>>,
        shared: Arc<WorkerShared>,
        rules: ClientRules,
    ) -> Clients {
        Clients {
            id,
            slots: Slots::new(),
            queues: WorkQueues::default(),
            timers: Timers::default(),
            lending: Lending::new(shared.pool.clone(), workers[id].clone()),
            workers,
            reporter: Reporter::new(shared.clone()),
            shared,
            local_bias: LocalBias::new(),
            files: RootView::new(rules.policy.clone()),
            rules,
            expire_files_at: None,
            rejected: 0,
            draining: false,
            scratch: Scratch::default(),
            events: Vec::new(),
        }
    }

    pub(super) fn are_empty(&self) -> bool {
        self.slots.len() == 0
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Admits and serves clients by these rules from now on. Timers stay as they are: a new timeout applies from the
    /// next request.
    pub(super) fn set_rules(&mut self, rules: ClientRules) {
        self.files.set_policy(rules.policy.clone());
        self.rules = rules;
    }

    /// Admits a client that was accepted, and gives it to a worker: to the one with the fewest clients, or to this one
    /// where clients come and go. During a drain it stays here, because another worker may have stopped.
    pub(super) fn admit(&mut self, accepted: Accepted, registry: &Registry, now: Instant) {
        let Accepted { stream, peer, framing } = accepted;
        let limits = &self.rules.limits;
        let permit = self.shared.admission.admit(limits).and_then(|permit| permit.identify(peer.ip(), limits));
        let permit = match permit {
            Ok(permit) => permit,
            Err(refusal) => return self.reject(Stream::new(stream), peer, refusal, registry, now),
        };
        let client = AdmittedClient { stream, peer, framing, permit };
        let loads = &self.shared.loads;
        let load = |worker: usize| loads[worker].load(Ordering::Relaxed);
        let least = (0..loads.len()).min_by_key(|&worker| load(worker)).unwrap_or(self.id);
        if self.draining || self.local_bias.keeps(load(self.id), load(least), now) {
            loads[self.id].fetch_add(1, Ordering::Relaxed);
            self.add_admitted(client, registry, now);
        } else {
            loads[least].fetch_add(1, Ordering::Relaxed);
            // A worker that has stopped hands the client back: a drain has begun, of which this one has not heard yet.
            if let Err(WorkerCommand::AddClient(client)) = self.workers[least].offer(WorkerCommand::AddClient(client)) {
                loads[least].fetch_sub(1, Ordering::Relaxed);
                loads[self.id].fetch_add(1, Ordering::Relaxed);
                self.add_admitted(client, registry, now);
            }
        }
    }

    /// Adds a client that another worker has accepted.
    pub(super) fn add_from_worker(&mut self, client: AdmittedClient, registry: &Registry, now: Instant) {
        let token = self.add_admitted(client, registry, now);
        if self.draining {
            self.drive(token, Cause::Drain, now);
        }
    }

    fn add_admitted(&mut self, client: AdmittedClient, registry: &Registry, now: Instant) -> Token {
        let AdmittedClient { stream, peer, framing, permit } = client;
        let connection = Connection::new(framing, now);
        self.add(Client::new(Arc::new(Stream::new(stream)), peer, connection, Some(permit)), registry)
    }

    /// Sends a client the reason why it is refused. In a flood most are closed at once.
    fn reject(&mut self, stream: Stream, peer: SocketAddr, refusal: Refusal, registry: &Registry, now: Instant) {
        self.reporter.counters.refused(refusal);
        ::log::debug!("{peer} is refused: {}", refusal.name());
        if self.rejected < MAX_REJECTIONS {
            self.rejected += 1;
            let connection = Connection::refused(refusal.line(), now);
            self.add(Client::new(Arc::new(stream), peer, connection, None), registry);
        } else {
            let _ = crate::connection::Sink::write(&mut &stream, refusal.line().as_bytes(), false);
        }
    }

    /// Puts a client into the poll and into the queue.
    fn add(&mut self, mut client: Client, registry: &Registry) -> Token {
        client.queued = true;
        let registered = client.socket.stream.register(registry, self.slots.next_token());
        let token = self.slots.insert(client);
        match registered {
            Ok(()) => self.queues.push_arrived(token),
            Err(error) => {
                ::log::error!("cannot register a client with epoll: {error}");
                self.remove(token, CloseReason::Reset);
            }
        }
        token
    }

    fn remove(&mut self, token: Token, reason: CloseReason) {
        let Some(client) = self.slots.remove(token) else { return };
        if client.socket.close() {
            self.shared.pool.client_removed();
        }
        self.reporter.counters.closed(reason);
        ::log::debug!("{} is closed: {}", SocketAddr::from(client.peer), reason.name());
        if client.permit.is_some() {
            self.shared.loads[self.id].fetch_sub(1, Ordering::Relaxed);
            self.local_bias.client_left(self.shared.admission.connected());
        } else {
            self.rejected -= 1;
        }
    }

    /// The poll reports a client.
    pub(super) fn on_event(&mut self, token: Token, event: &mio::event::Event, now: Instant) {
        let Some(client) = self.slots.get_mut(token) else { return };
        if client.socket.on_event(event) {
            self.drive(token, Cause::Reset, now);
        } else if !client.queued && client.is_ready() {
            client.queued = true;
            self.queues.push_arrived(token);
        }
    }

    /// A pool thread has looked something up.
    pub(super) fn looked_up(&mut self, token: Token, policy: &Arc<Policy>, result: Option<JobResult>) {
        if let Some(result) = &result {
            self.files.update_from(policy, result);
        }
        self.queues.push_results(std::iter::once(PoolResult::LookedUp(token, result)));
    }

    /// A pool thread gives answers back.
    pub(super) fn sent(&mut self, answers: Vec<LentAnswers>) {
        self.queues.push_results(answers.into_iter().map(PoolResult::Sent));
    }

    /// From now on no client is given to another worker, and none begins a request.
    pub(super) fn set_draining(&mut self) {
        self.draining = true;
    }

    /// Ends the connections that are between two requests, and lets the others finish their answers.
    pub(super) fn drain_all(&mut self, now: Instant) {
        self.drive_all(|| Cause::Drain, now);
    }

    /// Closes all connections.
    pub(super) fn close_all(&mut self, now: Instant) {
        self.drive_all(|| Cause::Abort(CloseReason::Cut), now);
    }

    fn drive_all(&mut self, cause: impl Fn() -> Cause, now: Instant) {
        for token in self.slots.tokens() {
            self.drive(token, cause(), now);
        }
    }

    /// How long the poll may wait; none if nothing is due.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        if !self.queues.are_empty() {
            return Some(Duration::ZERO);
        }
        let expire = self.expire_files_at.map(|at| at.saturating_duration_since(now));
        self.timers.timeout(now).into_iter().chain(expire).min()
    }

    /// Does what is due between two polls.
    pub(super) fn serve(&mut self, now: Instant) {
        self.serve_queues(now);
        self.handle_timers(now);
        self.lending.flush();
        self.expire_files(now);
    }

    /// Serves some of the clients that wait.
    fn serve_queues(&mut self, now: Instant) {
        let batch = self.queues.take_clients();
        for &token in &batch {
            self.with_connection(token, now, |connection, cx| connection.receive(cx));
        }
        // A file is looked up once for all requests that were received.
        self.files.begin_epoch();
        for result in self.queues.take_results() {
            match result {
                PoolResult::LookedUp(token, result) => self.drive(token, Cause::LookedUp(result), now),
                PoolResult::Sent(answers) => self.take_back(answers, now),
            }
        }
        for token in batch {
            if let Some(client) = self.slots.get_mut(token) {
                client.queued = false;
                self.drive(token, Cause::Ready, now);
            }
        }
    }

    fn handle_timers(&mut self, now: Instant) {
        while let Some((at, token)) = self.timers.pop_expired(now) {
            let Some(client) = self.slots.get_mut(token).filter(|client| client.timer == Some(at)) else { continue };
            client.timer = None;
            if client.connection.deadline(&self.rules.settings).is_some_and(|deadline| deadline <= now) {
                self.drive(token, Cause::Deadline, now);
            } else {
                self.requeue(token);
            }
        }
        let slots = &self.slots;
        let is_current = |at, token| slots.get(token).is_some_and(|client| client.timer == Some(at));
        self.timers.compact(slots.len(), is_current);
    }

    /// Closes files and the root when they are not asked for any more.
    fn expire_files(&mut self, now: Instant) {
        match self.expire_files_at {
            Some(at) if at <= now => {
                self.expire_files_at = (!self.files.expire_idle()).then_some(now + FILE_IDLE);
            }
            None if self.files.is_open() => self.expire_files_at = Some(now + FILE_IDLE),
            _ => {}
        }
    }

    /// A pool thread gives back a client's answers. Those of a client that was removed are counted as well.
    fn take_back(&mut self, answers: LentAnswers, now: Instant) {
        if self.slots.get(answers.token).is_some() {
            return self.drive(answers.token, Cause::Sent(answers.task), now);
        }
        self.events.extend(answers.task.abandon());
        self.report(answers.peer, now);
    }

    /// Does for a client what can be done now, within a round's budget.
    fn drive(&mut self, token: Token, cause: Cause, now: Instant) {
        if self.with_connection(token, now, |connection, cx| connection.drive(cause, cx)) {
            self.requeue(token);
        }
    }

    /// Calls `step` and performs its tasks. Returns whether the client remains.
    fn with_connection(
        &mut self,
        token: Token,
        now: Instant,
        step: impl FnOnce(&mut Connection, &mut Context<'_, Socket>),
    ) -> bool {
        let Some(client) = self.slots.get_mut(token) else { return false };
        let mut cx = Context {
            transport: &mut client.socket,
            files: &mut self.files,
            settings: &self.rules.settings,
            now,
            draining: self.draining,
            record: log::access_enabled(),
            scratch: &mut self.scratch,
            events: &mut self.events,
            task: None,
            budget: ROUND,
        };
        step(&mut client.connection, &mut cx);
        let (task, closed) = (cx.task, client.connection.closed());
        let peer = SocketAddr::from(client.peer);
        if let Some(task) = task {
            let stream = client.socket.stream.clone();
            match task {
                Task::LookUp(job) => {
                    let (worker, policy) = (self.workers[self.id].clone(), self.rules.policy.clone());
                    self.shared.pool.look_up(job, LookupReply { worker, token, policy, stream, result: None });
                }
                Task::Send(task) => self.lending.lend(LentAnswers { token, peer, stream, task }),
            }
        }
        self.report(peer, now);
        if let Some(reason) = closed {
            self.remove(token, reason);
        }
        closed.is_none()
    }

    /// Queues a client that has more to do, and sets its timer.
    fn requeue(&mut self, token: Token) {
        let Some(client) = self.slots.get_mut(token) else { return };
        if !client.queued && client.is_ready() {
            client.queued = true;
            self.queues.push_unfinished(token);
        }
        if let Some(deadline) = client.connection.deadline(&self.rules.settings) {
            self.timers.set(token, deadline, &mut client.timer);
        }
    }

    /// Counts and logs what happened on a connection.
    fn report(&mut self, peer: SocketAddr, now: Instant) {
        for event in self.events.drain(..) {
            self.reporter.report(event, peer, &self.files, &self.rules.policy.root, now);
        }
    }

    pub(super) fn status(&self) -> WorkerStatus {
        let mut phases = [0; Phase::OPEN.len()];
        for client in self.slots.iter() {
            if let Some(at) = Phase::OPEN.iter().position(|&phase| phase == client.connection.phase()) {
                phases[at] += 1;
            }
        }
        WorkerStatus { counters: self.reporter.counters.clone(), phases }
    }
}
