//! The table of settings: the one list that reading, `--dump`, the difference of two configurations, the shipped file
//! and the manual go by.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::field::Field;
use super::units::{GIB, KIB, MIB};
use super::{Config, DEFAULT_PORT, Listener};

/// A setting of hftp.toml(5).
pub struct Setting {
    /// The name with its section: `root`, `limits.connections`; `listen.address` is in each `[[listen]]`.
    pub name: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// When a change of it takes effect.
    pub applies: Applies,
    pub(super) field: for<'c> fn(&'c mut Draft) -> Field<'c>,
}

/// When the change of a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// With the reload.
    Live,
    /// With the next start.
    Restart,
}

use Applies::{Live, Restart};

/// A configuration that is being read or written: the settings have their places here.
pub(super) struct Draft {
    pub(super) config: Config,
    /// `port`, which becomes a listener.
    pub(super) port: u16,
    /// The `[[listen]]` that is being read or written.
    pub(super) listener: Listener,
}

impl Draft {
    pub(super) fn new(config: Config) -> Draft {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT));
        Draft { config, port: DEFAULT_PORT, listener: Listener::new(address) }
    }
}

impl Setting {
    /// The section and the name within it; the section is empty for what stands above the first section.
    pub fn split_name(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// The built-in value as TOML, such as `"8 MiB"` with its quotes.
    pub fn default_toml(&self) -> String {
        self.toml(&mut Draft::new(Config::default()))
    }

    /// What may be written, in words: `a whole number from 1 to 1000000`.
    pub fn accepts(&self) -> String {
        (self.field)(&mut Draft::new(Config::default())).to_string()
    }

    /// The value in `draft` as TOML.
    pub(super) fn toml(&self, draft: &mut Draft) -> String {
        // Serialising to a string in memory cannot fail for the plain values that a field writes.
        toml::Value::try_from((self.field)(draft)).map_or_else(|_| String::new(), |value| value.to_string())
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// All settings, in the order of the shipped file.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "root",
        help: "The directory that is published; required.",
        applies: Live,
        field: |d| Field::Directory(&mut d.config.root),
    },
    Setting {
        name: "port",
        help: "Listen on this port of every address; 0 is any free port. Not together with [[listen]].",
        applies: Live,
        field: |d| Field::Port(&mut d.port),
    },
    Setting {
        name: "user",
        help: "The user taken on when started as root.",
        applies: Restart,
        field: |d| Field::Account(&mut d.config.user),
    },
    Setting {
        name: "group",
        help: "The group taken on when started as root.",
        applies: Restart,
        field: |d| Field::Account(&mut d.config.group),
    },
    Setting {
        name: "workers",
        help: "Event loops; \"auto\" is one for each core that the process may use.",
        applies: Restart,
        field: |d| Field::Workers(&mut d.config.workers),
    },
    Setting {
        name: "control",
        help: "The socket of `hftpd reload` and `hftpd status`; \"\" is none.",
        applies: Restart,
        field: |d| Field::Socket(&mut d.config.control),
    },
    Setting {
        name: "listen.address",
        help: "The address and port to listen on; \"[::]:19500\" is every address, IPv6 and IPv4.",
        applies: Live,
        field: |d| Field::Address(&mut d.listener.address),
    },
    Setting {
        name: "listen.encoding",
        help: "How get_slice is answered here.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.listener.encoding),
    },
    Setting {
        name: "listen.base64-line",
        help: "Bytes of the slice in a line of base64, rounded down to a multiple of 3; 0 is one line.",
        applies: Live,
        field: |d| Field::SizeOrZero(&mut d.listener.base64_line, 3..=16 * MIB),
    },
    Setting {
        name: "files.names",
        help: "Which names are listed and served.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.config.files.names),
    },
    Setting {
        name: "files.symlinks",
        help: "Symbolic links: followed while they stay inside the root, or never.",
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
        help: "Connections at a time.",
        applies: Live,
        field: |d| Field::Count(&mut d.config.limits.connections, 1..=1_000_000),
    },
    Setting {
        name: "limits.connections-per-address",
        help: "Connections at a time from one IPv4 address or one IPv6 /64; 0 is no limit.",
        applies: Live,
        field: |d| Field::Count(&mut d.config.limits.connections_per_address, 0..=1_000_000),
    },
    Setting {
        name: "limits.request-line",
        help: "The longest request; a longer one ends the connection.",
        applies: Live,
        field: |d| Field::Size(&mut d.config.limits.request_line, 512..=GIB),
    },
    Setting {
        name: "limits.rate-per-connection",
        help: "Bytes a second sent to one connection; 0 is no limit.",
        applies: Live,
        field: |d| Field::SizeOrZero(&mut d.config.limits.rate_per_connection, KIB..=1024 * GIB),
    },
    Setting {
        name: "limits.allow",
        help: "Networks whose clients are served; empty is everyone.",
        applies: Live,
        field: |d| Field::Networks(&mut d.config.limits.allow),
    },
    Setting {
        name: "limits.deny",
        help: "Networks whose clients are refused; wins over allow.",
        applies: Live,
        field: |d| Field::Networks(&mut d.config.limits.deny),
    },
    Setting {
        name: "timeouts.idle",
        help: "How long a connection may wait between requests.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.idle, MILLISECOND..=YEAR),
    },
    Setting {
        name: "timeouts.request",
        help: "How long a request may take from its first byte to its last.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.request, MILLISECOND..=YEAR),
    },
    Setting {
        name: "timeouts.stall",
        help: "How long a client may take, or a disk deliver, nothing of an answer.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.stall, MILLISECOND..=YEAR),
    },
    Setting {
        name: "timeouts.drain",
        help: "How long a stopping daemon lets answers finish.",
        applies: Live,
        field: |d| Field::Time(&mut d.config.timeouts.drain, Duration::ZERO..=YEAR),
    },
    Setting {
        name: "log.target",
        help: "Where the log goes; \"auto\" is standard error, but syslog with --daemon.",
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
        help: "The least severe messages that are written.",
        applies: Live,
        field: |d| Field::Keyword(&mut d.config.log.level),
    },
    Setting {
        name: "log.access",
        help: "Whether every request gets a line.",
        applies: Live,
        field: |d| Field::Flag(&mut d.config.log.access),
    },
];
