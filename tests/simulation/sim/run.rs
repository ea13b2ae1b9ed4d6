//! Drives a connection as a worker does, without a poll and without threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hftpd::connection::{
    Cause, CloseReason, Connection, Context, Event, Phase, Scratch, SendMemory, SendTask, Settings, Task,
};
use hftpd::handle::{JobResult, Policy, RootView};
use hftpd::wire::{Encoding, Framing, NameCharset, code};

use super::checks;
use super::oracle::Oracle;
use super::rng::Rng;
use super::socket::{FaultRates, Socket};
use super::world::{Store, World};

/// A connection and its environment.
pub(crate) struct Run<'s> {
    pub(crate) connection: Connection,
    pub(crate) socket: Socket<'s>,
    pub(crate) oracle: Oracle,
    pub(crate) settings: Settings,
    pub(crate) now: Instant,
    /// The number of reported answers when the drain began.
    pub(crate) reported_at_drain: Option<usize>,
    /// The task of a pool thread. A connection has one at a time.
    pub(crate) task: Option<Task>,
    /// The drain began while a thread had answers. It may send all of them.
    pub(crate) lent_at_drain: bool,
    /// Why it was closed.
    pub(crate) gone: Option<CloseReason>,
    /// When the client last took bytes, or when an answer began.
    pub(crate) last_taken: Instant,
    /// Most requests are for a file that becomes shorter.
    pub(crate) shrinking: bool,
    /// A deadline expired while a thread had a task.
    pub(crate) disk_timed_out: bool,
    /// A task to send was returned without a thread.
    pub(crate) without_thread: bool,
    /// The steps so far. Printed if the run fails.
    pub(crate) trace: Vec<String>,
    files: RootView,
    policy: Arc<Policy>,
    /// The policy at the time of the look-up.
    lookup_policy: Arc<Policy>,
    scratch: Scratch,
    memory: SendMemory,
    events: Vec<Event>,
    timer: Option<Instant>,
    budgets: &'static [usize],
    record: bool,
}

