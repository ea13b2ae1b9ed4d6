//! How things stand, asked of every worker.

use std::time::Instant;

use mio::Token;

use super::{Count, REPORT_PATIENCE, Stage, Supervisor};
use crate::exit::Exit;
use crate::server::messages::{WorkerCommand, WorkerStatus};
use crate::server::supervisor::status::{self, Facts};

impl Supervisor {
    pub(crate) fn begin_count(&mut self, who: Token, now: Instant) {
        if let Some(count) = &mut self.count {
            return count.asked.push(who);
        }
        let workers = self.workers.len();
        self.serial += 1;
        let serial = self.serial;
        self.count = Some(Count {
            serial,
            asked: vec![who],
            report: WorkerStatus::default(),
            workers,
            until: now + REPORT_PATIENCE,
        });
        for worker in &self.workers {
            worker.send(WorkerCommand::ReportStatus(self.serial));
        }
    }

    pub(crate) fn finish_count(&mut self, now: Instant) {
        let is_over = |count: &mut Count| count.workers == 0 || count.until <= now;
        let Some(count) = self.count.take_if(is_over) else { return };
        let state = match (&self.stage, count.workers) {
            (Stage::Serving, 0) => "serving",
            (Stage::Serving, _) => "hanging",
            _ => "draining",
        };
        let facts = Facts {
            state,
            started: self.started,
            now,
            root: &self.config.root,
            endpoints: &self.endpoints,
            workers: self.workers.len(),
            sandbox: &self.sandbox,
            reloads: &self.reloads,
            log_lost: self.log.lost(),
            pool: self.shared.pool.load(),
            report: &count.report,
        };
        let text = status::json(&facts).to_string();
        for who in count.asked {
            self.answer(who, Exit::Done, &text, now);
        }
    }
}
