//! From the file on disk and the command line to the effective configuration.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{self, Path, PathBuf};

use super::findings::{Finding, Findings};
use super::{Config, Listener, field, file};
use crate::os::{files, limits};

/// The configuration file that is read when none is named.
pub const DEFAULT_FILE: &str = "/etc/hftp.toml";

/// The largest configuration file that is read, in bytes.
pub const FILE_MAX: u64 = 1 << 20;

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is; absolute, so that a daemon that has left its directory finds it again.
    pub path: PathBuf,
    /// Whether it was named (`-c`). A default file may be missing if `-d` says what to publish.
    pub explicit: bool,
}

impl Default for Source {
    /// [`DEFAULT_FILE`].
    fn default() -> Source {
        Source { path: PathBuf::from(DEFAULT_FILE), explicit: false }
    }
}

/// What the command line overrides, at the start and at every reload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `-d`: the root. A relative path counts from the current directory at the time of [`load`].
    pub root: Option<PathBuf>,
    /// `-a`: the address of the one listener.
    pub address: Option<IpAddr>,
    /// `-p`, or the port in `-a`: the port of the one listener.
    pub port: Option<u16>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    /// The file (or, for a relative root, the current directory) cannot be read.
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The operating system's reason, or that it is no regular file or too large.
        error: io::Error,
        /// Whether it is the default file, so that naming another may help.
        default: bool,
    },
    /// The file was read, and has mistakes.
    Findings(Findings),
}

impl LoadError {
    /// Whether the file may be as it should, and there was no descriptor to read it with.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self, LoadError::Unreadable { error, .. } if limits::is_fd_exhausted(error))
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Unreadable { path, error, default } => {
                write!(f, "cannot read {}: {error}", path.display())?;
                if *default && error.kind() == io::ErrorKind::NotFound {
                    f.write_str("; -c FILE names another, -d DIR serves a directory without one")?;
                }
                if self.is_shortage() {
                    f.write_str("; raise LimitNOFILE, or lower limits.connections")?;
                }
                Ok(())
            }
            LoadError::Findings(findings) => findings.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Findings> for LoadError {
    fn from(findings: Findings) -> LoadError {
        LoadError::Findings(findings)
    }
}

/// Reads the file, and applies what the command line overrides.
///
/// With a root in `overrides`, the file need not have one, and the default file need not exist. A file that exists must
/// be right even so.
///
/// # Errors
///
/// The file cannot be read, or has mistakes; then all of them.
pub fn load(source: &Source, overrides: &Overrides) -> Result<Config, LoadError> {
    let mut config = match read_file(&source.path) {
        Ok(bytes) => parse(bytes, overrides.root.is_none()).map_err(|findings| findings.named(&source.path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !source.explicit && overrides.root.is_some() => {
            Config::default()
        }
        Err(error) => {
            return Err(LoadError::Unreadable { path: source.path.clone(), error, default: !source.explicit });
        }
    };
    overrides.apply(&mut config)?;
    Ok(config)
}

/// The control socket that a file names, as far as that can be told of a file that may be wrong: for talking to a
/// daemon that runs by an older version of it. The default one where it cannot be told.
#[must_use]
pub fn control_of(source: &Source) -> Option<PathBuf> {
    let default = || Config::default().control;
    let Ok(text) = read_file(&source.path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) else {
        return default();
    };
    // The line alone is read, for the lines around it may be what is wrong.
    let line = text.lines().take_while(|line| !line.starts_with('[')).find_map(|line| {
        let table: toml::Table = line.trim_start().strip_prefix("control").and_then(|_| line.parse().ok())?;
        table.get("control")?.as_str().map(str::to_owned)
    });
    match line {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(PathBuf::from(path)),
        None => default(),
    }
}

impl Overrides {
    fn apply(&self, config: &mut Config) -> Result<(), LoadError> {
        if let Some(root) = &self.root {
            config.root =
                absolute(root).map_err(|error| LoadError::Unreadable { path: root.clone(), error, default: false })?;
        }
        if self.address.is_some() || self.port.is_some() {
            // There is at least one listener in a valid configuration.
            let first = config.listeners.first().cloned().unwrap_or_else(|| Config::default().listeners.remove(0));
            let ip = self.address.map_or(first.address.ip(), |ip| ip.to_canonical());
            let mut address = first.address;
            address.set_port(self.port.unwrap_or(first.address.port()));
            if ip != address.ip() {
                address = SocketAddr::new(ip, address.port());
            }
            config.listeners = vec![Listener { address, ..first }];
        }
        Ok(())
    }
}

/// The path from `/`, symbolic links left as they are.
///
/// # Errors
///
/// The path is empty or holds a NUL, or it is relative and the current directory is gone.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = path::absolute(path)?;
    if field::is_absolute(&path) { Ok(path) } else { Err(io::Error::other("not a path")) }
}

fn parse(bytes: Vec<u8>, root_required: bool) -> Result<Config, Findings> {
    match String::from_utf8(bytes) {
        Ok(text) => file::read(&text, root_required),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // Up to the bad byte nothing changes, so the place stays right.
            let text = String::from_utf8_lossy(error.as_bytes());
            let bad = error.as_bytes()[at];
            let message = format!("not valid TOML: the byte 0x{bad:02x} is not UTF-8, expected a text in UTF-8");
            Err(Findings::one(Finding::new(&text, at..at + char::REPLACEMENT_CHARACTER.len_utf8(), message)))
        }
    }
}

/// The bytes of a regular file of at most [`FILE_MAX`] bytes; never waits for a FIFO's other end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::from(files::open_to_read(path)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file with these bytes, and the directory that it lives in.
    fn file(bytes: &[u8], explicit: bool) -> (tempfile::TempDir, Source) {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("hftp.toml");
        fs::write(&path, bytes).expect("a temporary file can be written");
        (directory, Source { path, explicit })
    }

