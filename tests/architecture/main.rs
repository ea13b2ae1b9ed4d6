//! Who may import whom: the parts of `src`, read as text and held against one table.
//!
//! The table, [`PARTS`], is in order: a part uses only parts that stand below it. What the sources do against it today
//! stands in [`BREACHES`], each with what mends it; a breach that is gone must leave the list. Unit tests may import
//! what they like.

mod advisories;
mod imports;
mod scanner;
mod tokens;

use std::collections::BTreeSet;

use imports::{Finding, dependencies, is_within, sources};
use tokens::{lines_without_tests, tokens};

/// What a part may import.
struct Part {
    /// The folder or file directly in `src`; a program is `bin/NAME`.
    name: &'static str,
    /// Other parts. Its own modules are always allowed.
    parts: &'static [&'static str],
    /// Other people's crates, or paths in them. The standard library is always allowed.
    crates: &'static [&'static str],
    /// Why no more.
    reason: &'static str,
}

const PARTS: &[Part] = &[
    Part {
        name: "bin/hftpd",
        parts: &["cli", "config", "log", "server"],
        crates: &[],
        reason: "a program only joins the command line with what it asks for, and has the log begin",
    },
    Part {
        name: "cli",
        parts: &["config", "exit"],
        crates: &["lexopt"],
        reason: "the command line is read and checked before anything is started, so it starts nothing",
    },
    Part {
        name: "server",
        parts: &["config", "connection", "detach", "exit", "handle", "log", "metrics", "os", "wire"],
        crates: &["ipnet", "log", "mio", "sd_notify", "serde_json", "signal_hook", "signal_hook_mio", "slab"],
        reason: "the server polls, accepts and dispatches: of the wire it knows encodings, names and codes, which are \
                 settings and counters to it, and system calls are made in os",
    },
    Part {
        name: "metrics",
        parts: &["connection", "wire"],
        crates: &[],
        reason: "what is counted is named by those who cause it; who counts stands above",
    },
    Part {
        name: "detach",
        parts: &["os"],
        crates: &["daemonize", "rustix::io::Errno"],
        reason: "it goes into the background, no more",
    },
    Part {
        name: "log",
        parts: &["config", "os"],
        crates: &["log", "rustix::io::Errno", "syslog"],
        reason: "the log writes what it is told, whoever tells it",
    },
    Part { name: "exit", parts: &["config"], crates: &[], reason: "it only knows what to call a failure" },
    Part {
        name: "config",
        parts: &["handle", "os", "wire"],
        crates: &["ipnet", "log::LevelFilter", "serde", "toml"],
        reason: "a configuration is values, in the types of those who use them; it does nothing",
    },
    Part {
        name: "connection",
        parts: &["handle", "wire"],
        crates: &["base64", "rustix::io::Errno"],
        reason: "a connection takes bytes and the time and returns events, so that a test needs no socket: no poll, no \
                 configuration, no log",
    },
    Part {
        name: "handle",
        parts: &["os"],
        crates: &["rustix::io::Errno"],
        reason: "files know nothing of the protocol, nor of who asks for them",
    },
    Part { name: "wire", parts: &[], crates: &[], reason: "both ends share the wire: bytes, values and std" },
    Part {
        name: "os",
        parts: &[],
        crates: &["landlock", "libc", "rustix", "sd_notify", "socket2"],
        reason: "it wraps the operating system for everybody, and knows nobody",
    },
];

/// Where the sources break the table today.
struct Breach {
    file: &'static str,
    /// The beginning of the path that is imported.
    imports: &'static str,
    /// What mends it.
    cure: &'static str,
}

impl Breach {
    fn is(&self, finding: &Finding) -> bool {
        finding.file == self.file && is_within(&finding.import, self.imports)
    }
}

const BREACHES: &[Breach] = &[];

/// Lines beyond which a file has to be two, unit tests not counted. From 400 on it asks for it.
const LINES: usize = 500;

#[test]
fn imports_point_one_way() {
    let wrong: Vec<String> = findings()
        .iter()
        .filter(|finding| !BREACHES.iter().any(|breach| breach.is(finding)))
        .map(Finding::to_string)
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_breach_that_is_mended_leaves_the_list() {
    let found = findings();
    for breach in BREACHES {
        assert!(
            found.iter().any(|finding| breach.is(finding)),
            "{} no longer imports {}: remove it from BREACHES",
            breach.file,
            breach.imports
        );
        assert!(!breach.cure.is_empty(), "{}", breach.file);
    }
}

#[test]
fn the_table_names_what_there_is_and_has_no_cycle() {
    let there: BTreeSet<String> = sources().iter().map(|source| source.part().to_owned()).collect();
    for (at, part) in PARTS.iter().enumerate() {
        assert!(there.contains(part.name), "src has no {}: remove its row", part.name);
        for used in part.parts {
            let below = PARTS[at + 1..].iter().any(|other| other.name == *used);
            assert!(below, "{} uses {used}, which does not stand below it", part.name);
        }
        for name in part.crates {
            let name = name.split("::").next().unwrap_or_default();
            assert!(dependencies().contains(name), "{}: {name} is no dependency any more", part.name);
        }
    }
}

#[test]
fn unsafe_code_stands_in_os_only() {
    for source in sources().iter().filter(|source| source.part() != "os") {
        for token in tokens(&source.text) {
            assert!(
                !["unsafe", "unsafe_code"].contains(&token.text),
                "{}:{}: {} outside src/os, the only folder whose blocks are audited",
                source.path,
                token.line,
                token.text
            );
        }
    }
}

/// Who may know the time of day, and what for. It can be set, so nothing may be due by it.
const KNOW_THE_TIME_OF_DAY: &[(&str, &str)] = &[
    ("src/os/clock.rs", "for the log daemon, before each message"),
    ("src/handle/settled.rs", "to compare with the times of a directory, which are by the same clock"),
];

#[test]
fn nothing_is_due_by_the_time_of_day() {
    for source in sources() {
        let all = tokens(&source.text);
        let words = ["SystemTime", "UNIX_EPOCH", "time_t", "gettimeofday", "clock_gettime", "REALTIME", "Realtime"];
        let found = tokens::without_tests(&all).into_iter().find(|token| words.contains(&token.text));
        let may = KNOW_THE_TIME_OF_DAY.iter().find(|(path, _)| *path == source.path);
        match (found, may) {
            (Some(token), None) => panic!("{}:{}: {}: use Instant", source.path, token.line, token.text),
            (None, Some((path, what))) => panic!("{path} does not ask for the time of day {what}: remove its line"),
            _ => {}
        }
    }
}

#[test]
fn no_file_has_outgrown_itself() {
    let long: Vec<String> = sources()
        .iter()
        .map(|source| (source, lines_without_tests(&source.text)))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(source, lines)| format!("{}: {lines} lines, more than {LINES}: make it two", source.path))
        .collect();
    assert!(long.is_empty(), "\n{}\n", long.join("\n"));
}

fn findings() -> Vec<Finding> {
    let dependencies = dependencies();
    sources().iter().flat_map(|source| source.check(PARTS, &dependencies)).collect()
}
