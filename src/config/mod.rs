//! The configuration: what `/etc/hftp.toml` and the command line ask for, once it has been found valid.
//!
//! What a setting is called, what it accepts and when a change of it takes effect stands in one table, [`SETTINGS`].
//! `file` walks the text by that table and finds all mistakes at once, each with its place ([`Findings`]). [`Config`]
//! is what is left when every value was checked: nothing in it can be wrong any more, only impossible (a port that
//! somebody else holds). [`load`] adds what the command line overrides. [`diff`] is what a reload needs: which settings
//! changed, and which of them need a restart.

mod diff;
mod dump;
mod field;
mod file;
mod findings;
mod keywords;
mod load;
pub(crate) mod nearest;
mod settings;
mod units;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::handle::Symlinks;
use crate::wire::{Encoding, Framing, Names};

pub use diff::{Changes, diff};
pub use findings::{Finding, Findings};
pub(crate) use load::absolute;
pub use load::{DEFAULT_FILE, FILE_MAX, LoadError, Overrides, Source, control_of, load};
pub use settings::{Applies, SETTINGS, Setting};

/// The port of HFTP.
pub const DEFAULT_PORT: u16 = 19500;

/// The most event loops that may be asked for.
pub const WORKERS_MAX: u16 = 1024;

/// A valid configuration. Every field is the setting of the same name in hftp.toml(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The directory that is published; absolute.
    pub root: PathBuf,
    /// Where to listen; at least one. `port` in the file is the one listener `[::]:port` with fragments.
    pub listeners: Vec<Listener>,
    /// The user taken on when started as root.
    pub user: String,
    /// The group taken on when started as root.
    pub group: String,
    /// Event loops.
    pub workers: Workers,
    /// Socket of `hftpd reload` and `hftpd status`; none when the file says `""`.
    pub control: Option<PathBuf>,
    /// `[files]`
    pub files: Files,
    /// `[limits]`
    pub limits: Limits,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[log]`
    pub log: Log,
}

/// One `[[listen]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where to listen. An unspecified IPv6 address is dual-stack; port 0 is any free port.
    pub address: SocketAddr,
    /// How `get_slice` is answered here.
    pub encoding: Encoding,
    /// In base64: bytes of the slice in a line, a multiple of 3; 0 for one line.
    pub base64_line: u64,
}

impl Listener {
    /// A listener at `address` with what is the default for everything else.
    pub fn new(address: SocketAddr) -> Listener {
        Listener { address, encoding: Encoding::Fragments, base64_line: 0 }
    }

    /// How slices are framed here.
    pub fn framing(&self) -> Framing {
        // The range of the setting fits in 32 bits.
        Framing { encoding: self.encoding, base64_line: u32::try_from(self.base64_line).unwrap_or(u32::MAX) }
    }
}

/// How many event loops there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each core that the process may use.
    Auto,
    /// This many.
    Count(std::num::NonZeroU16),
}

/// `[files]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Which names may be asked for and are listed.
    pub names: Names,
    /// Whether symbolic links are followed.
    pub symlinks: Symlinks,
    /// Whether names that start with a dot are served.
    pub hidden: bool,
}

/// `[limits]`. 0 stands for no limit where the file says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, over all listeners.
    pub connections: u32,
    /// Connections at a time from one IPv4 address or one IPv6 /64; 0 is no limit.
    pub connections_per_address: u32,
    /// Bytes of a request before its CR LF.
    pub request_line: u64,
    /// Bytes a second that one connection is sent; 0 is no limit.
    pub rate_per_connection: u64,
    /// Networks whose clients are welcome; empty is everyone.
    pub allow: Vec<IpNet>,
    /// Networks whose clients are not; wins over `allow`.
    pub deny: Vec<IpNet>,
}

/// `[timeouts]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Between requests.
    pub idle: Duration,
    /// From a request's first byte to its last.
    pub request: Duration,
    /// Without the client taking a byte of its answer.
    pub stall: Duration,
    /// From SIGTERM until what is left is cut.
    pub drain: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Where the log goes.
    pub target: LogTarget,
    /// The syslog facility.
    pub facility: Facility,
    /// The least severe level that is written.
    pub level: log::LevelFilter,
    /// Whether every request gets a line.
    pub access: bool,
}

/// `log.target`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error, but syslog with `--daemon`.
    Auto,
    /// The local log daemon.
    Syslog,
    /// Standard error.
    Stderr,
}

/// `log.facility`, by the names of syslog.conf(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are syslog's own")]
pub enum Facility {
    Daemon,
    User,
    Ftp,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

impl Config {
    /// Reads the text of a configuration file.
    ///
    /// # Errors
    ///
    /// All mistakes of the text at once, or a hundred of them; a text that is not TOML is one mistake.
    pub fn parse(text: &str) -> Result<Config, Findings> {
        file::read(text, true)
    }

    /// The effective configuration as a configuration file: every setting with its value. [`Config::parse`] makes the
    /// same configuration of it, unless a path in it (from the command line) is not UTF-8.
    pub fn to_toml(&self) -> String {
        dump::dump(self)
    }
}

impl Default for Config {
    /// The built-in defaults, which the shipped file repeats.
    fn default() -> Config {
        Config {
            root: PathBuf::from("/srv/hftp"),
            listeners: vec![Listener::new(SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT)))],
            user: "hftp".to_owned(),
            group: "hftp".to_owned(),
            workers: Workers::Auto,
            control: Some(PathBuf::from("/run/hftpd/control")),
            files: Files { names: Names::Portable, symlinks: Symlinks::Inside, hidden: false },
            limits: Limits {
                connections: 10_000,
                connections_per_address: 0,
                request_line: 8 << 20,
                rate_per_connection: 0,
                allow: Vec::new(),
                deny: Vec::new(),
            },
            timeouts: Timeouts {
                idle: Duration::from_secs(300),
                request: Duration::from_secs(60),
                stall: Duration::from_secs(60),
                drain: Duration::from_secs(30),
            },
            log: Log {
                target: LogTarget::Auto,
                facility: Facility::Daemon,
                level: log::LevelFilter::Info,
                access: true,
            },
        }
    }
}
