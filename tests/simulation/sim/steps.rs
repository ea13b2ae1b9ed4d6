//! The random steps of a run.

use std::time::Duration;

use hftpd::connection::{Cause, CloseReason, Phase, SendTask, Task};
use hftpd::handle::{Fault, Job, JobResult};
use rustix::io::Errno;

use super::rng::Rng;
use super::run::Run;
use super::socket::FaultRates;
use super::world::Store;

/// The frequency of each kind of step.
struct Plan {
    weights: [usize; 13],
    steps: usize,
}

const KINDS: [&str; 13] = [
    "deliver",
    "take",
    "poll",
    "task",
    "clock",
    "shrink",
    "reload",
    "switch root",
    "drain",
    "break",
    "half-close",
    "forget pages",
    "expire files",
];

fn plan(rng: &mut Rng, shrinking: bool) -> Plan {
    let rare = |rng: &mut Rng, weight: usize| if rng.chance(30) { weight } else { 0 };
    let weights = [
        rng.between(5, 30),
        rng.between(5, 30),
        30,
        rng.between(3, 20),
        rng.between(0, 8),
        if shrinking { 10 } else { rare(rng, 1) },
        rare(rng, 5),
        rare(rng, 4),
        rare(rng, 1),
        rare(rng, 1),
        rare(rng, 2),
        rare(rng, 5),
        rng.between(0, 4),
    ];
    let most = *rng.pick(&[5, 40, 40, 150]);
    Plan { weights, steps: rng.below(most + 1) }
}

/// Runs one connection until it is closed, and checks it after each step.
pub(crate) fn run_connection(rng: Rng, store: &Store) -> CloseReason {
    let mut run = Run::new(rng, store);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let plan = plan(&mut run.socket.rng, run.shrinking);
        for _ in 0..plan.steps {
            if run.gone.is_some() {
                break;
            }
            let kind = run.socket.rng.weighted(&plan.weights);
            run.trace.push(KINDS[kind].to_owned());
            step(&mut run, kind);
        }
        run.trace.push("no more faults".to_owned());
        end(&mut run)
    }));
    result.unwrap_or_else(|panic| {
        eprintln!("trace:");
        for line in &run.trace {
            eprintln!("{line}");
        }
        std::panic::resume_unwind(panic)
    })
}

fn step(run: &mut Run<'_>, kind: usize) {
    let rng = &mut run.socket.rng;
    match kind {
        0 => {
            let most = *rng.pick(&[1, 10, 100, 20_000]);
            let count = rng.between(1, most);
            run.socket.deliver(count);
        }
        1 => {
            let most = *rng.pick(&[1, 100, 10_000, 10_000_000]);
            let count = rng.between(1, most);
            take(run, count);
        }
        2 => run.poll(),
        3 => task(run),
        4 => clock(run),
        // Before the answer begins the file would only have another size.
        5 if run.connection.phase() == Phase::Sending || rng.chance(10) => {
            let size = rng.below(run.socket.world.shrunk_to + 1);
            run.socket.world.shrink(size);
        }
        5 => run.poll(),
        6 => reload(run),
        7 => {
            let root = *rng.pick(&[Some(0), Some(1), None]);
            run.socket.world.switch(root);
        }
        8 if run.reported_at_drain.is_none() => {
            run.reported_at_drain = Some(run.oracle.reported());
            run.lent_at_drain = run.socket.lent;
            run.serve(Cause::Drain);
        }
        8 => run.serve(Cause::Abort(CloseReason::Cut)),
        9 => {
            run.socket.broken = true;
            if run.socket.rng.chance(50) {
                run.serve(Cause::Reset);
            }
        }
        10 => {
            let (arrived, script) = (run.socket.arrived, &mut run.socket.script);
            script.truncate(arrived);
            run.socket.ended = true;
        }
        11 => run.socket.world.forget_pages(),
        _ => run.expire_files(),
    }
}

fn take(run: &mut Run<'_>, count: usize) {
    if run.socket.take(count) > 0 {
        run.last_taken = run.now;
    }
}

