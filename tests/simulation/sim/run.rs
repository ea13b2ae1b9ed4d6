//! A connection in the hands of an event loop, as the daemon's workers treat it, but for the poll and the threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hftpd::connection::{
    Cause, CloseReason, Connection, Context, Event, Phase, Scratch, SendMemory, SendTask, Settings, Task,
};
use hftpd::handle::{JobResult, Policy, RootView};
use hftpd::wire::{Encoding, Names, code};

use super::checks;
use super::dice::Dice;
use super::oracle::Oracle;
use super::wire::{Mood, Wire};
use super::world::{Store, World};

/// A connection and all that is around it.
pub(crate) struct Run<'s> {
    pub(crate) connection: Connection,
    pub(crate) wire: Wire<'s>,
    pub(crate) oracle: Oracle,
    pub(crate) settings: Settings,
    pub(crate) now: Instant,
    /// How many requests had been told of when the drain began, once it has.
    pub(crate) told_at_drain: Option<usize>,
    /// What a thread is to do: one thing at a time.
    pub(crate) task: Option<Task>,
    /// The drain began while a thread had answers, all of which it may send.
    pub(crate) lent_at_drain: bool,
    /// Why it ended, once it has.
    pub(crate) gone: Option<CloseReason>,
    /// When the client last took something, or something began that it has to take.
    pub(crate) last_taken: Instant,
    /// It is all about a file that becomes shorter.
    pub(crate) shrinking: bool,
    /// A deadline came while a thread looked something up or sent something.
    pub(crate) disk_timed_out: bool,
    /// No thread was there to send.
    pub(crate) without_thread: bool,
    /// What happened, for who reads a failure.
    pub(crate) diary: Vec<String>,
    files: RootView,
    policy: Arc<Policy>,
    /// The policy of the time when the look-up was asked for.
    asked_of: Arc<Policy>,
    scratch: Scratch,
    memory: SendMemory,
    events: Vec<Event>,
    alarm: Option<Instant>,
    budgets: &'static [usize],
    record: bool,
}