impl<'s> Run<'s> {
    pub(crate) fn new(mut rng: Rng, store: &'s Store) -> Run<'s> {
        let now = Instant::now();
        let mut rules = store.rules();
        rules.printable = rng.chance(20);
        rules.hidden = rng.chance(20);
        rules.request_line = *rng.pick(&[512, 512, 600, 2000, 100_000]);
        // Some runs request mostly a file that becomes shorter.
        let shrinking = rng.chance(15);
        let fault_rates = fault_rates(&mut rng, shrinking);
        let fatal = *rng.pick(&[0, 0, 2, 10, 40]);
        let mut script = Vec::new();
        let many = *rng.pick(&[1, 3, 10, 10, 60]);
        for _ in 0..rng.between(1, many) {
            if shrinking && rng.chance(60) {
                let (size, raw) = (rng.between(1, 200_000), if rng.chance(30) { " raw" } else { "" });
                script.extend_from_slice(format!("get_slice shrinks {} {size}{raw}\r\n", 200_000 - size).as_bytes());
            } else {
                script.extend_from_slice(&store.catalogue.request(&mut rng, fatal));
            }
        }
        if rng.chance(10) {
            script.truncate(script.len() - rng.below(script.len().min(20)));
        }
        let framing = *rng.pick(&[
            Framing::from(Encoding::Fragments),
            Framing::from(Encoding::Plain),
            Framing::from(Encoding::Base64),
            Framing::base64_lines(3),
            Framing::base64_lines(48 << 10),
            Framing::base64_lines(99_999),
        ]);
        let budgets: &[&[usize]] = &[&[512 << 10], &[512 << 10], &[1, 700, 5000, 512 << 10], &[1], &[60_000, 100_000]];
        let budgets = *rng.pick(budgets);
        let record = rng.chance(50);
        let world = World::new(store, rules);
        if rng.chance(30) {
            world.forget_pages();
        }
        let mut run = Run::start(Socket::new(rng, fault_rates, world, script), framing, now);
        run.trace.push(format!("{framing:?} {rules:?} {fault_rates:?} budgets {budgets:?}"));
        run.trace.push(format!("script {}", show(&run.socket.script)));
        (run.shrinking, run.budgets, run.record) = (shrinking, budgets, record);
        let rng = &mut run.socket.rng;
        if rng.chance(20) {
            run.settings.rate = *rng.pick(&[1024, 100_000, 1 << 20, 1 << 30]);
        }
        if rng.chance(1) {
            let line = *rng.pick(&[code::TOO_MANY_CONNECTIONS, code::ADDRESS_DENIED]);
            (run.connection, run.oracle) = (Connection::refused(line, now), Oracle::refused(line));
        }
        run.set_timer();
        run
    }

    /// A new connection with this socket, without a limit of its rate.
    pub(crate) fn start(socket: Socket<'s>, framing: Framing, now: Instant) -> Run<'s> {
        let policy = socket.world.policy();
        let mut settings = Settings {
            names: NameCharset::Portable,
            request_line: 0,
            rate: 0,
            idle: Duration::from_secs(300),
            request: Duration::from_secs(60),
            stall: Duration::from_secs(60),
        };
        apply(&mut settings, &socket.world);
        Run {
            connection: Connection::new(framing, now),
            socket,
            oracle: Oracle::new(framing),
            settings,
            now,
            reported_at_drain: None,
            task: None,
            lent_at_drain: false,
            gone: None,
            last_taken: now,
            shrinking: false,
            disk_timed_out: false,
            without_thread: false,
            trace: Vec::new(),
            files: RootView::new(policy.clone()),
            lookup_policy: policy.clone(),
            policy,
            scratch: Scratch::default(),
            memory: SendMemory::default(),
            events: Vec::new(),
            timer: None,
            budgets: &[512 << 10],
            record: false,
        }
    }

    /// Calls [`Connection::drive`].
    pub(crate) fn serve(&mut self, cause: Cause) {
        self.with_connection(|connection, cx| connection.drive(cause, cx));
    }

    /// Calls [`Connection::receive`].
    fn receive(&mut self) {
        self.with_connection(|connection, cx| connection.receive(cx));
    }

    fn with_connection(&mut self, step: impl FnOnce(&mut Connection, &mut Context<'_, Socket<'s>>)) {
        if self.gone.is_some() {
            return;
        }
        let budget = *self.socket.rng.pick(self.budgets);
        let before = self.connection.phase();
        let mut cx = Context {
            transport: &mut self.socket,
            files: &mut self.files,
            settings: &self.settings,
            now: self.now,
            draining: self.reported_at_drain.is_some(),
            record: self.record,
            scratch: &mut self.scratch,
            events: &mut self.events,
            task: None,
            budget,
        };
        step(&mut self.connection, &mut cx);
        if let Some(task) = cx.task.take() {
            assert!(self.task.is_none(), "a second task before the first is returned");
            if let Task::Send(task) = &task {
                assert!(!task.can_continue(), "a task that was run before");
                assert!(self.socket.lent, "a task without the stream");
            }
            self.task = Some(task);
            self.lookup_policy = self.policy.clone();
        }
        if before != Phase::Sending && self.connection.phase() == Phase::Sending {
            self.last_taken = self.now;
        }
        self.gone = self.connection.closed();
        if self.gone.is_some() {
            self.abandon();
        }
        self.take_report();
        // A thread's answers are reported when the task is returned.
        if !self.socket.lent {
            self.oracle.check_written(&self.socket);
            self.oracle.check_reported();
        }
        self.trace.push(format!(
            "        {:?} {:?}, read {} of {}, written {}, taken {}, task {}",
            self.connection.phase(),
            self.connection.awaits(),
            self.socket.read,
            self.socket.script.len(),
            self.socket.written.len(),
            self.socket.taken,
            describe(self.task.as_ref()),
        ));
        checks::after_step(self);
        if let Some(reason) = self.gone {
            checks::after_end(self, reason);
        } else {
            self.set_timer();
        }
    }

    /// Does what a worker does after its poll: handles events, then the timer.
    pub(crate) fn poll(&mut self) {
        self.socket.poll();
        if self.is_ready() {
            self.receive();
            self.serve(Cause::Ready);
        }
        if self.gone.is_none() && self.timer.is_some_and(|timer| timer <= self.now) {
            self.timer = None;
            let due = self.connection.deadline(&self.settings).is_some_and(|deadline| deadline <= self.now);
            if due {
                if self.connection.phase() == Phase::Reading {
                    self.oracle.time_is_up(&self.socket);
                }
                if self.connection.phase() == Phase::Waiting {
                    self.oracle.disk_fails();
                }
                self.disk_timed_out |= self.connection.phase() == Phase::Waiting || self.socket.lent;
                self.trace.push("    deadline".to_owned());
                self.serve(Cause::Deadline);
            } else {
                self.set_timer();
            }
        }
    }

    /// Whether the connection can continue without waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.gone.is_none() && self.connection.is_ready(&self.socket)
    }

    /// An earlier deadline moves the timer. A later one is noticed when the timer expires.
    fn set_timer(&mut self) {
        if let Some(deadline) = self.connection.deadline(&self.settings)
            && self.timer.is_none_or(|timer| deadline < timer)
        {
            self.timer = Some(deadline);
        }
    }

    /// When the timer expires.
    pub(crate) fn timer(&self) -> Option<Instant> {
        self.timer
    }

    /// Closes files that were not requested for a while.
    pub(crate) fn expire_files(&mut self) {
        self.files.expire_idle();
    }

    /// A thread returns the result of a look-up; none if no thread was available.
    pub(crate) fn looked_up(&mut self, done: Option<JobResult>) {
        if let Some(done) = &done {
            self.files.update_from(&self.lookup_policy, done);
        }
        self.serve(Cause::LookedUp(done));
    }

    /// A thread runs a task to send once.
    pub(crate) fn run_task(&mut self, task: &mut SendTask) {
        self.socket.in_thread = true;
        task.run(&mut self.socket, &mut self.memory);
        self.socket.in_thread = false;
        self.trace.push(format!(
            "        a thread has sent, written {}, continues {}",
            self.socket.written.len(),
            task.can_continue(),
        ));
    }

    /// A thread returns a task to send.
    pub(crate) fn sent(&mut self, task: Box<SendTask>) {
        self.serve(Cause::Sent(task));
        if std::mem::take(&mut self.lent_at_drain) {
            self.reported_at_drain = Some(self.oracle.reported());
        }
    }

    /// Returns the task of a connection that was removed. A thread may still run it once.
    fn abandon(&mut self) {
        self.socket.removed = true;
        if let Some(Task::Send(mut task)) = self.task.take() {
            if self.socket.rng.chance(50) {
                self.run_task(&mut task);
            }
            self.socket.lent = false;
            self.events.extend(task.abandon());
        }
    }

    fn take_report(&mut self) {
        for event in std::mem::take(&mut self.events) {
            if let Event::Answered(answered) = event {
                self.trace.push(format!("        reported {answered:?}"));
                self.oracle.take_report(&answered, &self.socket);
            }
        }
    }

    /// A reload: the connection gets the world's rules, and the view of the root its new policy.
    pub(crate) fn reload(&mut self) {
        apply(&mut self.settings, &self.socket.world);
        self.policy = self.socket.world.policy();
        self.files.set_policy(self.policy.clone());
    }
}

fn apply(settings: &mut Settings, world: &World<'_>) {
    let rules = world.now().rules;
    settings.names = if rules.printable { NameCharset::Printable } else { NameCharset::Portable };
    settings.request_line = rules.request_line as u64;
}

/// Sizes of the socket's send buffer.
const WINDOWS: [usize; 6] = [1 << 30, 1 << 30, 200_000, 70_000, 4096, 50];

fn fault_rates(rng: &mut Rng, shrinking: bool) -> FaultRates {
    let windows = if shrinking { [1 << 30, 70_000, 70_000, 70_000, 20_000, 4096] } else { WINDOWS };
    let window = *rng.pick(&windows);
    if !shrinking && rng.chance(15) {
        return FaultRates { window, ..FaultRates::default() };
    }
    FaultRates {
        interrupted: *rng.pick(&[0, 0, 5, 40]),
        would_block: *rng.pick(&[0, 0, 5, 30]),
        short: *rng.pick(&[0, 0, 10, 60]),
        window,
        shrinks: if shrinking { *rng.pick(&[0, 0, 10, 60]) } else { 0 },
        breaks: *rng.pick(&[0, 0, 0, 0, 0, 0, 0, 1]),
        disk_fails: *rng.pick(&[0, 0, 0, 0, 0, 0, 0, 2]),
        shut_fails: *rng.pick(&[0, 0, 0, 10]),
    }
}

fn describe(task: Option<&Task>) -> String {
    match task {
        None => "none".to_owned(),
        Some(Task::LookUp(job)) => format!("{:?}", job.lane()),
        Some(Task::Send(task)) => format!("send, small {}", task.is_small()),
    }
}

/// Bytes in readable form.
pub(crate) fn show(bytes: &[u8]) -> String {
    const MOST: usize = 3000;
    let more = if bytes.len() > MOST { " [...]" } else { "" };
    format!("\"{}\"{more}", bytes[..bytes.len().min(MOST)].escape_ascii())
}
