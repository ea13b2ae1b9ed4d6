//! The commands and options of the command line.

/// What the command line requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Run,
    Check,
    Reload,
    Status,
}

/// The commands, with their lines in `--help`.
pub(super) const VERBS: [(&str, Verb, &str); 3] = [
    ("check", Verb::Check, "check the configuration file and the root"),
    ("reload", Verb::Reload, "reload the configuration and report the result"),
    ("status", Verb::Status, "print the status of the daemon"),
];

/// An option, such as `-c, --config FILE`.
pub(super) struct Opt {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    /// The name of its value, if it has one.
    pub(super) value: Option<&'static str>,
    /// The commands that accept it.
    pub(super) verbs: &'static [Verb],
    /// Its line in `--help`.
    pub(super) help: &'static str,
}

const ALL: &[Verb] = &[Verb::Run, Verb::Check, Verb::Reload, Verb::Status];
const RUN: &[Verb] = &[Verb::Run];

pub(super) const OPTIONS: [Opt; 10] = [
    Opt { short: Some('c'), long: "config", value: Some("FILE"), verbs: ALL, help: "the configuration file" },
    Opt { short: Some('d'), long: "root", value: Some("DIR"), verbs: RUN, help: "publish DIR" },
    Opt { short: Some('a'), long: "address", value: Some("ADDRESS"), verbs: RUN, help: "listen on this address only" },
    Opt { short: Some('p'), long: "port", value: Some("PORT"), verbs: RUN, help: "listen on this port; 0 for any" },
    Opt { short: None, long: "daemon", value: None, verbs: RUN, help: "serve in the background" },
    Opt {
        short: None,
        long: "pid-file",
        value: Some("F"),
        verbs: RUN,
        help: "with --daemon: write the process ID to F",
    },
    Opt { short: None, long: "dump", value: None, verbs: &[Verb::Check], help: "print the effective configuration" },
    Opt { short: None, long: "json", value: None, verbs: &[Verb::Status], help: "print as JSON" },
    Opt { short: None, long: "version", value: None, verbs: ALL, help: "print the version" },
    Opt { short: None, long: "help", value: None, verbs: ALL, help: "print this help" },
];

impl Opt {
    /// `-c, --config FILE`
    pub(super) fn usage(&self) -> String {
        let short = self.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = self.value.map_or_else(String::new, |value| format!(" {value}"));
        format!("{short}--{}{value}", self.long)
    }

    /// `-c`, or the long form if there is no short one.
    pub(super) fn name(&self) -> String {
        self.short.map_or_else(|| format!("--{}", self.long), |short| format!("-{short}"))
    }
}