impl<'s> Run<'s> {
    pub(crate) fn new(mut dice: Dice, store: &'s Store) -> Run<'s> {
        let now = Instant::now();
        let mut rules = store.rules();
        rules.printable = dice.chance(20);
        rules.hidden = dice.chance(20);
        rules.request_line = *dice.pick(&[512, 512, 600, 2000, 100_000]);
        // Some are all about a file that becomes shorter.
        let shrinking = dice.chance(15);
        let mood = mood(&mut dice, shrinking);
        let fatal = *dice.pick(&[0, 0, 2, 10, 40]);
        let mut script = Vec::new();
        let many = *dice.pick(&[1, 3, 10, 10, 60]);
        for _ in 0..dice.between(1, many) {
            if shrinking && dice.chance(60) {
                let (size, raw) = (dice.between(1, 200_000), if dice.chance(30) { " raw" } else { "" });
                script.extend_from_slice(format!("get_slice shrinks {} {size}{raw}\r\n", 200_000 - size).as_bytes());
            } else {
                script.extend_from_slice(&store.catalogue.request(&mut dice, fatal));
            }
        }
        if dice.chance(10) {
            script.truncate(script.len() - dice.below(script.len().min(20)));
        }
        let encoding = *dice.pick(&[
            Encoding::Fragments,
            Encoding::Plain,
            Encoding::Base64 { line: 0 },
            Encoding::Base64 { line: 3 },
            Encoding::Base64 { line: 48 << 10 },
            Encoding::Base64 { line: 99_999 },
        ]);
        let budgets: &[&[usize]] = &[&[512 << 10], &[512 << 10], &[1, 700, 5000, 512 << 10], &[1], &[60_000, 100_000]];
        let budgets = *dice.pick(budgets);
        let record = dice.chance(50);
        let world = World::new(store, rules);
        if dice.chance(30) {
            world.forget_pages();
        }
        let policy = world.policy();
        let mut settings = Settings {
            names: Names::Portable,
            request_line: 0,
            rate: 0,
            idle: Duration::from_secs(300),
            request: Duration::from_secs(60),
            stall: Duration::from_secs(60),
        };
        apply(&mut settings, &world);
        if dice.chance(20) {
            settings.rate = *dice.pick(&[1024, 100_000, 1 << 20, 1 << 30]);
        }
        let (connection, oracle) = if dice.chance(1) {
            let line = *dice.pick(&[code::TOO_MANY_CONNECTIONS, code::ADDRESS_DENIED]);
            (Connection::refused(line, now), Oracle::refused(line))
        } else {
            (Connection::new(encoding, now), Oracle::new(encoding))
        };
        let mut run = Run {
            connection,
            wire: Wire::new(dice, mood, world, script),
            oracle,
            settings,
            now,
            told_at_drain: None,
            task: None,
            lent_at_drain: false,
            gone: None,
            last_taken: now,
            shrinking,
            disk_timed_out: false,
            without_thread: false,
            diary: Vec::new(),
            files: RootView::new(policy.clone()),
            asked_of: policy.clone(),
            policy,
            scratch: Scratch::default(),
            memory: SendMemory::default(),
            events: Vec::new(),
            alarm: None,
            budgets,
            record,
        };
        run.diary.push(format!("{encoding:?} {rules:?} {mood:?} budgets {budgets:?}"));
        run.diary.push(format!("script {}", show(&run.wire.script)));
        run.set_alarm();
        run
    }

    /// The event loop calls [`Connection::drive`].
    pub(crate) fn serve(&mut self, cause: Cause) {
        self.with_connection(|connection, cx| connection.drive(cause, cx));
    }

    /// The event loop takes what the client has sent.
    fn receive(&mut self) {
        self.with_connection(|connection, cx| connection.receive(cx));
    }

    fn with_connection(&mut self, step: impl FnOnce(&mut Connection, &mut Context<'_, Wire<'s>>)) {
        if self.gone.is_some() {
            return;
        }
        let budget = *self.wire.dice.pick(self.budgets);
        let before = self.connection.phase();
        let mut cx = Context {
            transport: &mut self.wire,
            files: &mut self.files,
            settings: &self.settings,
            now: self.now,
            draining: self.told_at_drain.is_some(),
            record: self.record,
            scratch: &mut self.scratch,
            events: &mut self.events,
            task: None,
            budget,
        };
        step(&mut self.connection, &mut cx);
        if let Some(task) = cx.task.take() {
            assert!(self.task.is_none(), "a second task while the first has not come back");
            if let Task::Send(task) = &task {
                assert!(!task.goes_on(), "a task that was run before");
                assert!(self.wire.lent, "a task without the stream");
            }
            self.task = Some(task);
            self.asked_of = self.policy.clone();
        }
        if before != Phase::Sending && self.connection.phase() == Phase::Sending {
            self.last_taken = self.now;
        }
        self.gone = self.connection.closed();
        if self.gone.is_some() {
            self.abandon();
        }
        self.take_told();
        // What a thread has written is told of when it is done.
        if !self.wire.lent {
            self.oracle.check_written(&self.wire);
            self.oracle.check_told();
        }
        self.diary.push(format!(
            "        {:?} {:?}, read {} of {}, written {}, taken {}, task {}",
            self.connection.phase(),
            self.connection.awaits(),
            self.wire.read,
            self.wire.script.len(),
            self.wire.written.len(),
            self.wire.taken,
            describe(self.task.as_ref()),
        ));
        checks::after_step(self);
        if let Some(reason) = self.gone {
            checks::after_end(self, reason);
        } else {
            self.set_alarm();
        }
    }

    /// The poll returns: what it told is looked at, then what is due.
    pub(crate) fn poll(&mut self) {
        self.wire.poll();
        if self.is_ready() {
            self.receive();
            self.serve(Cause::Ready);
        }
        if self.gone.is_none() && self.alarm.is_some_and(|alarm| alarm <= self.now) {
            self.alarm = None;
            let due = self.connection.deadline(&self.settings).is_some_and(|deadline| deadline <= self.now);
            if due {
                if self.connection.phase() == Phase::Reading {
                    self.oracle.time_is_up(&self.wire);
                }
                if self.connection.phase() == Phase::Waiting {
                    self.oracle.disk_fails();
                }
                self.disk_timed_out |= self.connection.phase() == Phase::Waiting || self.wire.lent;
                self.diary.push("    deadline".to_owned());
                self.serve(Cause::Deadline);
            } else {
                self.set_alarm();
            }
        }
    }

    /// Whether something can be done without waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.gone.is_none() && self.connection.is_ready(&self.wire)
    }

