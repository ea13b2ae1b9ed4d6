//! What must be true of a connection after each step, and when it has ended.

use hftpd::connection::{Awaits, CloseReason, INPUT, Phase};

use super::run::Run;
use super::world::SHRINKS;

/// What must be true after each step.
pub(crate) fn after_step(run: &Run<'_>) {
    let connection = &run.connection;
    let (phase, awaits) = (connection.phase(), connection.awaits());
    let deadline = connection.deadline(&run.settings).is_some();
    let task = run.task.is_some();
    let since_drain = run.told_at_drain.map_or(0, |told| run.oracle.told() - told);
    assert!(since_drain <= 1 || run.lent_at_drain, "{since_drain} requests were answered since the drain began");
    assert!(!run.wire.lent || phase == Phase::Sending, "{phase:?} while a thread has the answers");
    assert_eq!(connection.closed().is_some(), phase == Phase::Closed, "removed when closed and not before");
    match phase {
        Phase::Idle | Phase::Reading => {
            assert!(matches!(awaits, Awaits::Input | Awaits::Turn), "{phase:?} awaits {awaits:?}");
            assert!(deadline && !task, "{phase:?}: deadline {deadline}, task {task}");
            assert!(!run.wire.corked, "all was sent, and the kernel holds some of it back");
            run.oracle.check_boundary();
            // A drain waits a moment for the first request of a client that has just come, and for nothing else.
            let first = phase == Phase::Idle && run.oracle.told() == 0;
            assert!(run.told_at_drain.is_none() || first, "{phase:?} in a drain");
        }
        Phase::Waiting => {
            assert!(awaits == Awaits::Nothing && deadline && task, "{awaits:?}, deadline {deadline}, task {task}");
            // Answers to earlier requests were sent before.
            run.oracle.check_boundary();
            assert!(!run.wire.corked, "all was sent, and the kernel holds some of it back");
        }
        Phase::Sending => {
            assert!(matches!(awaits, Awaits::Output | Awaits::Nothing), "{awaits:?} while an answer is being sent");
            // It waits for a thread, for its rate or for the client.
            let thread = awaits == Awaits::Nothing;
            assert!(
                deadline && (thread || !task || run.disk_timed_out),
                "{awaits:?}, deadline {deadline}, task {task}"
            );
        }
        Phase::Lingering => {
            let lingers = awaits == Awaits::Input && deadline && (!task || run.disk_timed_out) && run.wire.shut;
            assert!(lingers, "{awaits:?}, deadline {deadline}, task {task}");
        }
        Phase::Closed => assert!(awaits == Awaits::Nothing && !deadline, "{awaits:?}, deadline {deadline}"),
    }
    if !matches!(phase, Phase::Lingering | Phase::Closed) {
        let unread = run.oracle.kept_unread(&run.wire, phase != Phase::Idle);
        assert!(unread <= INPUT || run.wire.lent, "{unread} bytes are kept unread");
    }
}

/// What must be true of a connection that ended for this reason.
pub(crate) fn after_end(run: &mut Run<'_>, reason: CloseReason) {
    run.oracle.check_broken_off();
    let waited = run.now.saturating_duration_since(run.last_taken);
    match reason {
        CloseReason::Client => {
            assert!(run.wire.end_read, "the client had not ended");
            run.oracle.check_all_answered(&run.wire);
        }
        CloseReason::Quit | CloseReason::Fatal => {
            run.oracle.check_boundary();
            assert!(run.oracle.is_over(), "closed as if after a last answer");
        }
        CloseReason::Drained => {
            assert!(run.told_at_drain.is_some(), "there is no drain");
            run.oracle.check_boundary();
        }
        CloseReason::Idle => {
            run.oracle.check_all_answered(&run.wire);
        }
        CloseReason::DiskTimeout => {
            assert!(run.disk_timed_out, "no deadline has come while a thread was at work");
            if !run.oracle.is_over() {
                assert!(waited >= run.settings.stall, "cut off though something was sent {waited:?} ago");
            }
        }
        CloseReason::FileShrank => {
            let cut = |(name, end): &(Vec<u8>, usize)| name == SHRINKS && *end > run.wire.world.shrunk_to;
            assert!(run.oracle.is_spoilt() || run.oracle.slices().iter().any(cut), "no file has shrunk");
        }
        CloseReason::ReadFailed => assert!(run.wire.disk_failed || run.without_thread, "the disk has not failed"),
        CloseReason::Stalled => {
            assert!(waited >= run.settings.stall, "cut off though the client took something {waited:?} ago");
        }
        CloseReason::Reset => assert!(run.wire.broken, "the connection was not broken"),
        CloseReason::Cut => assert!(run.told_at_drain.is_some(), "there is no drain"),
        CloseReason::Refused => run.oracle.check_boundary(),
    }
}
