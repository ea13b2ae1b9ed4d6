//! The command line of `hftpd`, its help, its exit codes, and `hftpd check`.

mod check;

mod help;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use lexopt::Arg;

use crate::config::nearest::nearest;
use crate::config::{self, Overrides, Source};

pub use crate::exit::Exit;
pub use check::{Report, check};
pub use help::help;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve.
    Run {
        /// The configuration file.
        source: Source,
        /// What goes before the file, now and at each reload.
        overrides: Overrides,
        /// Whether to go into the background.
        daemon: bool,
        /// Where the daemon writes its process number; absolute, and only with `daemon`.
        pid_file: Option<PathBuf>,
    },
    /// Validate the configuration file: [`check`].
    Check {
        /// The configuration file.
        source: Source,
        /// Whether to print the effective configuration.
        dump: bool,
    },
    /// Ask the running daemon to reload.
    Reload {
        /// The configuration file, which names the control socket.
        source: Source,
    },
    /// Ask the running daemon how it is.
    Status {
        /// The configuration file, which names the control socket.
        source: Source,
        /// The form of the answer.
        format: Format,
    },
    /// Print [`help`].
    Help,
    /// Print the version.
    Version,
}

/// The form of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What is wrong with the command line; ends in [`Exit::Usage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try hftpd --help", self.0)
    }
}

impl std::error::Error for UsageError {}

/// What an invocation does, by the word that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Run,
    Check,
    Reload,
    Status,
}

const VERBS: [(&str, Verb, &str); 3] = [
    ("check", Verb::Check, "validate the configuration file and exit"),
    ("reload", Verb::Reload, "make the running daemon read its file again, and exit with its verdict"),
    ("status", Verb::Status, "print how the running daemon is"),
];

/// An option: `--long`, perhaps `-short`, perhaps with a value.
struct Opt {
    short: Option<char>,
    long: &'static str,
    value: Option<&'static str>,
    /// The invocations that it goes with.
    verbs: &'static [Verb],
    help: &'static str,
}

const ALL: &[Verb] = &[Verb::Run, Verb::Check, Verb::Reload, Verb::Status];
const RUN: &[Verb] = &[Verb::Run];

const OPTIONS: [Opt; 10] = [
    Opt { short: Some('c'), long: "config", value: Some("FILE"), verbs: ALL, help: "the configuration file" },
    Opt { short: Some('d'), long: "root", value: Some("DIR"), verbs: RUN, help: "publish DIR" },
    Opt { short: Some('a'), long: "address", value: Some("ADDRESS"), verbs: RUN, help: "listen on this address only" },
    Opt { short: Some('p'), long: "port", value: Some("PORT"), verbs: RUN, help: "listen on this port; 0 is any" },
    Opt { short: None, long: "daemon", value: None, verbs: RUN, help: "serve in the background" },
    Opt {
        short: None,
        long: "pid-file",
        value: Some("F"),
        verbs: RUN,
        help: "with --daemon: write its process number to F",
    },
    Opt { short: None, long: "dump", value: None, verbs: &[Verb::Check], help: "print the effective configuration" },
    Opt { short: None, long: "json", value: None, verbs: &[Verb::Status], help: "print as JSON" },
    Opt { short: None, long: "version", value: None, verbs: ALL, help: "print the version" },
    Opt { short: None, long: "help", value: None, verbs: ALL, help: "print this" },
];

impl Opt {
    /// `-c, --config FILE`
    fn usage(&self) -> String {
        let short = self.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = self.value.map_or_else(String::new, |value| format!(" {value}"));
        format!("{short}--{}{value}", self.long)
    }

    /// `-c`, or the long form where there is no short one.
    fn name(&self) -> String {
        self.short.map_or_else(|| format!("--{}", self.long), |short| format!("-{short}"))
    }
}

/// The options that were given, with their values.
type Given = BTreeMap<&'static str, OsString>;

/// Reads the command line, without the program's name.
///
/// Relative paths are made absolute here, for a daemon leaves its directory.
///
/// # Errors
///
/// Something was written that is not accepted.
pub fn parse<I>(arguments: I) -> Result<Command, UsageError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut verb = None;
    let mut given = Given::new();
    while let Some(argument) = parser.next().map_err(|error| UsageError(error.to_string()))? {
        let option = match argument {
            Arg::Value(word) => {
                verb = Some(read_verb(&word, verb)?);
                continue;
            }
            Arg::Short(short) => OPTIONS
                .iter()
                .find(|option| option.short == Some(short))
                .ok_or_else(|| unknown(&format!("-{short}")))?,
            Arg::Long(long) => {
                OPTIONS.iter().find(|option| option.long == long).ok_or_else(|| unknown(&format!("--{long}")))?
            }
        };
        match option.long {
            "help" => return Ok(Command::Help),
            "version" => return Ok(Command::Version),
            _ => {}
        }
        let value = match option.value {
            Some(name) => parser.value().map_err(|_| UsageError(format!("{} lacks its {name}", option.name())))?,
            None => OsString::new(),
        };
        if given.insert(option.long, value).is_some() {
            return Err(UsageError(format!("{} is given twice", option.name())));
        }
    }
    build(verb.unwrap_or(Verb::Run), &given)
}

