//! The main thread: signals, control socket, reloads, drain, service manager. Serves nobody itself.

pub(super) mod control;
mod drain;
mod reload;
pub(super) mod sd_notify;
pub(super) mod status;
mod status_query;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use self::control::{Control, ControlRequest};
use self::status::Reloads;
use super::listener::{self, Endpoint};
use super::mailbox::Mailbox;
use super::messages::{SupervisorEvent, WorkerCommand, WorkerStatus};
use super::shared::Shared;
use super::start::{Failure, Start};
use super::startup_signals::SignalRequest;
use crate::config::{Config, Overrides, Source};
use crate::log;
use crate::os::sandbox::Sandbox;

const MAIL: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// How often the number of connections in the service manager's status is brought up to date.
const STATUS_PERIOD: Duration = Duration::from_secs(5);

/// How often a drain tells how many are left.
const DRAIN_TICK: Duration = Duration::from_secs(1);

/// How long workers may take to end once they were told to cut what is left.
const CUT_PATIENCE: Duration = Duration::from_secs(1);

/// How long a reload may take to be prepared: a disk that hangs must not hold up the next one.
const RELOAD_PATIENCE: Duration = Duration::from_secs(20);

/// The most reloads whose threads wait for a disk that hangs.
const RELOADS: usize = 4;

/// How long a status waits for a worker that does not answer.
const REPORT_PATIENCE: Duration = Duration::from_secs(2);

/// How long the end waits for the log.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// The main thread.
pub(crate) struct Supervisor {
    poll: Poll,
    supervisor_events: Receiver<SupervisorEvent>,
    mailbox: Mailbox<SupervisorEvent>,
    signals: Signals,
    control: Option<Control>,
    workers: Vec<Mailbox<WorkerCommand>>,
    shared: Arc<Shared>,
    log: log::Handle,
    sandbox: Sandbox,
    started: Instant,
    source: Source,
    overrides: Overrides,
    config: Config,
    endpoints: Vec<Endpoint>,
    stage: Stage,
    reload: Reload,
    /// Who asked for a reload while one was under way: another follows it. None if nobody did.
    next_reload: Option<Vec<Token>>,
    reloads: Reloads,
    /// Listeners that a socket unit gave: its own copy listens on, so they can only be taken up again, never bound anew.
    from_socket_unit: Vec<Endpoint>,
    /// Threads that prepare a reload, or still do though nobody waits for them.
    preparing: usize,
    /// Tells reloads and counts from older ones.
    serial: u64,
    count: Option<Count>,
    watchdog: Option<Watchdog>,
    /// When the service manager is told next how many are connected, where there is one.
    status_at: Option<Instant>,
    /// What it was told last.
    told: u32,
}

/// What the daemon is about.
enum Stage {
    Serving,
    Draining {
        /// When the rest is cut.
        deadline: Instant,
        /// When it is told next how many are left.
        tick: Instant,
        cut: bool,
        /// Workers that have clients left.
        workers: usize,
    },
    Stopped,
}

/// A reload under way, with those who wait for its verdict.
enum Reload {
    None,
    Preparing { asked: Vec<Token>, serial: u64, until: Instant },
    Applying { asked: Vec<Token>, workers: usize, message: String },
}

/// Workers are being asked how things stand.
struct Count {
    serial: u64,
    asked: Vec<Token>,
    report: WorkerStatus,
    workers: usize,
    until: Instant,
}

/// Tells the service manager that all workers are alive, as long as they say so.
struct Watchdog {
    period: Duration,
    next: Instant,
    serial: u64,
    /// For each worker, the last ping that it answered.
    answered: Vec<u64>,
}

