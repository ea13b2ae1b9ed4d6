//! How `hftpd` ends.

use std::io;

use crate::config::LoadError;

/// How a process of `hftpd` ends; the codes are those of sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done.
    Done,
    /// The command line is wrong.
    Usage,
    /// The root is missing or cannot be read.
    Root,
    /// There is no daemon to talk to.
    Unavailable,
    /// A bug.
    Software,
    /// The operating system refused something that should work.
    System,
    /// A permission is missing.
    Permission,
    /// The configuration is wrong, or missing.
    Config,
}

impl Exit {
    /// The codes and their meanings, as `--help` and hftpd(8) tell them.
    pub const TABLE: [(Exit, u8, &'static str); 8] = [
        (Exit::Done, 0, "done"),
        (Exit::Usage, 64, "wrong command line"),
        (Exit::Root, 66, "the root is missing or cannot be read"),
        (Exit::Unavailable, 69, "no daemon to talk to"),
        (Exit::Software, 70, "a fault of hftpd itself"),
        (Exit::System, 71, "the operating system refused"),
        (Exit::Permission, 77, "no permission"),
        (Exit::Config, 78, "wrong or missing configuration"),
    ];

    /// What a code means; one that is not in the table is a fault of ours.
    pub fn of_code(code: u8) -> Exit {
        Exit::TABLE.iter().find(|(_, known, _)| *known == code).map_or(Exit::Software, |(exit, ..)| *exit)
    }

    /// The exit code.
    pub fn code(self) -> u8 {
        // The table has a line for each; a test says so.
        Exit::TABLE.iter().find(|(exit, ..)| *exit == self).map_or(70, |(_, code, _)| *code)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit.code())
    }
}

impl From<&LoadError> for Exit {
    fn from(error: &LoadError) -> Exit {
        match error {
            LoadError::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => Exit::Permission,
            error if error.is_shortage() => Exit::System,
            LoadError::Unreadable { .. } | LoadError::Findings(_) => Exit::Config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_has_one_code() {
        // A new exit must be given its place here, and so in the table.
        let place = |exit| match exit {
            Exit::Done => 0,
            Exit::Usage => 1,
            Exit::Root => 2,
            Exit::Unavailable => 3,
            Exit::Software => 4,
            Exit::System => 5,
            Exit::Permission => 6,
            Exit::Config => 7,
        };
        for (at, (exit, code, _)) in Exit::TABLE.into_iter().enumerate() {
            assert_eq!(place(exit), at, "{exit:?}");
            assert_eq!(exit.code(), code, "{exit:?}");
        }
        assert_eq!(Exit::TABLE.map(|(_, code, _)| code), [0, 64, 66, 69, 70, 71, 77, 78]);
    }
}
