//! The exit codes.

/// The result of a process; the codes are those of sysexits.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Success,
    /// The command line has an error.
    Usage,
    /// The root is missing or cannot be read.
    Root,
    /// The daemon is not running, is stopping, or does not answer.
    Unavailable,
    /// An internal error.
    Software,
    /// A system call failed.
    System,
    /// A permission is missing.
    Permission,
    /// The configuration has an error or is missing.
    Config,
}

impl Exit {
    /// The codes and their meanings, as in `--help` and hftpd(8).
    pub const TABLE: [(Exit, u8, &'static str); 8] = [
        (Exit::Success, 0, "success"),
        (Exit::Usage, 64, "error in the command line"),
        (Exit::Root, 66, "the root is missing or cannot be read"),
        (Exit::Unavailable, 69, "the daemon is not available (reload and status)"),
        (Exit::Software, 70, "internal error"),
        (Exit::System, 71, "operating system error"),
        (Exit::Permission, 77, "permission denied"),
        (Exit::Config, 78, "error in the configuration, or it is missing"),
    ];

    /// The result with this code; [`Exit::Software`] if there is none.
    pub fn of_code(code: u8) -> Exit {
        Exit::TABLE.iter().find(|(_, known, _)| *known == code).map_or(Exit::Software, |(exit, ..)| *exit)
    }

    /// The exit code.
    pub fn code(self) -> u8 {
        // The table contains each; a test checks it.
        Exit::TABLE.iter().find(|(exit, ..)| *exit == self).map_or(70, |(_, code, _)| *code)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_has_one_code() {
        // A new result needs a line here, and so in the table.
        let place = |exit| match exit {
            Exit::Success => 0,
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
