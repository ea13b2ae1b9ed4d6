//! The drain, and the end.

use std::time::Instant;

use super::{CUT_PATIENCE, DRAIN_TICK, Stage, Supervisor};
use crate::os::sockets;
use crate::server::{Order, service};

impl Supervisor {
    /// The first time it begins a drain, the second time it cuts it short.
    pub(super) fn handle_end(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Serving => {
                let drain = self.config.timeouts.drain;
                let left = self.shared.gate.inside();
                ::log::info!("ending: {left} connected, at most {} s until they are cut", drain.as_secs());
                service::stopping(&format!("draining {left} connections"));
                if self.preparing > 0 && !service::is_there() {
                    // A thread that hangs holds them, and who connects would wait for nobody.
                    self.endpoints.iter().for_each(|endpoint| sockets::stop(&endpoint.socket));
                }
                // The workers close theirs; whoever wants to connect is to know at once that nobody answers.
                self.endpoints.clear();
                self.foreign.clear();
                let workers = self.workers.len();
                self.stage = Stage::Draining { deadline: now + drain, tick: now + DRAIN_TICK, cut: false, workers };
                for worker in &self.workers {
                    worker.send(Order::Drain);
                }
            }
            Stage::Draining { deadline, .. } => {
                ::log::info!("ending at once");
                *deadline = now;
            }
            Stage::Over => {}
        }
        self.drain_on(now);
    }

    pub(super) fn drain_on(&mut self, now: Instant) {
        let Stage::Draining { deadline, tick, cut, .. } = &mut self.stage else { return };
        let left = self.shared.gate.inside();
        if *tick <= now {
            *tick = now + DRAIN_TICK;
            service::status(&format!("draining {left} connections"));
            service::extend(DRAIN_TICK * 5);
        }
        if *deadline > now {
            return;
        }
        if *cut {
            // A worker that does not end even now hangs. Its clients see the end of the process.
            ::log::error!("an event loop does not end");
            self.stage = Stage::Over;
            return;
        }
        *cut = true;
        *deadline = now + CUT_PATIENCE;
        if left > 0 {
            ::log::warn!("{left} connections are cut");
        }
        for worker in &self.workers {
            worker.send(Order::Cut);
        }
    }
}