fn read_verb(word: &OsStr, before: Option<Verb>) -> Result<Verb, UsageError> {
    let written = word.to_string_lossy();
    let names = || VERBS.iter().map(|(name, ..)| *name);
    if before.is_some() {
        return Err(UsageError(format!("{written:?} is one argument too many")));
    }
    VERBS.iter().find(|(name, ..)| *name == written).map(|(_, verb, _)| *verb).ok_or_else(|| {
        UsageError(match nearest(&written, names()) {
            Some(name) => format!("unknown command {written:?}; did you mean {name}?"),
            None => format!("unknown command {written:?}, expected {}", names().collect::<Vec<_>>().join(", ")),
        })
    })
}

fn unknown(written: &str) -> UsageError {
    let long = written.trim_start_matches('-');
    let similar = nearest(long, OPTIONS.iter().map(|option| option.long)).filter(|_| written.starts_with("--"));
    UsageError(match similar {
        Some(name) => format!("unknown option {written:?}; did you mean --{name}?"),
        None => {
            let names: Vec<_> = OPTIONS.iter().map(Opt::name).collect();
            format!("unknown option {written:?}, expected one of {}", names.join(", "))
        }
    })
}

fn build(verb: Verb, given: &Given) -> Result<Command, UsageError> {
    let misplaced = OPTIONS.iter().find(|option| given.contains_key(option.long) && !option.verbs.contains(&verb));
    if let Some(option) = misplaced {
        let with =
            |verb: &Verb| VERBS.iter().find(|(_, other, _)| other == verb).map_or("hftpd alone", |(name, ..)| name);
        let expected: Vec<_> = option.verbs.iter().map(with).collect();
        return Err(UsageError(format!(
            "{} does not go with {}, only with {}",
            option.name(),
            with(&verb),
            expected.join(", ")
        )));
    }
    let source = match given.get("config") {
        Some(file) => Source { path: absolute("-c", file)?, explicit: true },
        None => Source::default(),
    };
    Ok(match verb {
        Verb::Run => {
            let daemon = given.contains_key("daemon");
            let pid_file = given.get("pid-file").map(|file| absolute("--pid-file", file)).transpose()?;
            if pid_file.is_some() && !daemon {
                return Err(UsageError("--pid-file goes with --daemon only".to_owned()));
            }
            Command::Run { source, overrides: overrides(given)?, daemon, pid_file }
        }
        Verb::Check => Command::Check { source, dump: given.contains_key("dump") },
        Verb::Reload => Command::Reload { source },
        Verb::Status => {
            Command::Status { source, format: if given.contains_key("json") { Format::Json } else { Format::Text } }
        }
    })
}

fn overrides(given: &Given) -> Result<Overrides, UsageError> {
    let root = given.get("root").map(|root| absolute("-d", root)).transpose()?;
    let (address, mut port) = match given.get("address") {
        Some(written) => {
            let (ip, port) = read_address(&written.to_string_lossy())?;
            (Some(ip), port)
        }
        None => (None, None),
    };
    if let Some(written) = given.get("port") {
        let written = written.to_string_lossy();
        if port.is_some() {
            return Err(UsageError(format!(
                "-a gives a port already, and -p gives {written:?}, expected one of the two"
            )));
        }
        // A sign would be read as part of the number.
        let digits = written.bytes().all(|byte| byte.is_ascii_digit());
        let number = written.parse().ok().filter(|_| digits);
        port = Some(number.ok_or_else(|| {
            UsageError(format!("-p {written:?} is no port, expected a whole number from 0 to {}", u16::MAX))
        })?);
    }
    Ok(Overrides { root, address, port })
}

/// An IP address, or one with a port; names are not looked up.
fn read_address(written: &str) -> Result<(IpAddr, Option<u16>), UsageError> {
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    if let Ok(ip) = bare.parse::<IpAddr>()
        && (bare == written || ip.is_ipv6())
    {
        return Ok((ip, None));
    }
    match written.parse::<SocketAddr>() {
        Ok(SocketAddr::V6(address)) if address.scope_id() != 0 => {
            Err(UsageError(format!("-a {written:?} names an interface, which only [[listen]] in the file can do")))
        }
        Ok(address) => Ok((address.ip(), Some(address.port()))),
        Err(_) => Err(UsageError(format!(
            "-a {written:?} is no IP address, expected one such as 127.0.0.1, ::, 127.0.0.1:{0} or [::]:{0}",
            config::DEFAULT_PORT
        ))),
    }
}

