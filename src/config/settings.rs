//! The table of settings. It is used to read and to dump a configuration, to compare two, and to check the shipped file
//! and the manual page.

use std::time::Duration;

use super::field::Field;
use super::types::{Config, DEFAULT_PORT, Listener};
use super::units::{GIB, KIB, MIB};

/// A setting of hftp.toml(5).
pub struct Setting {
    /// The name with its section, such as `limits.connections`. `listen.address` is in each `[[listen]]`.
    pub name: &'static str,
    /// Its effect, in one line.
    pub help: &'static str,
    /// When a change applies.
    pub applies: Applies,
    pub(super) field: for<'c> fn(&'c mut Draft) -> Field<'c>,
}

/// When the change of a setting applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// At the reload.
    Live,
    /// At the next start.
    Restart,
}

use Applies::{Live, Restart};

/// A configuration that is being read or written, with a place for each setting.
pub(super) struct Draft {
    pub(super) config: Config,
    /// `port`, which is converted to a listener.
    pub(super) port: u16,
    /// The `[[listen]]` that is being read or written.
    pub(super) listener: Listener,
}

impl Draft {
    pub(super) fn new(config: Config) -> Draft {
        Draft { config, port: DEFAULT_PORT, listener: Listener::on_port(DEFAULT_PORT) }
    }
}

impl Setting {
    /// The section, empty for settings before the first section, and the name in it.
    pub fn split_name(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// The built-in value as TOML, such as `"8 MiB"` with its quotes.
    pub fn default_toml(&self) -> String {
        self.toml(&mut Draft::new(Config::default()))
    }

    /// The accepted values in words, such as `a whole number from 1 to 1000000`.
    pub fn accepts(&self) -> String {
        (self.field)(&mut Draft::new(Config::default())).to_string()
    }

    /// The value in `draft` as TOML.
    pub(super) fn toml(&self, draft: &mut Draft) -> String {
        // Serialization of the simple values of a field to a string does not fail.
        toml::Value::try_from((self.field)(draft)).map_or_else(|_| String::new(), |value| value.to_string())
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// All settings, in the order of the shipped file.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "root",
        help: "The published directory; required.",
        applies: Live,
        field: |d| Field::Directory(&mut d.config.root),
    },
    Setting {
        name: "port",
        help: "Listen on this port of every address; 0 for any free port. Excludes [[listen]].",
        applies: Live,
        field: |d| Field::Port(&mut d.port),
    },
    Setting {
        name: "user",
        help: "The user that the daemon changes to when started as root.",
        applies: Restart,
        field: |d| Field::Account(&mut d.config.user),
    },
    Setting {
        name: "group",
        help: "The group that the daemon changes to when started as root.",
        applies: Restart,
        field: |d| Field::Account(&mut d.config.group),
    },
    Setting {
        name: "workers",
        help: "The number of event loops; \"auto\" for one per processor that the process may use.",
        applies: Restart,
        field: |d| Field::Workers(&mut d.config.workers),
    },
    Setting {
        name: "control",
        help: "The socket of `hftpd reload` and `hftpd status`; \"\" for none.",
        applies: Restart,
        field: |d| Field::Socket(&mut d.config.control),
    },
    Setting {
        name: "listen.address",
        help: "The address and port to listen on; \"[::]:19500\" for every IPv6 and IPv4 address.",
        applies: Live,
        field: |d| Field::Address(&mut d.listener.address),
    },
    Setting {
        name: "listen.encoding",
        help: "The encoding of slices.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.listener.encoding),
    },
    Setting {
        name: "listen.base64-line",
        help: "Bytes of the slice in a line of base64, rounded down to a multiple of 3; 0 for one line.",
        applies: Live,
        field: |d| Field::SizeOrZero(&mut d.listener.base64_line, 3..=16 * MIB),
    },
    Setting {
        name: "files.names",
        help: "The names that are listed and served.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.config.files.names),
    },
    Setting {
        name: "files.symlinks",
        help: "Whether symbolic links inside the root are followed.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.config.files.symlinks),
    },
    Setting {
        name: "files.hidden",
        help: "Whether names that start with a dot are listed and served.",
        applies: Live,
        field: |d| Field::Flag(&mut d.config.files.hidden),
    },
    Setting {
        name: "limits.connections",
        help: "The maximum number of simultaneous connections.",
        applies: Live,
        field: |d| Field::Count(&mut d.config.limits.connections, 1..=1_000_000),
    },
    Setting {
        name: "limits.connections-per-address",
        help: "The maximum number of simultaneous connections from one IPv4 address or one IPv6 /64; 0 for no limit.",
        applies: Live,
        field: |d| Field::Count(&mut d.config.limits.connections_per_address, 0..=1_000_000),
    },
    Setting {
        name: "limits.request-line",
        help: "The maximum length of a request; a longer one closes the connection.",
        applies: Live,
        field: |d| Field::Size(&mut d.config.limits.request_line, 512..=GIB),
    },
    Setting {
        name: "limits.rate-per-connection",
        help: "The maximum number of bytes a second sent to one connection; 0 for no limit.",
        applies: Live,
        field: |d| Field::SizeOrZero(&mut d.config.limits.rate_per_connection, KIB..=1024 * GIB),
    },
    Setting {
        name: "limits.allow",
        help: "Networks whose clients are served; empty for all.",
        applies: Live,
        field: |d| Field::Networks(&mut d.config.limits.allow),
    },
    Setting {
        name: "limits.deny",
        help: "Networks whose clients are refused, even if allow contains them.",
        applies: Live,
        field: |d| Field::Networks(&mut d.config.limits.deny),
    },
    Setting {
        name: "timeouts.idle",
        help: "The maximum time between two requests.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.idle, MILLISECOND..=YEAR),
    },
    Setting {
        name: "timeouts.request",
        help: "The maximum time from the first byte of a request to its last.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.request, MILLISECOND..=YEAR),
    },
    Setting {
        name: "timeouts.stall",
        help: "The maximum time in which a client accepts, or a disk delivers, no byte of an answer.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.stall, MILLISECOND..=YEAR),
    },
    Setting {
        name: "timeouts.drain",
        help: "The maximum time that a stopping daemon waits for answers to finish.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.drain, Duration::ZERO..=YEAR),
    },
    Setting {
        name: "log.target",
        help: "The destination of the log; \"auto\" for standard error, or syslog with --daemon.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.config.log.target),
    },
    Setting {
        name: "log.facility",
        help: "The syslog facility.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.config.log.facility),
    },
    Setting {
        name: "log.level",
        help: "The least severe messages that are logged.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.config.log.level),
    },
    Setting {
        name: "log.access",
        help: "Whether each request is logged.",
        applies: Live,
        field: |d| Field::Flag(&mut d.config.log.access),
    },
];
