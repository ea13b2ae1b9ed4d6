//! The status, for `hftpd status`.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::reload::Reloads;
use super::status_query::StatusQuery;
use crate::connection::{CloseReason, Phase, Refusal};
use crate::os::privileges;
use crate::os::sandbox::Sandbox;
use crate::server::listener::Endpoint;
use crate::server::messages::WorkerStatus;
use crate::wire::Code;

/// What the supervisor knows.
pub(super) struct Facts<'a> {
    pub(super) draining: bool,
    pub(super) started: Instant,
    pub(super) now: Instant,
    pub(super) root: &'a Path,
    pub(super) endpoints: &'a [Endpoint],
    pub(super) workers: usize,
    pub(super) protection: &'a Protection,
    pub(super) reloads: &'a Reloads,
    pub(super) log_lost: u64,
    /// Work that waits, and threads.
    pub(super) pool: (usize, usize),
    pub(super) query: &'a StatusQuery,
}

/// The privileges of the process and its sandbox. They cannot change after the start, and the name of the user is looked
/// up there: the name service may hang.
#[derive(Debug, Clone)]
pub(in crate::server) struct Protection(Value);

impl Protection {
    /// That of this process now.
    pub(in crate::server) fn current(sandbox: &Sandbox) -> Protection {
        let identity = privileges::current().ok();
        Protection(json!({
            "user": identity.as_ref().and_then(|identity| identity.user.clone()),
            "uid": identity.as_ref().map(|identity| identity.uid),
            "gid": identity.as_ref().map(|identity| identity.gid),
            "groups": identity.as_ref().map(|identity| identity.groups.clone()),
            "no_new_privileges": privileges::no_new_privileges(),
            "capabilities": privileges::effective_capabilities().map(|set| format!("{set:#x}")).ok(),
            "landlock": sandbox.to_string(),
        }))
    }
}

/// The whole status as JSON.
pub(super) fn json(facts: &Facts<'_>) -> Value {
    let WorkerStatus { tally, phases } = &facts.query.sum;
    let state = match (facts.draining, facts.query.missing.is_empty()) {
        (true, _) => "draining",
        (false, true) => "serving",
        (false, false) => "degraded",
    };
    let mut connections: serde_json::Map<String, Value> =
        Phase::OPEN.iter().zip(phases).map(|(phase, count)| (phase.name().to_owned(), json!(count))).collect();
    connections.insert("total".to_owned(), json!(phases.iter().sum::<u64>()));
    let answers = Code::ALL.iter().map(|code| (code.number().to_string(), tally.answers[code.index()]));
    let closed = CloseReason::ALL.iter().map(|reason| (reason.name().to_owned(), tally.closed[reason.index()]));
    let refused = Refusal::ALL.iter().map(|refusal| (refusal.name().to_owned(), tally.refused[refusal.index()]));
    let listeners = facts
        .endpoints
        .iter()
        .map(|endpoint| json!({ "address": endpoint.address.to_string(), "encoding": endpoint.encoding.name() }));
    let last = facts.reloads.last.as_ref();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "state": state,
        "uptime_seconds": facts.now.duration_since(facts.started).as_secs(),
        "root": facts.root.to_string_lossy(),
        "listeners": listeners.collect::<Vec<_>>(),
        "workers": facts.workers,
        "unresponsive_workers": facts.query.missing,
        "connections": connections,
        "accepted": tally.accepted,
        "refused": object(refused),
        "accept_pauses": tally.accept_pauses,
        "answers": object(answers),
        "incomplete_answers": tally.incomplete,
        "answer_bytes": tally.bytes,
        "closed": object(closed),
        "disk": { "waiting": facts.pool.0, "threads": facts.pool.1 },
        "log_lost": facts.log_lost,
        "protection": facts.protection.0,
        "reloads": { "succeeded": facts.reloads.succeeded, "failed": facts.reloads.failed },
        "last_reload": last.map(|last| json!({
            "ok": last.ok,
            "message": last.message,
            "seconds_ago": facts.now.duration_since(last.at).as_secs(),
        })),
    })
}

fn object(counts: impl Iterator<Item = (String, u64)>) -> Value {
    Value::Object(counts.map(|(name, count)| (name, json!(count))).collect())
}

/// The status for people: a line for each value, `connections.idle: 3`.
pub(in crate::server) fn text(status: &str) -> Result<String, serde_json::Error> {
    let mut lines = String::new();
    write_lines(&mut lines, "", &serde_json::from_str(status)?);
    Ok(lines)
}

fn write_lines(lines: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                write_lines(lines, &name, value);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for value in values {
                let Value::Object(members) = value else { continue };
                let words: Vec<String> = members.values().map(plain).collect();
                lines.push_str(&format!("{name}: {}\n", words.join(" ")));
            }
        }
        Value::Array(values) => {
            let words: Vec<String> = values.iter().map(plain).collect();
            lines.push_str(&format!("{name}: {}\n", words.join(" ")));
        }
        value => lines.push_str(&format!("{name}: {}\n", plain(value))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        // A line for each value, whatever it is.
        Value::String(text) => text.lines().map(str::trim).collect::<Vec<_>>().join(" / "),
        value => value.to_string(),
    }
}
