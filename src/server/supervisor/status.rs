//! The status, for `hftpd status`.

use std::time::Instant;

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::reload::Reloads;
use super::status_query::StatusQuery;
use crate::connection::{CloseReason, Phase, Refusal};
use crate::server::messages::WorkerStatus;
use crate::wire::Code;

/// The whole status as JSON.
pub(super) fn json(daemon: &Daemon, query: &StatusQuery, reloads: &Reloads, draining: bool, now: Instant) -> Value {
    let WorkerStatus { counters, phases } = &query.sum;
    let state = match (draining, query.missing.is_empty()) {
        (true, _) => "draining",
        (false, true) => "serving",
        (false, false) => "degraded",
    };
    let mut connections: serde_json::Map<String, Value> =
        Phase::OPEN.iter().zip(phases).map(|(phase, count)| (phase.name().to_owned(), json!(count))).collect();
    connections.insert("total".to_owned(), json!(phases.iter().sum::<u64>()));
    let answers = Code::ALL.iter().map(|code| (code.number().to_string(), counters.answers[code.index()]));
    let closed = CloseReason::ALL.iter().map(|reason| (reason.name().to_owned(), counters.closed[reason.index()]));
    let refused = Refusal::ALL.iter().map(|refusal| (refusal.name().to_owned(), counters.refused[refusal.index()]));
    let listeners = daemon.listeners.in_force().iter().map(
        |endpoint| json!({ "address": endpoint.address.to_string(), "encoding": endpoint.framing.encoding.name() }),
    );
    let last = reloads.last.as_ref();
    let (waiting, threads) = daemon.shared.pool.load();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "state": state,
        "uptime_seconds": now.duration_since(daemon.started).as_secs(),
        "root": daemon.config.root.to_string_lossy(),
        "listeners": listeners.collect::<Vec<_>>(),
        "workers": daemon.workers.len(),
        "unresponsive_workers": query.missing,
        "limits": { "connections": daemon.config.limits.connections },
        "connections": connections,
        "accepted": counters.accepted,
        "refused": object(refused),
        "accept_pauses": counters.accept_pauses,
        "answers": object(answers),
        "incomplete_answers": counters.incomplete,
        "answer_bytes": counters.bytes,
        "closed": object(closed),
        "disk": { "waiting": waiting, "threads": threads },
        "log_lost": daemon.log.lost(),
        "protection": daemon.protection,
        "reloads": { "succeeded": reloads.succeeded, "failed": reloads.failed },
        "last_reload": last.map(|last| json!({
            "ok": last.ok,
            "message": last.message,
            "seconds_ago": now.duration_since(last.at).as_secs(),
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
