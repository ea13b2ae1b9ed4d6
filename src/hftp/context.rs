//! What all parts of a command share.

use std::sync::Arc;

use crate::client::{Address, Options, Server};

use super::args::{Common, Transfer};
use super::rate::RateLimit;
use super::report::Report;

/// The options of the command line, as the parts need them.
pub(super) struct Context {
    pub(super) report: Report,
    pub(super) retries: u32,
    /// Connections for the slices of one file.
    pub(super) jobs: usize,
    options: Options,
    rate: Option<RateLimit>,
}

impl Context {
    pub(super) fn new(common: &Common, transfer: Option<&Transfer>) -> Context {
        let report = Report::new(common);
        let rate = transfer.and_then(|transfer| transfer.limit_rate).map(RateLimit::new);
        let mut options = Options {
            connect_timeout: common.connect_timeout,
            timeout: common.timeout,
            encoding: common.proto.map(Into::into),
            ..Options::default()
        };
        if report.is_verbose() {
            let report = report.clone();
            options.trace = Some(Arc::new(move |step| report.trace(step)));
        }
        if let Some(rate) = &rate {
            options.piece = rate.piece();
        }
        let jobs = transfer.map_or(1, |transfer| usize::from(transfer.jobs));
        Context { report, retries: common.retries, jobs, options, rate }
    }

    pub(super) fn server(&self, address: &Address) -> Server {
        Server::new(address.clone(), self.options.clone())
    }

    /// Waits as `--limit-rate` demands before bytes are used.
    pub(super) fn pace(&self, count: usize) {
        if let Some(rate) = &self.rate {
            rate.take(count);
        }
    }
}
