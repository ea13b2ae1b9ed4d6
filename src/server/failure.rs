//! Why the daemon does not start, or why a reload fails.

use std::io;

use crate::config::LoadError;
use crate::exit::Exit;

/// A start or a reload that failed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code of the process that asked for it.
    pub exit: Exit,
    /// What failed, why, and what to do.
    pub message: String,
}

impl Failure {
    /// The operating system refused `what`.
    pub(super) fn system(what: &str, error: &io::Error) -> Failure {
        Failure { exit: Exit::System, message: format!("{what}: {error}") }
    }

    /// The operating system refused a thread for `what`.
    pub(super) fn no_thread(what: &str, error: &io::Error) -> Failure {
        Failure::system(&format!("cannot start {what} (see TasksMax, `ulimit -u`)"), error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        Failure { exit: Exit::from(&error), message: error.to_string() }
    }
}
