//! What happens to a connection, step by step, until it ends.

use std::time::Duration;

use hftpd::connection::{Cause, CloseReason, Phase, SendTask, Task};
use hftpd::handle::{Fault, Job, JobResult};
use rustix::io::Errno;

use super::dice::Dice;
use super::run::Run;
use super::wire::Mood;
use super::world::Store;

/// How often each kind of step is made.
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
    "age",
];

fn plan(dice: &mut Dice, shrinking: bool) -> Plan {
    let rare = |dice: &mut Dice, weight: usize| if dice.chance(30) { weight } else { 0 };
    let weights = [
        dice.between(5, 30),
        dice.between(5, 30),
        30,
        dice.between(3, 20),
        dice.between(0, 8),
        if shrinking { 10 } else { rare(dice, 1) },
        rare(dice, 5),
        rare(dice, 4),
        rare(dice, 1),
        rare(dice, 1),
        rare(dice, 2),
        rare(dice, 5),
        dice.between(0, 4),
    ];
    let most = *dice.pick(&[5, 40, 40, 150]);
    Plan { weights, steps: dice.below(most + 1) }
}

/// Runs one connection from its beginning to its end, and checks it all the way.
pub(crate) fn live(dice: Dice, store: &Store) -> CloseReason {
    let mut run = Run::new(dice, store);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let plan = plan(&mut run.wire.dice, run.shrinking);
        for _ in 0..plan.steps {
            if run.gone.is_some() {
                break;
            }
            let kind = run.wire.dice.weighted(&plan.weights);
            run.diary.push(KINDS[kind].to_owned());
            step(&mut run, kind);
        }
        run.diary.push("all goes well from here".to_owned());
        end(&mut run)
    }));
    outcome.unwrap_or_else(|panic| {
        eprintln!("what happened:");
        for line in &run.diary {
            eprintln!("{line}");
        }
        std::panic::resume_unwind(panic)
    })
}

fn step(run: &mut Run<'_>, kind: usize) {
    let dice = &mut run.wire.dice;
    match kind {
        0 => {
            let most = *dice.pick(&[1, 10, 100, 20_000]);
            let count = dice.between(1, most);
            run.wire.deliver(count);
        }
        1 => {
            let most = *dice.pick(&[1, 100, 10_000, 10_000_000]);
            let count = dice.between(1, most);
            take(run, count);
        }
        2 => run.poll(),
        3 => task(run),
        4 => clock(run),
        // Before an answer is begun it would only be another size.
        5 if run.connection.phase() == Phase::Sending || dice.chance(10) => {
            let size = dice.below(run.wire.world.shrunk_to + 1);
            run.wire.world.shrink(size);
        }
        5 => run.poll(),
        6 => reload(run),
        7 => {
            let root = *dice.pick(&[Some(0), Some(1), None]);
            run.wire.world.switch(root);
        }
        8 if run.told_at_drain.is_none() => {
            run.told_at_drain = Some(run.oracle.told());
            run.lent_at_drain = run.wire.lent;
            run.serve(Cause::Drain);
        }
        8 => run.serve(Cause::Abort(CloseReason::Cut)),
        9 => {
            run.wire.broken = true;
            if run.wire.dice.chance(50) {
                run.serve(Cause::Reset);
            }
        }
        10 => {
            let (arrived, script) = (run.wire.arrived, &mut run.wire.script);
            script.truncate(arrived);
            run.wire.ended = true;
        }
        11 => run.wire.world.forget_pages(),
        _ => run.age(),
    }
}

fn take(run: &mut Run<'_>, count: usize) {
    if run.wire.take(count) > 0 {
        run.last_taken = run.now;
    }
}

/// A thread does what it was given, or some of it, or there is none to do it.
fn task(run: &mut Run<'_>) {
    match run.task.take() {
        None => {}
        Some(Task::LookUp(job)) => look_up(run, job),
        Some(Task::Send(task)) => send(run, task),
    }
}

