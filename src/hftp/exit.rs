//! How `hftp` ends.

use std::process::ExitCode;

use crate::client::Error;

/// How a process of `hftp` ends. As far as they fit, the codes are those of sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done.
    Done,
    /// The command line is wrong.
    Usage,
    /// A file is not what its checksum says, or differs between servers.
    Verification,
    /// The server has no such file.
    NotFound,
    /// The server cannot be reached, or the connection failed.
    Network,
    /// A local file cannot be read or written, or exists.
    Local,
    /// The server sent something that is not HFTP.
    Protocol,
    /// The server refused the request.
    Refused,
}

impl Exit {
    /// The codes and their meanings, as `--help` and hftp(1) list them.
    pub const TABLE: [(Exit, u8, &'static str); 8] = [
        (Exit::Done, 0, "done"),
        (Exit::Usage, 64, "wrong command line"),
        (Exit::Verification, 65, "a file is not what its checksum says, or servers differ"),
        (Exit::NotFound, 66, "the server has no such file"),
        (Exit::Network, 69, "the server cannot be reached, or the connection failed"),
        (Exit::Local, 74, "a local file cannot be written, or exists"),
        (Exit::Protocol, 76, "the answer of the server is not HFTP"),
        (Exit::Refused, 77, "the server refused the request"),
    ];

    /// The exit code.
    pub fn code(self) -> u8 {
        // The table has a line for each.
        Exit::TABLE.iter().find(|(exit, ..)| *exit == self).map_or(1, |(_, code, _)| *code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why something is not done: one line for the user, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, to what, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into() }
    }

    /// With the file that it concerns.
    pub fn of(self, name: &str) -> Failure {
        Failure { message: format!("{name}: {}", self.message), ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match &error {
            Error::Name(_) => Exit::Usage,
            Error::Answer { code: 202, .. } => Exit::NotFound,
            Error::Answer { .. } => Exit::Refused,
            Error::Malformed { .. }
            | Error::Excess { .. }
            | Error::UnknownEncoding { .. }
            | Error::LongListing { .. } => Exit::Protocol,
            Error::Resolve { .. }
            | Error::Connect { .. }
            | Error::Silent { .. }
            | Error::Closed { .. }
            | Error::Io { .. } => Exit::Network,
        };
        Failure { exit, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, ..)| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, Exit::TABLE.map(|(_, code, _)| code));
        assert!(codes.is_sorted());
    }
}
