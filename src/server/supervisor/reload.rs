//! The state of reloads: the one under way, those that wait for it, and what became of earlier ones.

use std::time::{Duration, Instant};

use mio::Token;

use crate::exit::Exit;

/// The time limit of the preparation. A disk that hangs must not delay the next reload.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(20);

/// The time limit for workers to apply a configuration.
const APPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The most threads that prepare reloads, those that hang included.
const MAX_THREADS: usize = 4;

/// Why a reload is refused during a drain.
pub(super) const SHUTTING_DOWN: &str = "the daemon is shutting down";

/// The reloads of the daemon.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    stage: Stage,
    /// Control clients that asked for a reload while one was under way. Another follows it, because what the first has
    /// read may be older. None if there was no such request.
    next: Option<Vec<Token>>,
    /// Threads that prepare a reload, those that are not waited for any more included.
    threads: usize,
    /// The number of the last reload that was begun.
    serial: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) last: Option<LastReload>,
}

/// The stage of the running reload, with the control clients that wait for it.
#[derive(Debug, Default)]
enum Stage {
    #[default]
    None,
    Preparing {
        clients: Vec<Token>,
        deadline: Instant,
    },
    Applying {
        clients: Vec<Token>,
        /// Workers that have not confirmed it yet.
        workers: usize,
        message: String,
        deadline: Instant,
    },
}

/// The result of the last reload.
#[derive(Debug)]
pub(super) struct LastReload {
    pub(super) ok: bool,
    pub(super) message: String,
    pub(super) at: Instant,
}

/// How a reload ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) clients: Vec<Token>,
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Reloads {
    /// A reload is asked for. Returns its number if it is to be prepared now; it may also have to wait for another, or
    /// be refused.
    pub(super) fn begin(&mut self, clients: Vec<Token>, now: Instant) -> Result<Option<u64>, Outcome> {
        if !self.is_idle() {
            self.next.get_or_insert_default().extend(clients);
            return Ok(None);
        }
        if self.threads >= MAX_THREADS {
            let message = format!("{MAX_THREADS} reloads still wait for a disk that does not answer; see what hangs");
            return Err(Outcome { clients, exit: Exit::Unavailable, message });
        }
        self.threads += 1;
        self.serial += 1;
        self.stage = Stage::Preparing { clients, deadline: now + PREPARE_TIMEOUT };
        Ok(Some(self.serial))
    }

    /// A thread has prepared a reload. Returns the clients that wait for it, unless it has expired.
    pub(super) fn prepared(&mut self, serial: u64) -> Option<Vec<Token>> {
        self.threads -= 1;
        if serial != self.serial || !matches!(self.stage, Stage::Preparing { .. }) {
            return None;
        }
        self.take_clients()
    }

    /// So many workers have been sent the configuration.
    pub(super) fn apply(&mut self, clients: Vec<Token>, workers: usize, message: String, now: Instant) {
        self.stage = Stage::Applying { clients, workers, message, deadline: now + APPLY_TIMEOUT };
    }

    /// A worker has applied the configuration. Returns the outcome when all have.
    pub(super) fn confirmed(&mut self, serial: u64) -> Option<Outcome> {
        let Stage::Applying { workers, message, .. } = &mut self.stage else { return None };
        if serial != self.serial {
            return None;
        }
        *workers -= 1;
        if *workers > 0 {
            return None;
        }
        let message = std::mem::take(message);
        Some(Outcome { clients: self.take_clients()?, exit: Exit::Success, message })
    }

    /// Ends a reload whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Outcome> {
        if self.deadline()? > now {
            return None;
        }
        let message = match &self.stage {
            Stage::Applying { workers, .. } => format!(
                "{workers} workers have not applied the new configuration within {} s; it is in force in the others",
                APPLY_TIMEOUT.as_secs()
            ),
            _ => format!(
                "the configuration or its root could not be read within {} s; see what hangs",
                PREPARE_TIMEOUT.as_secs()
            ),
        };
        Some(Outcome { clients: self.take_clients()?, exit: Exit::System, message })
    }

    /// Remembers what became of a reload. Returns the clients of the next one, if one was asked for meanwhile.
    pub(super) fn ended(&mut self, ok: bool, message: String, now: Instant) -> Option<Vec<Token>> {
        *(if ok { &mut self.succeeded } else { &mut self.failed }) += 1;
        self.last = Some(LastReload { ok, message, at: now });
        self.next.take()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::None => None,
            Stage::Preparing { deadline, .. } | Stage::Applying { deadline, .. } => Some(*deadline),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::None)
    }

    /// Whether a thread prepares a reload. It may hang, and it has descriptors of the listeners.
    pub(super) fn has_threads(&self) -> bool {
        self.threads > 0
    }

    fn take_clients(&mut self) -> Option<Vec<Token>> {
        match std::mem::take(&mut self.stage) {
            Stage::None => None,
            Stage::Preparing { clients, .. } | Stage::Applying { clients, .. } => Some(clients),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unconfirmed_reload_expires_and_the_next_begins() {
        let (mut reloads, now) = (Reloads::default(), Instant::now());
        assert_eq!(reloads.begin(vec![Token(1)], now).expect("not refused"), Some(1));
        assert_eq!(reloads.begin(vec![Token(2)], now).expect("not refused"), None, "it waits");
        let clients = reloads.prepared(1).expect("it is waited for");
        reloads.apply(clients, 2, "done".to_owned(), now);
        assert!(reloads.confirmed(1).is_none());
        assert!(reloads.expire(now).is_none());
        let outcome = reloads.expire(now + APPLY_TIMEOUT).expect("it expires");
        assert_eq!((outcome.exit, outcome.clients), (Exit::System, vec![Token(1)]));
        assert_eq!(reloads.ended(false, outcome.message, now), Some(vec![Token(2)]));
        assert_eq!(reloads.begin(vec![Token(2)], now).expect("not refused"), Some(2));
        let clients = reloads.prepared(2).expect("it is waited for");
        reloads.apply(clients, 2, "done".to_owned(), now);
        assert!(reloads.confirmed(1).is_none(), "a late confirmation of another reload does not count");
        assert!(reloads.confirmed(2).is_none());
        assert_eq!(reloads.confirmed(2).expect("both have").exit, Exit::Success);
    }

    #[test]
    fn hanging_threads_are_limited() {
        let (mut reloads, now) = (Reloads::default(), Instant::now());
        for serial in 1..=4 {
            assert_eq!(reloads.begin(Vec::new(), now).expect("not refused"), Some(serial));
            assert!(reloads.expire(now + PREPARE_TIMEOUT).is_some());
        }
        assert_eq!(reloads.begin(Vec::new(), now).expect_err("refused").exit, Exit::Unavailable);
        assert!(reloads.prepared(1).is_none(), "it has expired");
        assert_eq!(reloads.begin(Vec::new(), now).expect("not refused"), Some(5));
    }
}
