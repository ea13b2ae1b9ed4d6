//! Loads the configuration: reads the file and applies the command line.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::defaults;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::file;
use super::path::absolute;
use super::types::{Config, DEFAULT_PORT, Listener};
use crate::exit::Exit;
use crate::os::{files, limits};

/// The configuration file if the command line names none.
pub const DEFAULT_FILE: &str = "/etc/hftp.toml";

/// The maximum size of a configuration file, in bytes.
pub const FILE_MAX: u64 = 1 << 20;

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path; absolute, because a daemon changes its directory.
    pub path: PathBuf,
    /// Whether `-c` names it. The default file may be missing if `-d` sets the root.
    pub explicit: bool,
}

impl Default for Source {
    /// [`DEFAULT_FILE`].
    fn default() -> Source {
        Source { path: PathBuf::from(DEFAULT_FILE), explicit: false }
    }
}

/// What the command line overrides, at the start and in each reload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `-d`: the root. A relative path is resolved against the current directory by [`load`].
    pub root: Option<PathBuf>,
    /// `-a`: the address of the one listener.
    pub address: Option<IpAddr>,
    /// `-p`, or the port in `-a`: the port of the one listener.
    pub port: Option<u16>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read, or a relative root cannot be resolved.
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The error of the operating system, or that it is not a regular file or too large.
        error: io::Error,
        /// Whether it is the default file.
        default: bool,
    },
    /// The file has errors.
    Invalid(Diagnostics),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Unreadable { path, error, default } => {
                write!(f, "cannot read {}: {error}", path.display())?;
                if *default && error.kind() == io::ErrorKind::NotFound {
                    f.write_str("; use -c FILE for another file, or -d DIR to serve a directory without one")?;
                }
                if self.is_fd_exhausted() {
                    f.write_str("; raise LimitNOFILE, or lower limits.connections")?;
                }
                Ok(())
            }
            LoadError::Invalid(diagnostics) => diagnostics.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl LoadError {
    /// Whether no descriptor was left to read the file with.
    #[must_use]
    pub fn is_fd_exhausted(&self) -> bool {
        matches!(self, LoadError::Unreadable { error, .. } if limits::is_fd_exhausted(error))
    }

    /// The exit code of a process that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            LoadError::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => Exit::Permission,
            LoadError::Unreadable { .. } if self.is_fd_exhausted() => Exit::System,
            LoadError::Unreadable { .. } | LoadError::Invalid(_) => Exit::Config,
        }
    }
}

impl From<Diagnostics> for LoadError {
    fn from(diagnostics: Diagnostics) -> LoadError {
        LoadError::Invalid(diagnostics)
    }
}