/// A thread runs the task, in whole or in part, or no thread is available.
fn task(run: &mut Run<'_>) {
    match run.task.take() {
        None => {}
        Some(Task::LookUp(job)) => look_up(run, job),
        Some(Task::Send(task)) => send(run, task),
    }
}

fn look_up(run: &mut Run<'_>, job: Job) {
    if run.connection.phase() != Phase::Waiting {
        // The connection no longer waits for the disk.
        return run.looked_up(Some(job.run()));
    }
    let done = match run.socket.rng.below(100) {
        // No thread is available.
        0..2 => None,
        2..5 => Some(match job {
            Job::Find { .. } => JobResult::Found(Err(Fault::Unreadable(Errno::IO)), None),
            Job::List { .. } => JobResult::Listed(Err(Fault::Unreadable(Errno::IO)), None),
        }),
        _ => return run.looked_up(Some(job.run())),
    };
    run.oracle.disk_fails();
    run.looked_up(done);
}

/// A task is returned when its answers are sent or the send buffer is full. It may be queued again before, and without
/// a thread it is returned unchanged.
fn send(run: &mut Run<'_>, mut task: Box<SendTask>) {
    if run.socket.rng.chance(2) {
        run.without_thread |= !task.can_continue();
        return run.sent(task);
    }
    run.run_task(&mut task);
    if task.can_continue() && run.socket.rng.chance(80) {
        run.task = Some(Task::Send(task));
    } else {
        run.sent(task);
    }
}

fn clock(run: &mut Run<'_>) {
    let rng = &mut run.socket.rng;
    let forward = match rng.below(5) {
        0 => Duration::from_micros(rng.below(200_000) as u64),
        1 => Duration::from_secs(rng.below(100) as u64),
        // The machine was suspended.
        2 => Duration::from_secs(rng.below(400_000_000) as u64),
        _ => run.timer().map_or(Duration::ZERO, |timer| timer.saturating_duration_since(run.now)),
    };
    run.now += forward;
    run.poll();
}

fn reload(run: &mut Run<'_>) {
    let rng = &mut run.socket.rng;
    let mut rules = run.socket.world.now().rules;
    match rng.below(4) {
        0 => rules.printable = !rules.printable,
        1 => rules.hidden = !rules.hidden,
        2 => rules.links = !rules.links,
        _ => rules.request_line = *rng.pick(&[512, 600, 2000]),
    }
    if rng.chance(30) {
        run.settings.rate = *rng.pick(&[0, 1024, 50_000, 1 << 30]);
    }
    if rng.chance(30) {
        run.settings.idle = Duration::from_secs(rng.between(1, 400) as u64);
        run.settings.request = Duration::from_secs(rng.between(1, 100) as u64);
        run.settings.stall = Duration::from_secs(rng.between(1, 100) as u64);
    }
    run.socket.world.set_rules(rules);
    run.reload();
}

/// Without further faults, the connection must end by itself.
pub(crate) fn end(run: &mut Run<'_>) -> CloseReason {
    run.socket.fault_rates = FaultRates { window: run.socket.fault_rates.window.max(4096), ..FaultRates::default() };
    if run.settings.rate < 1 << 20 {
        run.settings.rate = 0;
    }
    run.socket.deliver(usize::MAX);
    run.socket.ended = true;
    for _ in 0..200_000 {
        if let Some(reason) = run.gone {
            return reason;
        }
        take(run, usize::MAX);
        match run.task.take() {
            Some(Task::LookUp(job)) => {
                run.looked_up(Some(job.run()));
                continue;
            }
            Some(Task::Send(mut task)) => {
                run.run_task(&mut task);
                if task.can_continue() {
                    run.task = Some(Task::Send(task));
                } else {
                    run.sent(task);
                }
                continue;
            }
            None => {}
        }
        run.socket.poll();
        if !run.is_ready() {
            // Only a rate limit may delay it.
            let timer = run.timer().expect("it waits for something");
            let patience = timer.saturating_duration_since(run.now);
            assert!(patience <= Duration::from_secs(1), "hang: no event for {patience:?}");
            run.now = run.now.max(timer);
        }
        run.poll();
    }
    panic!("no end, in phase {:?}", run.connection.phase());
}
