//! The drain, and the end.

use std::time::Instant;

use super::{CUT_PATIENCE, DRAIN_TICK, Stage, Supervisor};
use crate::os::sockets;
use crate::server::messages::WorkerCommand;
use crate::server::supervisor::sd_notify;

impl Supervisor {
    /// The first time it begins a drain, the second time it cuts it short.
    pub(crate) fn handle_end(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Serving => {
                let drain = self.config.timeouts.drain;
                let left = self.shared.admission.connected();
                ::log::info!("ending: {left} connected, at most {} s until they are cut", drain.as_secs());
                sd_notify::stopping(&format!("draining {left} connections"));
                if self.preparing > 0 && !sd_notify::is_available() {
                    // A thread that hangs holds them, and who connects would wait for nobody.
                    self.endpoints.iter().for_each(|endpoint| sockets::shutdown_listener(&endpoint.socket));
                }
                // The workers close theirs; whoever wants to connect is to know at once that nobody answers.
                self.endpoints.clear();
                self.from_socket_unit.clear();
                let workers = self.workers.len();
                self.stage = Stage::Draining { deadline: now + drain, tick: now + DRAIN_TICK, cut: false, workers };
                for worker in &self.workers {
                    worker.send(WorkerCommand::Drain);
                }
            }
            Stage::Draining { deadline, .. } => {
                ::log::info!("ending at once");
                *deadline = now;
            }
            Stage::Stopped => {}
        }
        self.drain_on(now);
    }

    pub(crate) fn drain_on(&mut self, now: Instant) {
        let Stage::Draining { deadline, tick, cut, .. } = &mut self.stage else { return };
        let left = self.shared.admission.connected();
        if *tick <= now {
            *tick = now + DRAIN_TICK;
            sd_notify::status(&format!("draining {left} connections"));
            sd_notify::extend_timeout(DRAIN_TICK * 5);
        }
        if *deadline > now {
            return;
        }
        if *cut {
            // A worker that does not end even now hangs. Its clients see the end of the process.
            ::log::error!("an event loop does not end");
            self.stage = Stage::Stopped;
            return;
        }
        *cut = true;
        *deadline = now + CUT_PATIENCE;
        if left > 0 {
            ::log::warn!("{left} connections are cut");
        }
        for worker in &self.workers {
            worker.send(WorkerCommand::CloseAll);
        }
    }
}
