//! Signals that come while the daemon starts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{SigId, flag};

/// What is asked for before there is anybody to do it is done after the start: a reload does not end the daemon, and
/// the end leaves nothing half made behind. Whoever asks for the end twice has it at once.
pub(super) struct StartupSignals {
    hang_up: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    actions: Vec<SigId>,
}

/// What signals ask for. Whoever asks for both wants the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SignalRequest {
    Nothing,
    Reload,
    End,
}

impl StartupSignals {
    /// Watches for reloads from here on.
    pub(super) fn watch_sighup() -> io::Result<StartupSignals> {
        let hang_up = Arc::new(AtomicBool::new(false));
        let actions = vec![flag::register(SIGHUP, hang_up.clone())?];
        Ok(StartupSignals { hang_up, end: Arc::default(), actions })
    }

    /// Watches for the end from here on. Not before there is something to leave behind: until then a start that hangs
    /// ends by the first signal.
    pub(super) fn watch_termination(&mut self) -> io::Result<()> {
        let once = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: a signal that comes between two of them is not lost, and the first finds `once` down.
            self.actions.push(flag::register(signal, self.end.clone())?);
            self.actions.push(flag::register_conditional_default(signal, once.clone())?);
            self.actions.push(flag::register(signal, once.clone())?);
        }
        Ok(())
    }

    /// What was asked for. Later signals are somebody else's to see.
    pub(super) fn end(self) -> SignalRequest {
        for action in self.actions {
            signal_hook::low_level::unregister(action);
        }
        if self.end.load(Ordering::Relaxed) {
            SignalRequest::End
        } else if self.hang_up.load(Ordering::Relaxed) {
            SignalRequest::Reload
        } else {
            SignalRequest::Nothing
        }
    }
}