fn absolute(option: &str, written: &OsStr) -> Result<PathBuf, UsageError> {
    config::absolute(Path::new(written))
        .map_err(|error| UsageError(format!("{option} {:?} is no path: {error}", written.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    fn here() -> PathBuf {
        env::current_dir().expect("tests run in a directory")
    }

    fn run(overrides: Overrides) -> Command {
        Command::Run { source: Source::default(), overrides, daemon: false, pid_file: None }
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("the table holds addresses"))
    }

    #[test]
    fn accepted() {
        let named = || Source { path: here().join("x.toml"), explicit: true };
        let none = Overrides::default;
        let at = |address, port| run(Overrides { address: ip(address), port, ..none() });
        for (line, command) in [
            ("", run(none())),
            ("-d .", run(Overrides { root: Some(here()), ..none() })),
            ("-dpub", run(Overrides { root: Some(here().join("pub")), ..none() })),
            ("--root=/srv/../x", run(Overrides { root: Some("/srv/../x".into()), ..none() })),
            ("-p 0", run(Overrides { port: Some(0), ..none() })),
            ("--port 65535", run(Overrides { port: Some(65535), ..none() })),
            ("-a 127.0.0.1", at("127.0.0.1", None)),
            ("-a 127.0.0.1:80", at("127.0.0.1", Some(80))),
            ("-a 127.0.0.1 -p 80", at("127.0.0.1", Some(80))),
            ("-a ::1", at("::1", None)),
            ("-a [::1]", at("::1", None)),
            ("--address [::]:80", at("::", Some(80))),
            (
                "-c x.toml --daemon --pid-file p",
                Command::Run { source: named(), overrides: none(), daemon: true, pid_file: Some(here().join("p")) },
            ),
            ("check", Command::Check { source: Source::default(), dump: false }),
            ("check --dump -c x.toml", Command::Check { source: named(), dump: true }),
            ("--config x.toml check", Command::Check { source: named(), dump: false }),
            ("reload -cx.toml", Command::Reload { source: named() }),
            ("status", Command::Status { source: Source::default(), format: Format::Text }),
            ("status --json", Command::Status { source: Source::default(), format: Format::Json }),
            ("--version", Command::Version),
            ("status --help", Command::Help),
        ] {
            assert_eq!(parse(line.split_whitespace()), Ok(command), "hftpd {line}");
        }
    }

    #[test]
    fn refused() {
        for (line, message) in [
            ("chek", "unknown command \"chek\"; did you mean check?"),
            ("serve", "unknown command \"serve\", expected check, reload, status"),
            ("check reload", "\"reload\" is one argument too many"),
            ("--dmp", "unknown option \"--dmp\"; did you mean --dump?"),
            (
                "-x",
                "unknown option \"-x\", expected one of -c, -d, -a, -p, --daemon, --pid-file, --dump, --json, \
                 --version, --help",
            ),
            ("-c", "-c lacks its FILE"),
            ("--port", "-p lacks its PORT"),
            ("-p 1 -p 2", "-p is given twice"),
            ("-p 65536", "-p \"65536\" is no port, expected a whole number from 0 to 65535"),
            ("-p +1", "-p \"+1\" is no port, expected a whole number from 0 to 65535"),
            (
                "-a localhost",
                "-a \"localhost\" is no IP address, expected one such as 127.0.0.1, ::, 127.0.0.1:19500 or [::]:19500",
            ),
            (
                "-a [127.0.0.1]",
                "-a \"[127.0.0.1]\" is no IP address, expected one such as 127.0.0.1, ::, 127.0.0.1:19500 or \
                 [::]:19500",
            ),
            ("-a [::1]:80 -p 81", "-a gives a port already, and -p gives \"81\", expected one of the two"),
            ("-a [fe80::1%2]:80", "-a \"[fe80::1%2]:80\" names an interface, which only [[listen]] in the file can do"),
            ("--pid-file x", "--pid-file goes with --daemon only"),
            ("--dump", "--dump does not go with hftpd alone, only with check"),
            ("reload -d .", "-d does not go with reload, only with hftpd alone"),
            ("check --json", "--json does not go with check, only with status"),
            (
                "status --prometheus",
                "unknown option \"--prometheus\", expected one of -c, -d, -a, -p, --daemon, --pid-file, --dump, --json, --version, --help",
            ),
        ] {
            let error = parse(line.split_whitespace()).expect_err(line);
            assert_eq!(error.to_string(), format!("{message}; try hftpd --help"), "hftpd {line}");
        }
        assert!(parse(["-c", ""]).expect_err("no path").to_string().starts_with("-c \"\" is no path: "));
        assert!(parse(["check", "--dump=x"]).expect_err("a flag").to_string().contains("--dump"));
    }
}
