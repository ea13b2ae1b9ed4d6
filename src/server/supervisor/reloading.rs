//! Reloads, from who asks to the verdict.

use std::time::Instant;

use mio::Token;

use super::{Reload, Stage, Supervisor};
use crate::exit::Exit;
use crate::os::sockets;
use crate::server::control::Verdict;
use crate::server::reload::{self, Prepared};
use crate::server::start::{Failure, raise_descriptor_limit};
use crate::server::status::LastReload;
use crate::server::{Notice, Order, service};

impl Supervisor {
    /// Begins a reload, or sees to it that one follows that which is under way: what it read may be older.
    pub(super) fn begin_reload(&mut self, who: Option<Token>, now: Instant) {
        if !matches!(self.stage, Stage::Serving) {
            let message = "the daemon is ending, and does not reload".to_owned();
            ::log::warn!("{message}");
            return self.answer(who, Exit::Unavailable, &message, now);
        }
        if !matches!(self.reload, Reload::None) {
            self.next_reload.get_or_insert_default().extend(who);
            return;
        }
        service::reloading();
        self.reload = Reload::Preparing(who.into_iter().collect());
        let (source, overrides, config) = (self.source.clone(), self.overrides.clone(), self.config.clone());
        let (endpoints, workers, mailbox) = (self.endpoints.clone(), self.workers.len(), self.mailbox.clone());
        let spawned = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let prepared = reload::prepare(&source, &overrides, &config, &endpoints, workers);
            mailbox.send(Notice::Prepared(prepared.map(Box::new)));
        });
        if let Err(error) = spawned {
            let failure = Failure::system("cannot start a thread that reloads", &error);
            self.heed(Notice::Prepared(Err(failure)), now);
        }
    }

    /// Puts a configuration into force. Nothing of it can fail.
    pub(super) fn apply(&mut self, prepared: Prepared, now: Instant) {
        let Prepared { config, changes, endpoints, setups } = prepared;
        let Reload::Preparing(asked) = std::mem::replace(&mut self.reload, Reload::None) else { return };
        self.log.apply(&config.log);
        raise_descriptor_limit(&config);
        let old = std::mem::replace(&mut self.endpoints, endpoints);
        self.config = config;
        for gone in old.iter().filter(|old| !self.endpoints.iter().any(|endpoint| endpoint.is(old))) {
            service::forget(&service::name(gone));
            if let Err(error) = sockets::take_no_more(&gone.socket) {
                ::log::debug!("{} closes without a filter: {error}", gone.address);
            }
        }
        for new in self.endpoints.iter().filter(|new| !old.iter().any(|endpoint| endpoint.is(new))) {
            service::keep(new);
        }
        for (worker, setup) in self.workers.iter().zip(setups) {
            worker.send(Order::Setup(Box::new(setup)));
        }
        let message = format!("{changes}; {}", self.serving());
        self.reload = Reload::Applying { asked, workers: self.workers.len(), message };
        self.finish_reload(now);
    }

    pub(super) fn finish_reload(&mut self, now: Instant) {
        if !matches!(self.reload, Reload::Applying { workers: 0, .. }) {
            return;
        }
        if let Reload::Applying { asked, message, .. } = std::mem::replace(&mut self.reload, Reload::None) {
            self.conclude(asked, Exit::Done, message, now);
        }
    }

    /// Says what became of a reload to everybody who wants to know, and begins the next if there is one.
    pub(super) fn conclude(&mut self, asked: Vec<Token>, exit: Exit, message: String, now: Instant) {
        let ok = exit == Exit::Done;
        if ok {
            self.reloads.succeeded += 1;
            ::log::info!("reloaded: {message}");
        } else {
            self.reloads.failed += 1;
            ::log::error!("not reloaded, the old configuration stays in force: {message}");
        }
        for who in asked {
            self.answer(Some(who), exit, &message, now);
        }
        let first_line = message.lines().next().unwrap_or_default();
        let status = if ok { self.serving() } else { format!("{}; not reloaded: {first_line}", self.serving()) };
        self.reloads.last = Some(LastReload { ok, message, at: now });
        if matches!(self.stage, Stage::Serving) {
            service::ready(&status);
        }
        if let Some(asked) = self.next_reload.take() {
            if asked.is_empty() {
                self.begin_reload(None, now);
            }
            for who in asked {
                self.begin_reload(Some(who), now);
            }
        }
    }

    pub(super) fn answer(&mut self, who: Option<Token>, exit: Exit, text: &str, now: Instant) {
        if let (Some(who), Some(control)) = (who, &mut self.control) {
            control.answer(who, &Verdict { exit: exit.code(), text: text.to_owned() }, now);
        }
    }
}