/// Reads the file and applies what the command line overrides.
///
/// With a root in `overrides`, the file may lack one, and the default file may be missing. An existing file must be valid.
///
/// # Errors
///
/// The file cannot be read, or it has errors; all of them are returned.
pub fn load(source: &Source, overrides: &Overrides) -> Result<Config, LoadError> {
    let defaults = defaults::on_this_system();
    let mut config = match read_file(&source.path) {
        Ok(bytes) => {
            let root_required = overrides.root.is_none();
            parse(bytes, defaults, root_required).map_err(|diagnostics| diagnostics.named(&source.path))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !source.explicit && overrides.root.is_some() => {
            defaults
        }
        Err(error) => {
            return Err(LoadError::Unreadable { path: source.path.clone(), error, default: !source.explicit });
        }
    };
    overrides.apply(&mut config)?;
    Ok(config)
}

/// Where `hftpd status` and `hftpd reload` ask the daemon; none if the file has `control = ""`.
///
/// It is also found in a file with errors, because the daemon may run with an earlier version of the file.
#[must_use]
pub fn control_path(source: &Source) -> Option<PathBuf> {
    let text = read_file(&source.path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    match file::control(&text) {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(PathBuf::from(path)),
        None => Some(defaults::control_of_running_daemon()),
    }
}

impl Overrides {
    fn apply(&self, config: &mut Config) -> Result<(), LoadError> {
        if let Some(root) = &self.root {
            config.root =
                absolute(root).map_err(|error| LoadError::Unreadable { path: root.clone(), error, default: false })?;
        }
        if self.address.is_some() || self.port.is_some() {
            // A valid configuration has at least one listener.
            let first = config.listeners.first().cloned().unwrap_or_else(|| Listener::on_port(DEFAULT_PORT));
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

fn parse(bytes: Vec<u8>, defaults: Config, root_required: bool) -> Result<Config, Diagnostics> {
    match String::from_utf8(bytes) {
        Ok(text) => file::read(&text, defaults, root_required),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // The text before the invalid byte is unchanged, so its position is correct.
            let text = String::from_utf8_lossy(error.as_bytes());
            let byte = error.as_bytes()[at];
            let message = format!("not valid TOML: the byte 0x{byte:02x} is not UTF-8, expected UTF-8");
            let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
            Err(Diagnostics::one(Diagnostic::new(&text, span, message)))
        }
    }
}

/// Reads a regular file of at most [`FILE_MAX`] bytes. Does not wait for the writer of a FIFO.
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

    use super::super::types::CONTROL;
    use super::*;
    use crate::wire::Encoding;

    /// A file with these bytes, and its directory.
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
    fn default_file_may_be_missing_if_a_root_is_given() {
        let missing = |explicit| Source { path: "/nonexistent/hftp.toml".into(), explicit };
        let config = load(&missing(false), &root("/a")).expect("the defaults");
        assert_eq!(config, Config { root: "/a".into(), ..defaults::on_this_system() });
        for (source, overrides, told) in [
            (missing(true), root("/a"), "cannot read /nonexistent/hftp.toml: No such file or directory (os error 2)"),
            (
                missing(false),
                Overrides { port: Some(1), ..Overrides::default() },
                "cannot read /nonexistent/hftp.toml: No such file or directory (os error 2); use -c FILE for \
                 another file, or -d DIR to serve a directory without one",
            ),
        ] {
            assert_eq!(load(&source, &overrides).expect_err("no file").to_string(), told);
        }
    }

    #[test]
    fn existing_default_file_must_be_valid() {
        let (_directory, source) = file(b"prot = 1\n", false);
        let error = load(&source, &root("/a")).expect_err("the file has an error").to_string();
        assert!(error.starts_with(&format!("{}:1:1: unknown key", source.path.display())), "{error}");
    }

    #[test]
    fn file_may_lack_a_root_if_one_is_given() {
        let (_directory, source) = file(b"port = 7\n", true);
        let config = load(&source, &root("pub")).expect("the root is given");
        let here = std::env::current_dir().expect("tests run in a directory");
        assert_eq!((config.root, config.listeners[0].address.port()), (here.join("pub"), 7));
        assert!(load(&source, &Overrides::default()).is_err());
    }

    #[test]
    fn address_and_port_replace_all_listeners_by_one() {
        let port = "root = '/a'\nport = 7";
        let two =
            "root = '/a'\n[[listen]]\naddress = '127.0.0.1:7'\nencoding = 'plain'\n[[listen]]\naddress = '[::1]:8'";
        for (text, address, number, listeners, encoding) in [
            (port, None, None, "[::]:7", Encoding::Fragments),
            (port, Some("127.0.0.1"), None, "127.0.0.1:7", Encoding::Fragments),
            (port, None, Some(0), "[::]:0", Encoding::Fragments),
            (two, None, Some(9), "127.0.0.1:9", Encoding::Plain),
            (two, Some("::1"), None, "[::1]:7", Encoding::Plain),
            (two, Some("::ffff:127.0.0.2"), Some(9), "127.0.0.2:9", Encoding::Plain),
        ] {
            let (_directory, source) = file(text.as_bytes(), true);
            let address = address.map(|ip: &str| ip.parse().expect("the table holds addresses"));
            let config =
                load(&source, &Overrides { root: None, address, port: number }).expect("the table holds valid files");
            assert_eq!(config.listeners.len(), 1);
            assert_eq!(config.listeners[0].address.to_string(), listeners);
            assert_eq!(config.listeners[0].encoding, encoding);
        }
    }

    #[test]
    fn large_binary_and_special_files_are_refused() {
        let long = vec![b'\n'; usize::try_from(FILE_MAX).expect("a MiB fits") + 1];
        let (_directory, source) = file(&long, true);
        let error = load(&source, &root("/a")).expect_err("too large");
        assert_eq!(error.to_string(), format!("cannot read {}: larger than 1 MiB", source.path.display()));

        let (_directory, source) = file(&long[1..], true);
        load(&source, &root("/a")).expect("the largest file");

        let (_directory, source) = file(b"root = '/x'\n# \xc3\xb1 \xff\xfe\n", true);
        let error = load(&source, &root("/a")).expect_err("not UTF-8").to_string();
        let first = error.lines().next().unwrap_or_default();
        let expected = ":2:5: not valid TOML: the byte 0xff is not UTF-8, expected UTF-8";
        assert_eq!(first, format!("{}{expected}", source.path.display()));

        for path in ["/", "/dev/null", "/dev/zero"] {
            let error = load(&Source { path: path.into(), explicit: true }, &root("/a")).expect_err("no regular file");
            assert_eq!(error.to_string(), format!("cannot read {path}: not a regular file"));
        }
    }

    #[test]
    fn fifo_is_refused_without_waiting() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO can be made");
        let error = load(&Source { path, explicit: true }, &root("/a")).expect_err("no regular file").to_string();
        assert!(error.ends_with("fifo: not a regular file"), "{error}");
    }

    #[test]
    fn control_socket_is_found_in_files_with_errors() {
        for (text, path) in [
            ("root = '/x'\ncontrol = '/a'\n", Some("/a")),
            ("control='/a'", Some("/a")),
            ("control = ''", None),
            ("prot = 1\ncontrol = '/a'\n[limits]\nconnections = 'many'", Some("/a")),
            ("control = '/a'\nroot = \nport = [", Some("/a")),
            ("port = \n\"control\" = \"/\\u0061\" # comment\n[limits", Some("/a")),
            ("[limits]\ncontrol = '/a'", Some(CONTROL)),
            ("control = 7", Some(CONTROL)),
            ("", Some(CONTROL)),
        ] {
            let (_directory, source) = file(text.as_bytes(), true);
            let found = control_path(&source);
            let expected = path.map(|path| match path {
                CONTROL => defaults::control_of_running_daemon(),
                path => PathBuf::from(path),
            });
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
