//! `hftpd check`: checks what a start would refuse.

use std::os::unix::fs::FileTypeExt as _;

use super::failure::Failure;
use super::prepare;
use super::start::find_identity;
use crate::config::{self, Config, Overrides, Source};
use crate::exit::Exit;
use crate::os::privileges;

/// The output of `hftpd check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For standard output; whole lines.
    pub output: String,
    /// For standard error; whole lines.
    pub errors: String,
    /// The exit code.
    pub exit: Exit,
}

/// Checks the file and its root. With `dump`, the output is the effective configuration as TOML.
///
/// As root, it drops root privileges for good, because the daemon reads the root as the configured user.
pub fn check(source: &Source, dump: bool) -> Report {
    let config = match config::load(source, &Overrides::default()) {
        Ok(config) => config,
        Err(error) => {
            return Report { output: String::new(), errors: format!("{error}\n"), exit: error.exit() };
        }
    };
    let file = source.path.display();
    let checked = check_control(&config).and_then(|()| check_root(source, &config));
    let (errors, exit) = match checked {
        Ok(()) => (String::new(), Exit::Success),
        Err(Failure { exit, message }) => (format!("{file}: {message}\n"), exit),
    };
    let output = match exit {
        Exit::Success if !dump => format!("{file}: ok\n"),
        // The file is valid, even if this system is not prepared for it.
        _ if dump => config::dump(&config),
        _ => String::new(),
    };
    Report { output, errors, exit }
}

fn check_control(config: &Config) -> Result<(), Failure> {
    match &config.control {
        Some(path) if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) => {
            let message = format!("control {}: not a socket; remove it, or set another path", path.display());
            Err(Failure { exit: Exit::Config, message })
        }
        _ => Ok(()),
    }
}

fn check_root(source: &Source, config: &Config) -> Result<(), Failure> {
    if privileges::is_root() {
        let identity = find_identity(source, config)?;
        privileges::drop_privileges(Some(&identity))
            .map_err(|error| Failure { exit: Exit::Permission, message: error.to_string() })?;
    }
    prepare::check_root(config)
}
