//! How things stand, for `hftpd status`.

use std::time::Instant;

use serde_json::{Value, json};

use super::Report;
use super::listener::Endpoint;
use crate::connection::{CloseReason, Phase, Refusal};
use crate::os::privileges;
use crate::os::sandbox::Sandbox;
use crate::wire::Code;

/// What the supervisor knows.
pub(super) struct Facts<'a> {
    pub(super) state: &'static str,
    pub(super) started: Instant,
    pub(super) now: Instant,
    pub(super) root: &'a std::path::Path,
    pub(super) endpoints: &'a [Endpoint],
    pub(super) workers: usize,
    pub(super) sandbox: &'a Sandbox,
    pub(super) reloads: &'a Reloads,
    pub(super) log_lost: u64,
    pub(super) pool: (usize, usize),
    /// Added up over the workers that answered.
    pub(super) report: &'a Report,
}

/// What became of reloads.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) last: Option<LastReload>,
}

/// The last of them.
#[derive(Debug)]
pub(super) struct LastReload {
    pub(super) ok: bool,
    pub(super) message: String,
    pub(super) at: Instant,
}

/// The whole status as JSON.
pub(super) fn json(facts: &Facts<'_>) -> Value {
    let Report { tally, phases } = facts.report;
    let mut connections: serde_json::Map<String, Value> =
        Phase::OPEN.iter().zip(phases).map(|(phase, count)| (phase.name().to_owned(), json!(count))).collect();
    connections.insert("total".to_owned(), json!(phases.iter().sum::<u64>()));
    let answers = Code::ALL.iter().map(|code| (code.number().to_string(), tally.answers[code.index()]));
    let closed = CloseReason::ALL.iter().map(|reason| (reason.name().to_owned(), tally.closed[reason.index()]));
    let refused = Refusal::ALL.iter().map(|refusal| (refusal.name().to_owned(), tally.refused[refusal.index()]));
    let listeners = facts.endpoints.iter();
    let listeners = listeners
        .map(|endpoint| json!({ "address": endpoint.address.to_string(), "encoding": endpoint.encoding.name() }));
    let last = facts.reloads.last.as_ref();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "state": facts.state,
        "uptime_seconds": facts.now.duration_since(facts.started).as_secs(),
        "root": facts.root.to_string_lossy(),
        "listeners": listeners.collect::<Vec<_>>(),
        "workers": facts.workers,
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
        "protection": protection(facts.sandbox),
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

fn protection(sandbox: &Sandbox) -> Value {
    let who = privileges::current().ok();
    json!({
        "user": who.as_ref().and_then(|who| who.user.clone()),
        "uid": who.as_ref().map(|who| who.uid),
        "gid": who.as_ref().map(|who| who.gid),
        "groups": who.as_ref().map(|who| who.groups.clone()),
        "no_new_privileges": privileges::no_new_privileges(),
        "capabilities": privileges::effective_capabilities().map(|set| format!("{set:#x}")).ok(),
        "landlock": sandbox.to_string(),
    })
}

/// The status for people: a line for each value, `connections.idle: 3`.
pub fn text(status: &str) -> Result<String, serde_json::Error> {
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
