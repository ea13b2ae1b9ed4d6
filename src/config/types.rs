//! The values of a valid configuration, and their defaults.

use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::handle::Symlinks;
use crate::wire::{Encoding, Framing, NameCharset};

/// The port of HFTP.
pub const DEFAULT_PORT: u16 = 19500;

/// The default of `limits.connections` where the system allows so many open files.
pub(super) const CONNECTIONS: u32 = 10_000;

/// The default of `control`.
pub(super) const CONTROL: &str = "/run/hftpd/control";

/// A valid configuration. Each field is the setting of the same name in hftp.toml(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The published directory; absolute.
    pub root: PathBuf,
    /// The listeners; at least one. `port` in the file is one listener at `[::]:port` that sends fragments.
    pub listeners: Vec<Listener>,
    /// The user that the daemon changes to when started as root.
    pub user: String,
    /// The group that the daemon changes to when started as root.
    pub group: String,
    /// The number of event loops.
    pub workers: Workers,
    /// The socket of `hftpd reload` and `hftpd status`; none if the file has `""`.
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
    /// The address. An unspecified IPv6 address is dual-stack; the kernel chooses the port if it is 0.
    pub address: SocketAddr,
    /// The encoding of slices.
    pub encoding: Encoding,
    /// The number of bytes of the slice in a line of base64, a multiple of 3; 0 for one line.
    pub base64_line: u64,
}

impl Listener {
    /// A listener at `address`, with defaults for the other settings.
    pub fn new(address: SocketAddr) -> Listener {
        Listener { address, encoding: Encoding::Fragments, base64_line: 0 }
    }

    /// A listener at `port` of every address, with defaults for the other settings.
    pub fn on_port(port: u16) -> Listener {
        Listener::new(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
    }

    /// The framing of slices.
    pub fn framing(&self) -> Framing {
        // The range of the setting fits in 32 bits.
        Framing { encoding: self.encoding, base64_line: u32::try_from(self.base64_line).unwrap_or(u32::MAX) }
    }
}

/// The number of event loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each processor that the process may use.
    Auto,
    /// This many.
    Count(NonZeroU16),
}

/// `[files]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The names that are listed and served.
    pub names: NameCharset,
    /// Whether symbolic links are followed.
    pub symlinks: Symlinks,
    /// Whether names that start with a dot are listed and served.
    pub hidden: bool,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Simultaneous connections of all listeners.
    pub connections: u32,
    /// Simultaneous connections from one IPv4 address or one IPv6 /64; 0 for no limit.
    pub connections_per_address: u32,
    /// Bytes of a request without its CR LF.
    pub request_line: u64,
    /// Bytes a second sent to one connection; 0 for no limit.
    pub rate_per_connection: u64,
    /// Networks whose clients are served; empty for all.
    pub allow: Vec<IpNet>,
    /// Networks whose clients are refused, even if `allow` contains them.
    pub deny: Vec<IpNet>,
}

/// `[timeouts]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// The time between two requests.
    pub idle: Duration,
    /// The time from the first byte of a request to its last.
    pub request: Duration,
    /// The time in which a client must accept, or a disk deliver, a byte of an answer.
    pub stall: Duration,
    /// The time from SIGTERM until remaining connections are closed.
    pub drain: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The destination.
    pub target: LogTarget,
    /// The syslog facility.
    pub facility: Facility,
    /// The least severe level that is written.
    pub level: log::LevelFilter,
    /// Whether each request is logged.
    pub access: bool,
}

/// `log.target`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error, or syslog with `--daemon`.
    Auto,
    /// The local syslog daemon.
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

impl Default for Config {
    /// The built-in defaults, which `etc/hftp.toml` shows.
    fn default() -> Config {
        Config {
            root: PathBuf::from("/srv/hftp"),
            listeners: vec![Listener::on_port(DEFAULT_PORT)],
            user: "hftp".to_owned(),
            group: "hftp".to_owned(),
            workers: Workers::Auto,
            control: Some(PathBuf::from(CONTROL)),
            files: Files { names: NameCharset::Portable, symlinks: Symlinks::Inside, hidden: false },
            limits: Limits {
                connections: CONNECTIONS,
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
