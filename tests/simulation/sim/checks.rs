//! Invariants of a connection, after each step and at its end.

use hftpd::connection::{Awaits, CloseReason, INPUT, Phase};

use super::run::Run;
use super::world::SHRINKS;

/// The invariants after each step.
pub(crate) fn after_step(run: &Run<'_>) {
    let connection = &run.connection;
    let (phase, awaits) = (connection.phase(), connection.awaits());
    let deadline = connection.deadline(&run.settings).is_some();
    let task = run.task.is_some();
    let since_drain = run.reported_at_drain.map_or(0, |reported| run.oracle.reported() - reported);
    assert!(since_drain <= 1 || run.lent_at_drain, "{since_drain} requests were answered since the drain began");
    assert!(!run.socket.lent || phase == Phase::Sending, "{phase:?} while a thread has the answers");
    assert_eq!(connection.closed().is_some(), phase == Phase::Closed, "removed when closed and not before");
    match phase {
        Phase::Idle | Phase::Reading => {
            assert!(matches!(awaits, Awaits::Input | Awaits::Turn), "{phase:?} awaits {awaits:?}");
            assert!(deadline && !task, "{phase:?}: deadline {deadline}, task {task}");
            assert!(!run.socket.corked, "corked though all was sent");
            run.oracle.check_boundary();
            // During a drain only a new connection is idle: it waits for its first request.
            let first = phase == Phase::Idle && run.oracle.reported() == 0;
            assert!(run.reported_at_drain.is_none() || first, "{phase:?} in a drain");
        }
        Phase::Waiting => {
            assert!(awaits == Awaits::Nothing && deadline && task, "{awaits:?}, deadline {deadline}, task {task}");
            // Earlier answers were sent.
            run.oracle.check_boundary();
            assert!(!run.socket.corked, "corked though all was sent");
        }
        Phase::Sending => {
            assert!(matches!(awaits, Awaits::Output | Awaits::Nothing), "{awaits:?} while an answer is being sent");
            // It waits for a thread, its rate limit or the client.
            let thread = awaits == Awaits::Nothing;
            assert!(
                deadline && (thread || !task || run.disk_timed_out),
                "{awaits:?}, deadline {deadline}, task {task}"
            );
        }
        Phase::Lingering => {
            let lingers = awaits == Awaits::Input && deadline && (!task || run.disk_timed_out) && run.socket.shut;
            assert!(lingers, "{awaits:?}, deadline {deadline}, task {task}");
        }
        Phase::Closed => assert!(awaits == Awaits::Nothing && !deadline, "{awaits:?}, deadline {deadline}"),
    }
    if !matches!(phase, Phase::Lingering | Phase::Closed) {
        let unread = run.oracle.kept_unread(&run.socket, phase != Phase::Idle);
        assert!(unread <= INPUT || run.socket.lent, "{unread} received bytes are kept");
    }
}

/// The invariants of a connection that was closed for this reason.
pub(crate) fn after_end(run: &mut Run<'_>, reason: CloseReason) {
    run.oracle.check_aborted();
    let waited = run.now.saturating_duration_since(run.last_taken);
    match reason {
        CloseReason::Client => {
            assert!(run.socket.end_read, "the client had not ended");
            run.oracle.check_all_answered(&run.socket);
        }
        CloseReason::Quit | CloseReason::Fatal => {
            run.oracle.check_boundary();
            assert!(run.oracle.is_over(), "closed without a last answer");
        }
        CloseReason::Drained => {
            assert!(run.reported_at_drain.is_some(), "there is no drain");
            run.oracle.check_boundary();
        }
        CloseReason::Idle => {
            run.oracle.check_all_answered(&run.socket);
        }
        CloseReason::DiskTimeout => {
            assert!(run.disk_timed_out, "no deadline expired while a thread had a task");
            if !run.oracle.is_over() {
                assert!(waited >= run.settings.stall, "closed though something was sent {waited:?} ago");
            }
        }
        CloseReason::FileShrank => {
            let truncated = |(name, end): &(Vec<u8>, usize)| name == SHRINKS && *end > run.socket.world.shrunk_to;
            assert!(run.oracle.is_corrupt() || run.oracle.slices().iter().any(truncated), "no file has shrunk");
        }
        CloseReason::ReadFailed => assert!(run.socket.disk_failed || run.without_thread, "the disk has not failed"),
        CloseReason::Stalled => {
            assert!(waited >= run.settings.stall, "closed though the client took something {waited:?} ago");
        }
        CloseReason::Reset => assert!(run.socket.broken, "the connection was not broken"),
        CloseReason::Cut => assert!(run.reported_at_drain.is_some(), "there is no drain"),
        CloseReason::Refused => run.oracle.check_boundary(),
    }
}
