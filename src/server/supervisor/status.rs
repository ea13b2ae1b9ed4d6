//! How things stand, for `hftpd status`.

use std::time::Instant;

use serde_json::{Value, json};

use crate::connection::{CloseReason, Phase, Refusal};
use crate::os::privileges;
use crate::os::sandbox::Sandbox;
use crate::server::listener::Endpoint;
use crate::server::messages::WorkerStatus;
use crate::wire::Code;

/// What the supervisor knows.
pub(crate) struct Facts<'a> {
    pub(crate) state: &'static str,
    pub(crate) started: Instant,
    pub(crate) now: Instant,
    pub(crate) root: &'a std::path::Path,
    pub(crate) endpoints: &'a [Endpoint],
    pub(crate) workers: usize,
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) reloads: &'a Reloads,
    pub(crate) log_lost: u64,
    pub(crate) pool: (usize, usize),
    /// Added up over the workers that answered.
    pub(crate) report: &'a WorkerStatus,
}

/// What became of reloads.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) last: Option<LastReload>,
}

/// The last of them.
#[derive(Debug)]
pub(crate) struct LastReload {
    pub(crate) ok: bool,
    pub(crate) message: String,
    pub(crate) at: Instant,
}

/// The whole status as JSON.
pub(crate) fn json(facts: &Facts<'_>) -> Value {
    let WorkerStatus { tally, phases } = facts.report;
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
