//! The text of `--help`, made of the tables of commands, options and exit codes.

use super::options::{OPTIONS, VERBS};
use crate::config;
use crate::exit::Exit;

/// The text of `--help`.
pub fn help() -> String {
    let mut text = format!(
        "\
hftpd publishes one directory, read-only, over HFTP.

  hftpd [-c FILE] [-d DIR] [-a ADDRESS] [-p PORT] [--daemon [--pid-file F]]
  hftpd check  [-c FILE] [--dump]
  hftpd reload [-c FILE]
  hftpd status [-c FILE] [--json]
  hftpd --version | --help

Without a command it serves in the foreground. The configuration is
{file}; -d, -a and -p override it. With -d the file may be missing:
`hftpd -d .` serves the current directory with built-in defaults.

Commands:
",
        file = config::DEFAULT_FILE
    );
    for (name, _, help) in VERBS {
        text.push_str(&format!("  {name:<8}{help}\n"));
    }
    text.push_str("\nOptions:\n");
    for option in &OPTIONS {
        text.push_str(&format!("  {:<24}{}\n", option.usage(), option.help));
    }
    text.push_str(&format!(
        "
FILE is {} without -c. ADDRESS is an IP address, with or without
a port: 127.0.0.1, 127.0.0.1:{port}, ::1, [::1]:{port}.

Exit codes:
",
        config::DEFAULT_FILE,
        port = config::DEFAULT_PORT
    ));
    for (_, code, meaning) in Exit::TABLE {
        text.push_str(&format!("  {code:>2}  {meaning}\n"));
    }
    text.push_str("\nSee hftpd(8), hftp.toml(5) and hftp(7).\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines below a heading, up to the next empty line.
    fn section(heading: &str) -> Vec<String> {
        let help = help();
        let from_heading = help.lines().skip_while(|line| *line != heading).skip(1);
        from_heading.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn help_lists_commands_options_and_exit_codes() {
        assert!(
            help().starts_with("hftpd publishes one directory, read-only, over HFTP.\n\n  hftpd [-c FILE] [-d DIR]")
        );
        assert_eq!(
            section("Commands:"),
            [
                "  check   check the configuration file and the root",
                "  reload  reload the configuration and report the result",
                "  status  print the status of the daemon",
            ]
        );
        assert_eq!(
            section("Options:"),
            [
                "  -c, --config FILE       the configuration file",
                "  -d, --root DIR          publish DIR",
                "  -a, --address ADDRESS   listen on this address only",
                "  -p, --port PORT         listen on this port; 0 for any",
                "      --daemon            serve in the background",
                "      --pid-file F        with --daemon: write the process ID to F",
                "      --dump              print the effective configuration",
                "      --json              print as JSON",
                "      --version           print the version",
                "      --help              print this help",
            ]
        );
        assert_eq!(
            section("Exit codes:"),
            [
                "   0  success",
                "  64  error in the command line",
                "  66  the root is missing or cannot be read",
                "  69  the daemon is not available (reload and status)",
                "  70  internal error",
                "  71  operating system error",
                "  77  permission denied",
                "  78  error in the configuration, or it is missing",
            ]
        );
    }

    #[test]
    fn help_is_complete_and_fits_a_terminal() {
        let help = help();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line, line.trim_end());
        }
        for option in &OPTIONS {
            assert!(help.contains(&option.usage()), "--{}", option.long);
            assert!(option.usage().len() <= 22, "--{} overlaps its help", option.long);
        }
        for (name, ..) in VERBS {
            assert!(help.contains(&format!("hftpd {name}")), "{name}");
        }
        for (_, code, meaning) in Exit::TABLE {
            assert!(help.contains(&format!("{code:>2}  {meaning}")), "{code}");
        }
    }
}