    /// Only an earlier deadline moves the alarm; a later one is found out about when it rings.
    fn set_alarm(&mut self) {
        if let Some(deadline) = self.connection.deadline(&self.settings)
            && self.alarm.is_none_or(|alarm| deadline < alarm)
        {
            self.alarm = Some(deadline);
        }
    }

    /// When the event loop wakes up by itself.
    pub(crate) fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// Nobody has asked for anything in a while: what is kept open is closed.
    pub(crate) fn age(&mut self) {
        self.files.expire_idle();
    }

    /// A thread has looked something up, or there was none to do it.
    pub(crate) fn found(&mut self, done: Option<JobResult>) {
        if let Some(done) = &done {
            self.files.update_from(&self.asked_of, done);
        }
        self.serve(Cause::LookedUp(done));
    }

    /// A thread sends for a while.
    pub(crate) fn run_task(&mut self, task: &mut SendTask) {
        self.wire.in_thread = true;
        task.run(&mut self.wire, &mut self.memory);
        self.wire.in_thread = false;
        self.diary.push(format!(
            "        a thread has sent, written {}, goes on {}",
            self.wire.written.len(),
            task.goes_on(),
        ));
    }

    /// A thread gives back what it was to send.
    pub(crate) fn sent(&mut self, task: Box<SendTask>) {
        self.serve(Cause::Sent(task));
        if std::mem::take(&mut self.lent_at_drain) {
            self.told_at_drain = Some(self.oracle.told());
        }
    }

    /// What a thread has of a connection that was removed. It may begin to send all the same.
    fn abandon(&mut self) {
        self.wire.removed = true;
        if let Some(Task::Send(mut task)) = self.task.take() {
            if self.wire.dice.chance(50) {
                self.run_task(&mut task);
            }
            self.wire.lent = false;
            self.events.extend(task.abandon());
        }
    }

    fn take_told(&mut self) {
        for event in std::mem::take(&mut self.events) {
            if let Event::Answered(answered) = event {
                self.diary.push(format!("        told {answered:?}"));
                self.oracle.take_told(&answered, &self.wire);
            }
        }
    }

    /// A reload: the world's rules are given to the connection, and what is known of the root is forgotten.
    pub(crate) fn reload(&mut self) {
        apply(&mut self.settings, &self.wire.world);
        self.policy = self.wire.world.policy();
        self.files.set_policy(self.policy.clone());
    }
}

fn apply(settings: &mut Settings, world: &World<'_>) {
    let rules = world.now().rules;
    settings.names = if rules.printable { Names::Printable } else { Names::Portable };
    settings.request_line = rules.request_line as u64;
}

/// Bytes that the kernel keeps for a client that does not take them.
const WINDOWS: [usize; 6] = [1 << 30, 1 << 30, 200_000, 70_000, 4096, 50];

fn mood(dice: &mut Dice, shrinking: bool) -> Mood {
    let windows = if shrinking { [1 << 30, 70_000, 70_000, 70_000, 20_000, 4096] } else { WINDOWS };
    let window = *dice.pick(&windows);
    if !shrinking && dice.chance(15) {
        return Mood { window, ..Mood::default() };
    }
    Mood {
        interrupted: *dice.pick(&[0, 0, 5, 40]),
        would_block: *dice.pick(&[0, 0, 5, 30]),
        short: *dice.pick(&[0, 0, 10, 60]),
        window,
        shrinks: if shrinking { *dice.pick(&[0, 0, 10, 60]) } else { 0 },
        breaks: *dice.pick(&[0, 0, 0, 0, 0, 0, 0, 1]),
        disk_fails: *dice.pick(&[0, 0, 0, 0, 0, 0, 0, 2]),
        shut_fails: *dice.pick(&[0, 0, 0, 10]),
    }
}

fn describe(task: Option<&Task>) -> String {
    match task {
        None => "none".to_owned(),
        Some(Task::LookUp(job)) => format!("{:?}", job.lane()),
        Some(Task::Send(task)) => format!("send, small {}", task.is_small()),
    }
}

/// Bytes as a person can read them.
pub(crate) fn show(bytes: &[u8]) -> String {
    const MOST: usize = 3000;
    let more = if bytes.len() > MOST { " [...]" } else { "" };
    format!("\"{}\"{more}", bytes[..bytes.len().min(MOST)].escape_ascii())
}