    fn root(path: &str) -> Overrides {
        Overrides { root: Some(path.into()), ..Overrides::default() }
    }

    #[test]
    fn only_the_default_file_may_be_missing_and_only_with_a_root() {
        let missing = |explicit| Source { path: "/nonexistent/hftp.toml".into(), explicit };
        let config = load(&missing(false), &root("/a")).expect("the defaults serve");
        assert_eq!(config, Config { root: "/a".into(), ..Config::default() });
        for (source, overrides, told) in [
            (missing(true), root("/a"), "cannot read /nonexistent/hftp.toml: No such file or directory (os error 2)"),
            (
                missing(false),
                Overrides { port: Some(1), ..Overrides::default() },
                "cannot read /nonexistent/hftp.toml: No such file or directory (os error 2); -c FILE names another, \
                 -d DIR serves a directory without one",
            ),
        ] {
            assert_eq!(load(&source, &overrides).expect_err("no file").to_string(), told);
        }
    }

    #[test]
    fn a_file_that_is_there_must_be_right() {
        let (_directory, source) = file(b"prot = 1\n", false);
        let error = load(&source, &root("/a")).expect_err("the file is broken").to_string();
        assert!(error.starts_with(&format!("{}:1:1: unknown key", source.path.display())), "{error}");
    }

    #[test]
    fn a_root_in_the_file_is_not_needed_beside_another() {
        let (_directory, source) = file(b"port = 7\n", true);
        let config = load(&source, &root("pub")).expect("the root is given");
        let here = std::env::current_dir().expect("tests run in a directory");
        assert_eq!((config.root, config.listeners[0].address.port()), (here.join("pub"), 7));
        assert!(load(&source, &Overrides::default()).is_err());
    }

    #[test]
    fn address_and_port_make_one_listener() {
        let port = "root = '/a'\nport = 7";
        let two =
            "root = '/a'\n[[listen]]\naddress = '127.0.0.1:7'\nencoding = 'plain'\n[[listen]]\naddress = '[::1]:8'";
        for (text, address, number, listeners, encoding) in [
            (port, None, None, "[::]:7", "Fragments"),
            (port, Some("127.0.0.1"), None, "127.0.0.1:7", "Fragments"),
            (port, None, Some(0), "[::]:0", "Fragments"),
            (two, None, Some(9), "127.0.0.1:9", "Plain"),
            (two, Some("::1"), None, "[::1]:7", "Plain"),
            (two, Some("::ffff:127.0.0.2"), Some(9), "127.0.0.2:9", "Plain"),
        ] {
            let (_directory, source) = file(text.as_bytes(), true);
            let address = address.map(|ip: &str| ip.parse().expect("the table holds addresses"));
            let config =
                load(&source, &Overrides { root: None, address, port: number }).expect("the table holds valid files");
            assert_eq!(config.listeners.len(), 1);
            assert_eq!(config.listeners[0].address.to_string(), listeners);
            assert_eq!(format!("{:?}", config.listeners[0].encoding), encoding);
        }
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let long = vec![b'\n'; usize::try_from(FILE_MAX).expect("a MiB fits") + 1];
        let (_directory, source) = file(&long, true);
        let error = load(&source, &root("/a")).expect_err("too large");
        assert_eq!(error.to_string(), format!("cannot read {}: larger than 1 MiB", source.path.display()));

        let (_directory, source) = file(&long[1..], true);
        load(&source, &root("/a")).expect("just small enough");

        let (_directory, source) = file(b"root = '/x'\n# \xc3\xb1 \xff\xfe\n", true);
        let error = load(&source, &root("/a")).expect_err("not UTF-8").to_string();
        let first = error.lines().next().unwrap_or_default();
        let expected = ":2:5: not valid TOML: the byte 0xff is not UTF-8, expected a text in UTF-8";
        assert_eq!(first, format!("{}{expected}", source.path.display()));

        for path in ["/", "/dev/null", "/dev/zero"] {
            let error = load(&Source { path: path.into(), explicit: true }, &root("/a")).expect_err("no regular file");
            assert_eq!(error.to_string(), format!("cannot read {path}: not a regular file"));
        }
    }

    #[test]
    fn a_fifo_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO can be made");
        let error = load(&Source { path, explicit: true }, &root("/a")).expect_err("no regular file").to_string();
        assert!(error.ends_with("fifo: not a regular file"), "{error}");
    }
}
