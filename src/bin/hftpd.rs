//! `hftpd`: publishes one directory, read-only, over HFTP. See hftpd(8).

use std::process::ExitCode;

use hftpd::cli::{self, Command, Format};
use hftpd::config::{self, Overrides, Source};
use hftpd::exit::Exit;
use hftpd::log;
use hftpd::server::{self, ControlRequest, Failure, Start};

fn main() -> ExitCode {
    log::init();
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => return fail(Exit::Usage, &error.to_string()),
    };
    match command {
        Command::Help => print(&cli::help()),
        Command::Version => print(concat!("hftpd ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Check { source, dump } => {
            let report = server::check(&source, dump);
            eprint!("{}", report.errors);
            print(&report.output);
            report.exit.into()
        }
        Command::Reload { source } => ask(&source, ControlRequest::Reload, str::to_owned),
        Command::Status { source, format } => ask(&source, ControlRequest::Status, |status| match format {
            Format::Json => status.to_owned(),
            Format::Text => server::status_text(status).unwrap_or_else(|_| status.to_owned()),
        }),
        Command::Run { source, overrides, daemon, pid_file } => {
            log::exit_on_panic(Exit::Software.code());
            let config = match config::load(&source, &overrides) {
                Ok(config) => config,
                Err(error) => return fail(error.exit(), &error.to_string()),
            };
            match server::run(Start { config, source, overrides, daemon, pid_file }) {
                Ok(()) => ExitCode::SUCCESS,
                Err(Failure { exit, message }) => fail(exit, &message),
            }
        }
    }
}

fn fail(exit: Exit, message: &str) -> ExitCode {
    eprintln!("hftpd: {message}");
    exit.into()
}

/// Prints to standard output. A closed pipe is not an error.
fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Sends a request to the running daemon, prints the reply and exits with its code.
fn ask(source: &Source, request: ControlRequest, show: impl Fn(&str) -> String) -> ExitCode {
    let Some(control) = config::control_path(source) else {
        return fail(Exit::Config, "control = \"\": there is no control socket; set control, or send SIGHUP");
    };
    match server::ask(&control, request) {
        Ok(reply) => {
            let text = show(&reply.text);
            let text = format!("{}\n", text.trim_end());
            if reply.exit == 0 {
                print(&text);
            } else {
                eprint!("hftpd: {text}");
            }
            ExitCode::from(reply.exit)
        }
        Err(error) => match config::load(source, &Overrides::default()) {
            // The error of the file is the reason if it hides the socket, and is to be mended in any case.
            Err(invalid) if source.explicit || source.path.exists() => fail(invalid.exit(), &invalid.to_string()),
            _ => {
                let exit = match error.kind() {
                    std::io::ErrorKind::PermissionDenied => Exit::Permission,
                    _ => Exit::Unavailable,
                };
                let path = control.display();
                let remedy = match exit {
                    Exit::Permission => "run as root or as the user of the daemon",
                    _ => "check that the daemon is running with this control socket",
                };
                fail(exit, &format!("cannot reach the daemon at {path}: {error}; {remedy}"))
            }
        },
    }
}
