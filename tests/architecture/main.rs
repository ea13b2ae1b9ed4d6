//! The structure of `src`: which part may import which, no circles between files, and what `src/lib.rs` says of them.

mod sources;

use std::collections::BTreeSet;

use sources::{Sources, first, is_within, rust_files, without_unit_tests};

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

/// Groups of files that use one another. To be opened; this list only becomes shorter.
const KNOWN_CIRCLES: &[&[&str]] = &[
    &["src/cli.rs", "src/cli/help.rs"],
    &[
        "src/config/diff.rs",
        "src/config/dump.rs",
        "src/config/field.rs",
        "src/config/file.rs",
        "src/config/keywords.rs",
        "src/config/load.rs",
        "src/config/mod.rs",
        "src/config/settings.rs",
    ],
    &[
        "src/connection/context.rs",
        "src/connection/output.rs",
        "src/connection/send_task.rs",
        "src/connection/sending.rs",
    ],
    &["src/handle/directory.rs", "src/handle/listing.rs", "src/handle/mod.rs"],
    &["src/log/mod.rs", "src/log/queue.rs", "src/log/writer.rs"],
];

/// The most lines that a file may have, without unit tests.
const LINES: usize = 400;

#[test]
fn imports_between_parts_point_one_way() {
    let sources = Sources::read();
    let mut wrong = Vec::new();
    for file in &sources.files {
        let name = file.part();
        let part = PARTS.iter().find(|part| part.name == name);
        let part = part.unwrap_or_else(|| panic!("{}: add {name} to the table of tests/architecture", file.path));
        for path in sources.paths(file) {
            let is_allowed = match path.strip_prefix("crate::").map(first) {
                Some(to) => to == name || part.parts.contains(&to),
                None => part.crates.iter().any(|allowed| is_within(&path, allowed)),
            };
            if !is_allowed {
                wrong.push(format!("{}: {path}: not among the imports of {name}: {}", file.path, part.reason));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn table_is_ordered_and_names_existing_parts() {
    let sources = Sources::read();
    let existing: BTreeSet<String> = sources.files.iter().map(|file| file.part()).collect();
    for (at, part) in PARTS.iter().enumerate() {
        assert!(existing.contains(part.name), "src has no {}: remove its row", part.name);
        for used in part.parts {
            assert!(PARTS[at + 1..].iter().any(|other| other.name == *used), "{used} must follow {}", part.name);
        }
        for name in part.crates {
            assert!(sources.crates.contains(first(name)), "{}: {name} is not a dependency", part.name);
        }
    }
}

#[test]
fn files_form_no_circles() {
    let sources = Sources::read();
    let known: BTreeSet<BTreeSet<&str>> = KNOWN_CIRCLES.iter().map(|files| files.iter().copied().collect()).collect();
    let found = sources.circles();
    println!("circles: {found:#?}");
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "files that use one another: {new:#?}");
    let opened: Vec<_> = known.difference(&found).collect();
    assert!(opened.is_empty(), "remove from KNOWN_CIRCLES: {opened:#?}");
}

/// The compiler denies unsafe code where a file does not ask for it; only files of `src/os` may.
#[test]
fn unsafe_code_is_in_os_only() {
    for (path, text) in rust_files("src") {
        assert!(path.starts_with("src/os/") || !text.contains("unsafe_code"), "{path} asks for unsafe code");
    }
}

#[test]
fn files_have_at_most_400_lines() {
    for (path, text) in [rust_files("src"), rust_files("tests")].concat() {
        let lines = without_unit_tests(&text).lines().count();
        assert!(lines <= LINES, "{path} has {lines} lines: divide it");
    }
}