impl Supervisor {
    /// The main thread of a daemon whose workers have these mailboxes. Signals are handled from here on.
    pub(crate) fn new(
        start: Start,
        endpoints: Vec<Endpoint>,
        mut control: Option<Control>,
        workers: Vec<Mailbox<WorkerCommand>>,
        shared: Arc<Shared>,
        sandbox: Sandbox,
        log: log::Handle,
    ) -> Result<Supervisor, Failure> {
        let failed = |error| Failure::system("cannot start the main thread", &error);
        let poll = Poll::new().map_err(failed)?;
        let (mailbox, supervisor_events) = Mailbox::new(poll.registry(), MAIL).map_err(failed)?;
        let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT]).map_err(failed)?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE).map_err(failed)?;
        let now = Instant::now();
        if let Some(control) = &mut control {
            control.register(poll.registry()).map_err(failed)?;
        }
        let watchdog = sd_notify::watchdog().map(|timeout| Watchdog {
            period: timeout / 4,
            next: now,
            serial: 0,
            answered: vec![0; workers.len()],
        });
        let Start { config, source, overrides, .. } = start;
        let from_socket_unit = endpoints.iter().filter(|endpoint| endpoint.from_socket_unit).cloned().collect();
        Ok(Supervisor {
            poll,
            supervisor_events,
            mailbox,
            signals,
            control,
            workers,
            shared,
            log,
            sandbox,
            started: now,
            source,
            overrides,
            config,
            endpoints,
            stage: Stage::Serving,
            reload: Reload::None,
            next_reload: None,
            reloads: Reloads::default(),
            from_socket_unit,
            preparing: 0,
            serial: 0,
            count: None,
            watchdog,
            status_at: sd_notify::is_available().then_some(now + STATUS_PERIOD),
            told: 0,
        })
    }

    pub(crate) fn mailbox(&self) -> Mailbox<SupervisorEvent> {
        self.mailbox.clone()
    }

    /// What is served where, in one line.
    pub(crate) fn serving(&self) -> String {
        format!("serving {} on {}", self.config.root.display(), listener::describe(&self.endpoints))
    }

    /// Tells the service manager that the daemon serves, and gives it the listeners to keep.
    pub(crate) fn ready(&self) {
        self.endpoints.iter().for_each(sd_notify::store_fd);
        sd_notify::ready(&self.serving());
    }

    /// Runs until the daemon is told to end and has drained. `early` is what it has been told already.
    pub(crate) fn run(mut self, early: SignalRequest) {
        // A signal that came while both watched was seen twice, and is one.
        let early = early.max(self.pending_signals());
        self.handle(early, Instant::now());
        let mut events = Events::with_capacity(64);
        while !matches!(self.stage, Stage::Stopped) {
            if let Err(error) = self.poll.poll(&mut events, self.timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                panic!("the main thread cannot wait: {error}");
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    SIGNALS => {
                        let heard = self.pending_signals();
                        self.handle(heard, now);
                    }
                    token if control::is_control(token) => {
                        let asked = match &mut self.control {
                            Some(control) => control.notice(token, self.poll.registry(), now),
                            None => Vec::new(),
                        };
                        self.handle_control(asked, now);
                    }
                    _ => {}
                }
            }
            while let Ok(notice) = self.supervisor_events.try_recv() {
                self.handle_event(notice, now);
            }
            self.on_tick(now);
        }
        ::log::info!("ended");
        drop(self.control.take());
        // Where nobody takes the log, there is nobody to tell either.
        self.log.flush(LOG_PATIENCE);
    }

    fn timeout(&self) -> Option<Duration> {
        let drain = match self.stage {
            Stage::Draining { deadline, tick, .. } => Some(deadline.min(tick)),
            _ => None,
        };
        let reload = match self.reload {
            Reload::Preparing { until, .. } => Some(until),
            _ => None,
        };
        let deadlines = [
            drain,
            reload,
            self.control.as_ref().and_then(Control::deadline),
            self.count.as_ref().map(|count| count.until),
            self.watchdog.as_ref().map(|watchdog| watchdog.next),
            self.status_at.filter(|_| drain.is_none()),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Keeps the line that `systemctl status` shows up to date.
    fn tell_status(&mut self, now: Instant) {
        if self.status_at.is_none_or(|at| now < at) || !matches!(self.stage, Stage::Serving) {
            return;
        }
        self.status_at = Some(now + STATUS_PERIOD);
        let inside = self.shared.admission.connected();
        if inside != self.told && matches!(self.reload, Reload::None) {
            self.told = inside;
            sd_notify::status(&format!("{}; {inside} connected", self.serving()));
        }
    }

    /// What signals have asked for since it was looked at last.
    fn pending_signals(&mut self) -> SignalRequest {
        let asked = self
            .signals
            .pending()
            .map(|signal| if signal == SIGHUP { SignalRequest::Reload } else { SignalRequest::End });
        asked.max().unwrap_or(SignalRequest::Nothing)
    }

    fn handle(&mut self, asked: SignalRequest, now: Instant) {
        match asked {
            SignalRequest::Nothing => {}
            SignalRequest::Reload => self.begin_reload(Vec::new(), now),
            SignalRequest::End => self.handle_end(now),
        }
    }

    fn handle_control(&mut self, asked: Vec<(Token, ControlRequest)>, now: Instant) {
        for (who, question) in asked {
            match question {
                ControlRequest::Reload => self.begin_reload(vec![who], now),
                ControlRequest::Status => self.begin_count(who, now),
            }
        }
    }

    fn handle_event(&mut self, notice: SupervisorEvent, now: Instant) {
        match notice {
            SupervisorEvent::Prepared { serial, result } => self.prepared(serial, result, now),
            SupervisorEvent::Reconfigured => {
                if let Reload::Applying { workers, .. } = &mut self.reload {
                    *workers -= 1;
                }
                self.finish_reload(now);
            }
            SupervisorEvent::WorkerStatus { serial, report } => {
                if let Some(count) = self.count.as_mut().filter(|count| count.serial == serial) {
                    count.report.tally += &report.tally;
                    count.report.phases.iter_mut().zip(report.phases).for_each(|(sum, count)| *sum += count);
                    count.workers = count.workers.saturating_sub(1);
                }
                self.finish_count(now);
            }
            SupervisorEvent::Pong { worker, serial } => {
                if let Some(watchdog) = &mut self.watchdog {
                    watchdog.answered[worker] = serial;
                }
            }
            SupervisorEvent::WorkerStopped => {
                if let Stage::Draining { workers, .. } = &mut self.stage {
                    *workers -= 1;
                    if *workers == 0 {
                        self.stage = Stage::Stopped;
                    }
                }
            }
        }
    }

    /// Does what is due without anybody asking.
    fn on_tick(&mut self, now: Instant) {
        let asked = match &mut self.control {
            Some(control) => control.expire(self.poll.registry(), now),
            None => Vec::new(),
        };
        self.handle_control(asked, now);
        self.finish_count(now);
        self.expire_reload(now);
        self.drain_on(now);
        self.tell_status(now);
        if let Some(watchdog) = &mut self.watchdog
            && watchdog.next <= now
        {
            if watchdog.answered.iter().all(|&answered| answered == watchdog.serial)
                || matches!(self.stage, Stage::Draining { .. })
            {
                sd_notify::watchdog_ping();
                watchdog.serial += 1;
                for worker in &self.workers {
                    worker.send(WorkerCommand::Ping(watchdog.serial));
                }
            }
            watchdog.next = now + watchdog.period;
        }
    }
}