fn look_up(run: &mut Run<'_>, job: Job) {
    if run.connection.phase() != Phase::Waiting {
        // It has given the disk up.
        return run.found(Some(job.run()));
    }
    let done = match run.wire.dice.below(100) {
        // There is no thread.
        0..2 => None,
        2..5 => Some(match job {
            Job::Find { .. } => JobResult::Found(Err(Fault::Unreadable(Errno::IO)), None),
            Job::List { .. } => JobResult::Listed(Err(Fault::Unreadable(Errno::IO)), None),
        }),
        _ => return run.found(Some(job.run())),
    };
    run.oracle.disk_fails();
    run.found(done);
}

/// The answers go back when they are sent, or the client takes no more. Others may have their turn before, and where there
/// is no thread they go back as they are.
fn send(run: &mut Run<'_>, mut task: Box<SendTask>) {
    if run.wire.dice.chance(2) {
        run.without_thread |= !task.goes_on();
        return run.sent(task);
    }
    run.run_task(&mut task);
    if task.goes_on() && run.wire.dice.chance(80) {
        run.task = Some(Task::Send(task));
    } else {
        run.sent(task);
    }
}

fn clock(run: &mut Run<'_>) {
    let dice = &mut run.wire.dice;
    let forward = match dice.below(5) {
        0 => Duration::from_micros(dice.below(200_000) as u64),
        1 => Duration::from_secs(dice.below(100) as u64),
        // A machine that was asleep.
        2 => Duration::from_secs(dice.below(400_000_000) as u64),
        _ => run.alarm().map_or(Duration::ZERO, |alarm| alarm.saturating_duration_since(run.now)),
    };
    run.now += forward;
    run.poll();
}

fn reload(run: &mut Run<'_>) {
    let dice = &mut run.wire.dice;
    let mut rules = run.wire.world.now().rules;
    match dice.below(4) {
        0 => rules.printable = !rules.printable,
        1 => rules.hidden = !rules.hidden,
        2 => rules.links = !rules.links,
        _ => rules.request_line = *dice.pick(&[512, 600, 2000]),
    }
    if dice.chance(30) {
        run.settings.rate = *dice.pick(&[0, 1024, 50_000, 1 << 30]);
    }
    if dice.chance(30) {
        run.settings.idle = Duration::from_secs(dice.between(1, 400) as u64);
        run.settings.request = Duration::from_secs(dice.between(1, 100) as u64);
        run.settings.stall = Duration::from_secs(dice.between(1, 100) as u64);
    }
    run.wire.world.set_rules(rules);
    run.reload();
}

/// From here on nothing goes wrong any more: the connection must come to its end, and by its own events alone.
fn end(run: &mut Run<'_>) -> CloseReason {
    run.wire.mood = Mood { window: run.wire.mood.window.max(4096), ..Mood::default() };
    if run.settings.rate < 1 << 20 {
        run.settings.rate = 0;
    }
    run.wire.deliver(usize::MAX);
    run.wire.ended = true;
    for _ in 0..200_000 {
        if let Some(reason) = run.gone {
            return reason;
        }
        take(run, usize::MAX);
        match run.task.take() {
            Some(Task::LookUp(job)) => {
                run.found(Some(job.run()));
                continue;
            }
            Some(Task::Send(mut task)) => {
                run.run_task(&mut task);
                if task.goes_on() {
                    run.task = Some(Task::Send(task));
                } else {
                    run.sent(task);
                }
                continue;
            }
            None => {}
        }
        run.wire.poll();
        if !run.is_ready() {
            // Only its rate may hold it up.
            let alarm = run.alarm().expect("it waits for something");
            let patience = alarm.saturating_duration_since(run.now);
            assert!(patience <= Duration::from_secs(1), "nothing will wake it for {patience:?}: a hang");
            run.now = run.now.max(alarm);
        }
        run.poll();
    }
    panic!("no end in sight, in phase {:?}", run.connection.phase());
}
