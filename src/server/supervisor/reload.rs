//! Reloads, from who asks to the verdict.

use std::time::Instant;

use mio::Token;

use super::control::ControlReply;
use super::{RELOAD_PATIENCE, RELOADS, Reload, Stage, Supervisor};
use super::{sd_notify, status::LastReload};
use crate::exit::Exit;
use crate::os::sockets;
use crate::server::listener::{self, Endpoint};
use crate::server::messages::{SupervisorEvent, WorkerCommand};
use crate::server::prepare::{self, Prepared};
use crate::server::start::{Failure, raise_descriptor_limit};

impl Supervisor {
    /// Begins a reload, or sees to it that one follows that which is under way: what it read may be older.
    pub(crate) fn begin_reload(&mut self, asked: Vec<Token>, now: Instant) {
        if !matches!(self.stage, Stage::Serving) {
            return self.refuse_reload(asked, ENDING.to_owned(), now);
        }
        if !matches!(self.reload, Reload::None) {
            self.next_reload.get_or_insert_default().extend(asked);
            return;
        }
        if self.preparing >= RELOADS {
            let message = format!("{RELOADS} reloads still wait for a disk that does not answer; see what hangs");
            return self.refuse_reload(asked, message, now);
        }
        sd_notify::reloading();
        self.serial += 1;
        self.preparing += 1;
        let serial = self.serial;
        self.reload = Reload::Preparing { asked, serial, until: now + RELOAD_PATIENCE };
        let (source, overrides, config) = (self.source.clone(), self.overrides.clone(), self.config.clone());
        let (workers, mailbox) = (self.workers.len(), self.mailbox.clone());
        let mut held = self.endpoints.clone();
        held.extend(
            self.from_socket_unit
                .iter()
                .filter(|from_socket_unit| !is_among(from_socket_unit, &self.endpoints))
                .cloned(),
        );
        let spawned = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let result = prepare::prepare(&source, &overrides, &config, &held, workers).map(Box::new);
            mailbox.send(SupervisorEvent::Prepared { serial, result });
        });
        if let Err(error) = spawned {
            self.prepared(serial, Err(Failure::no_thread("a thread that reloads", &error)), now);
        }
    }

    fn refuse_reload(&mut self, asked: Vec<Token>, message: String, now: Instant) {
        ::log::warn!("not reloaded: {message}");
        for who in asked {
            self.answer(who, Exit::Unavailable, &message, now);
        }
    }

    /// A thread has prepared a reload. Nobody may want it any more.
    pub(crate) fn prepared(&mut self, serial: u64, result: Result<Box<Prepared>, Failure>, now: Instant) {
        self.preparing -= 1;
        if !matches!(self.reload, Reload::Preparing { serial: wanted, .. } if wanted == serial) {
            return;
        }
        let Reload::Preparing { asked, .. } = std::mem::replace(&mut self.reload, Reload::None) else { return };
        match result {
            _ if !matches!(self.stage, Stage::Serving) => self.refuse_reload(asked, ENDING.to_owned(), now),
            Ok(prepared) => self.apply(*prepared, asked, now),
            Err(failure) => self.end_reload(asked, failure.exit, failure.message, now),
        }
    }

    /// Gives up a reload that takes too long to be prepared.
    pub(crate) fn expire_reload(&mut self, now: Instant) {
        if !matches!(self.reload, Reload::Preparing { until, .. } if until <= now) {
            return;
        }
        if let Reload::Preparing { asked, .. } = std::mem::replace(&mut self.reload, Reload::None) {
            let seconds = RELOAD_PATIENCE.as_secs();
            let message = format!("the configuration or its root could not be read within {seconds} s; see what hangs");
            self.end_reload(asked, Exit::System, message, now);
        }
    }

    /// Puts a configuration into force. Nothing of it can fail.
    fn apply(&mut self, prepared: Prepared, asked: Vec<Token>, now: Instant) {
        let Prepared { config, changes, endpoints, setups } = prepared;
        self.log.apply(&config.log);
        raise_descriptor_limit(&config);
        let old = std::mem::replace(&mut self.endpoints, endpoints);
        self.config = config;
        for gone in old.iter().filter(|old| !is_among(old, &self.endpoints)) {
            if gone.from_socket_unit {
                ::log::warn!("the socket unit still listens at {}, and nobody answers there: stop it", gone.address);
                continue;
            }
            sd_notify::remove_fd(&listener::store_name(gone));
            if let Err(error) = sockets::take_no_more(&gone.socket) {
                ::log::debug!("{} takes clients until it is closed: {error}", gone.address);
            }
        }
        for new in self.endpoints.iter().filter(|new| !is_among(new, &old)) {
            sd_notify::store_fd(new);
        }
        for (worker, setup) in self.workers.iter().zip(setups) {
            worker.send(WorkerCommand::Reconfigure(Box::new(setup)));
        }
        let message = format!("{changes}; {}", self.serving());
        self.reload = Reload::Applying { asked, workers: self.workers.len(), message };
        self.finish_reload(now);
    }

    pub(crate) fn finish_reload(&mut self, now: Instant) {
        if !matches!(self.reload, Reload::Applying { workers: 0, .. }) {
            return;
        }
        if let Reload::Applying { asked, message, .. } = std::mem::replace(&mut self.reload, Reload::None) {
            self.end_reload(asked, Exit::Done, message, now);
        }
    }

    /// Says what became of a reload to everybody who wants to know, and begins the next if there is one.
    pub(crate) fn end_reload(&mut self, asked: Vec<Token>, exit: Exit, message: String, now: Instant) {
        let ok = exit == Exit::Done;
        if ok {
            self.reloads.succeeded += 1;
            ::log::info!("reloaded: {message}");
        } else {
            self.reloads.failed += 1;
            ::log::error!("not reloaded, the old configuration stays in force");
            message.lines().for_each(|line| ::log::error!("{line}"));
        }
        for who in asked {
            self.answer(who, exit, &message, now);
        }
        let first_line = message.lines().next().unwrap_or_default();
        let status = if ok { self.serving() } else { format!("{}; not reloaded: {first_line}", self.serving()) };
        self.reloads.last = Some(LastReload { ok, message, at: now });
        if matches!(self.stage, Stage::Serving) {
            sd_notify::ready(&status);
        }
        if let Some(asked) = self.next_reload.take() {
            self.begin_reload(asked, now);
        }
    }

    pub(crate) fn answer(&mut self, who: Token, exit: Exit, text: &str, now: Instant) {
        if let Some(control) = &mut self.control {
            control.answer(who, &ControlReply { exit: exit.code(), text: text.to_owned() }, now);
        }
    }
}

/// What who asks for a reload is told during a drain.
const ENDING: &str = "the daemon is ending";

fn is_among(endpoint: &Endpoint, others: &[Endpoint]) -> bool {
    others.iter().any(|other| other.is(endpoint))
}
