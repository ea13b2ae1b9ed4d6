//! What must be true of a connection after each step, and when it has ended.

use hftpd::connection::{CloseReason, Events, INPUT, Phase};

use super::run::Run;
use super::world::SHRINKS;

/// Bytes of answers that may be told of as complete while they are not all written yet: as many as are gathered
/// before they are sent, and one more small answer in its longest form.
const GATHERED: usize = 64 * 1024 + 64 * 1024;

/// What must be true after each step.
pub(crate) fn after_step(run: &Run<'_>) {
    let connection = &run.connection;
    let (phase, events) = (connection.phase(), connection.events());
    let Events { read, write, run: ready } = events;
    let waits = u8::from(read) + u8::from(write) + u8::from(ready);
    let deadline = connection.deadline(&run.settings).is_some();
    let job = run.job.is_some();
    let since_drain = run.told_at_drain.map_or(0, |told| run.oracle.told() - told);
    assert!(since_drain <= 1, "{since_drain} requests were answered since the drain began");
    assert!(waits <= 1, "{phase:?} waits for {events:?}");
    assert_eq!(connection.to_remove().is_some(), phase == Phase::Closed, "removed when closed and not before");
    match phase {
        Phase::Idle | Phase::Reading => {
            assert!((read || ready) && deadline && !job, "{phase:?}: {events:?}, deadline {deadline}, job {job}");
            run.oracle.check_boundary();
            // A drain waits a moment for the first request of a client that has just come, and for nothing else.
            let first = phase == Phase::Idle && run.oracle.told() == 0;
            assert!(run.told_at_drain.is_none() || first, "{phase:?} in a drain");
        }
        // Answers to earlier requests may go out meanwhile; nothing is read.
        Phase::Waiting => assert!(!read && !ready && !deadline && job, "{events:?}, deadline {deadline}, job {job}"),
        Phase::Sending => {
            assert!(!read && !ready, "{events:?} while an answer is being sent");
            // It waits for the disk, for its rate or for the client.
            assert!(if job { !write && !deadline } else { deadline }, "{events:?}, deadline {deadline}, job {job}");
        }
        Phase::Lingering => {
            assert!(read && deadline && !job && run.wire.shut, "{events:?}, deadline {deadline}, job {job}");
        }
        Phase::Closed => assert!(waits == 0 && !deadline, "{events:?}, deadline {deadline}"),
    }
    if !matches!(phase, Phase::Lingering | Phase::Closed) {
        let unread = run.oracle.kept_unread(&run.wire);
        assert!(unread <= INPUT, "{unread} bytes are kept unread");
        assert!(run.oracle.told_ahead() <= GATHERED, "{} bytes are kept unsent", run.oracle.told_ahead());
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
        CloseReason::FileShrank => {
            let cut = |(name, end): &(Vec<u8>, usize)| name == SHRINKS && *end > run.wire.world.shrunk_to;
            assert!(run.oracle.is_spoilt() || run.oracle.slices().iter().any(cut), "no file has shrunk");
        }
        CloseReason::ReadFailed => assert!(run.disk_failed, "the disk has not failed"),
        CloseReason::Stalled => {
            assert!(waited >= run.settings.stall, "cut off though the client took something {waited:?} ago");
        }
        CloseReason::Reset => assert!(run.wire.broken, "the connection was not broken"),
        CloseReason::Cut => assert!(run.told_at_drain.is_some(), "there is no drain"),
        CloseReason::Refused => run.oracle.check_boundary(),
    }
}
