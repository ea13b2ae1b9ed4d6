//! Why a start or a reload fails.

use std::io;

use crate::config::LoadError;
use crate::exit::Exit;

/// A start or a reload that failed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code of the process that requested it.
    pub exit: Exit,
    /// What failed, why, and a remedy.
    pub message: String,
}

impl Failure {
    /// A system call failed.
    pub(super) fn system(what: &str, error: &io::Error) -> Failure {
        Failure { exit: Exit::System, message: format!("{what}: {error}") }
    }

    /// A thread could not be started.
    pub(super) fn no_thread(what: &str, error: &io::Error) -> Failure {
        Failure::system(&format!("cannot start {what} (see TasksMax, `ulimit -u`)"), error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        Failure { exit: error.exit(), message: error.to_string() }
    }
}
