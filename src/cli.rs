//! The command line of `hftpd`, and its help.

mod help;
mod options;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use lexopt::Arg;

use crate::config::{self, Overrides, Source, most_similar};
use options::{OPTIONS, Opt, VERBS, Verb};

pub use help::help;

/// What the command line requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve.
    Run {
        /// The configuration file.
        source: Source,
        /// What overrides the file, now and in each reload.
        overrides: Overrides,
        /// Whether to run in the background.
        daemon: bool,
        /// The file for the process ID; absolute, and only with `daemon`.
        pid_file: Option<PathBuf>,
    },
    /// Check the configuration file and the root.
    Check {
        /// The configuration file.
        source: Source,
        /// Whether to print the effective configuration.
        dump: bool,
    },
    /// Request a reload of the running daemon.
    Reload {
        /// The configuration file, which names the control socket.
        source: Source,
    },
    /// Request the status of the running daemon.
    Status {
        /// The configuration file, which names the control socket.
        source: Source,
        /// The output format.
        format: Format,
    },
    /// Print [`help`].
    Help,
    /// Print the version.
    Version,
}

/// The output format of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// An error in the command line. The exit code is [`Exit::Usage`](crate::exit::Exit::Usage).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try hftpd --help", self.0)
    }
}

impl std::error::Error for UsageError {}

/// The given options, with their values.
type Given = BTreeMap<&'static str, OsString>;

/// Parses the command line, without the program name.
///
/// It makes relative paths absolute, because a daemon changes its directory.
///
/// # Errors
///
/// The command line has an error.
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
            Some(name) => {
                parser.value().map_err(|_| UsageError(format!("{} needs a value ({name})", option.name())))?
            }
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
        return Err(UsageError(format!("unexpected argument {written:?}")));
    }
    VERBS.iter().find(|(name, ..)| *name == written).map(|(_, verb, _)| *verb).ok_or_else(|| {
        UsageError(match most_similar(&written, names()) {
            Some(name) => format!("unknown command {written:?}; did you mean {name}?"),
            None => format!("unknown command {written:?}, expected {}", names().collect::<Vec<_>>().join(", ")),
        })
    })
}

fn unknown(written: &str) -> UsageError {
    let long = written.trim_start_matches('-');
    let similar = most_similar(long, OPTIONS.iter().map(|option| option.long)).filter(|_| written.starts_with("--"));
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
        let with = |verb: &Verb| {
            VERBS.iter().find(|(_, other, _)| other == verb).map_or("hftpd without a command", |(name, ..)| name)
        };
        let expected: Vec<_> = option.verbs.iter().map(with).collect();
        return Err(UsageError(format!(
            "{} is not valid with {}, only with {}",
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
                return Err(UsageError("--pid-file requires --daemon".to_owned()));
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
            return Err(UsageError(format!("the port is in -a and in -p {written:?}, expected it once")));
        }
        // The parser of numbers accepts a sign.
        let digits = written.bytes().all(|byte| byte.is_ascii_digit());
        let number = written.parse().ok().filter(|_| digits);
        port = Some(number.ok_or_else(|| {
            UsageError(format!("-p {written:?}: invalid port, expected a whole number from 0 to {}", u16::MAX))
        })?);
    }
    Ok(Overrides { root, address, port })
}

/// Parses an IP address, with or without a port. Host names are not resolved.
fn read_address(written: &str) -> Result<(IpAddr, Option<u16>), UsageError> {
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    if let Ok(ip) = bare.parse::<IpAddr>()
        && (bare == written || ip.is_ipv6())
    {
        return Ok((ip, None));
    }
    match written.parse::<SocketAddr>() {
        Ok(SocketAddr::V6(address)) if address.scope_id() != 0 => {
            Err(UsageError(format!("-a {written:?}: an interface is accepted only in [[listen]] of the file")))
        }
        Ok(address) => Ok((address.ip(), Some(address.port()))),
        Err(_) => Err(UsageError(format!(
            "-a {written:?}: invalid IP address, expected one such as 127.0.0.1, ::, 127.0.0.1:{0} or [::]:{0}",
            config::DEFAULT_PORT
        ))),
    }
}

fn absolute(option: &str, written: &OsStr) -> Result<PathBuf, UsageError> {
    config::absolute(Path::new(written))
        .map_err(|error| UsageError(format!("{option} {:?}: invalid path: {error}", written.to_string_lossy())))
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
        Some(text.parse().expect("an address"))
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
            ("check reload", "unexpected argument \"reload\""),
            ("--dmp", "unknown option \"--dmp\"; did you mean --dump?"),
            (
                "-x",
                "unknown option \"-x\", expected one of -c, -d, -a, -p, --daemon, --pid-file, --dump, --json, \
                 --version, --help",
            ),
            ("-c", "-c needs a value (FILE)"),
            ("--port", "-p needs a value (PORT)"),
            ("-p 1 -p 2", "-p is given twice"),
            ("-p 65536", "-p \"65536\": invalid port, expected a whole number from 0 to 65535"),
            ("-p +1", "-p \"+1\": invalid port, expected a whole number from 0 to 65535"),
            (
                "-a localhost",
                "-a \"localhost\": invalid IP address, expected one such as 127.0.0.1, ::, 127.0.0.1:19500 or [::]:19500",
            ),
            (
                "-a [127.0.0.1]",
                "-a \"[127.0.0.1]\": invalid IP address, expected one such as 127.0.0.1, ::, 127.0.0.1:19500 or \
                 [::]:19500",
            ),
            ("-a [::1]:80 -p 81", "the port is in -a and in -p \"81\", expected it once"),
            ("-a [fe80::1%2]:80", "-a \"[fe80::1%2]:80\": an interface is accepted only in [[listen]] of the file"),
            ("--pid-file x", "--pid-file requires --daemon"),
            ("--dump", "--dump is not valid with hftpd without a command, only with check"),
            ("reload -d .", "-d is not valid with reload, only with hftpd without a command"),
            ("check --json", "--json is not valid with check, only with status"),
            (
                "status --prometheus",
                "unknown option \"--prometheus\", expected one of -c, -d, -a, -p, --daemon, --pid-file, --dump, --json, --version, --help",
            ),
        ] {
            let error = parse(line.split_whitespace()).expect_err(line);
            assert_eq!(error.to_string(), format!("{message}; try hftpd --help"), "hftpd {line}");
        }
        assert!(parse(["-c", ""]).expect_err("an error").to_string().starts_with("-c \"\": invalid path: "));
        assert!(parse(["check", "--dump=x"]).expect_err("a flag").to_string().contains("--dump"));
    }
}
