//! `hftpd`: publishes one directory, read-only, over HFTP. See hftpd(8).

use std::process::ExitCode;

use hftpd::cli::{self, Command, Exit, Format};
use hftpd::config::{self, Overrides, Source};
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
            let report = cli::check(&source, dump);
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
                Err(error) => return fail(Exit::from(&error), &error.to_string()),
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

/// Prints to standard output. That nobody reads it is nobody's fault.
fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Asks the running daemon, prints what it says, and ends as it says.
fn ask(source: &Source, question: ControlRequest, show: impl Fn(&str) -> String) -> ExitCode {
    let loaded = config::load(source, &Overrides::default());
    let control = match &loaded {
        Ok(config) => config.control.clone(),
        // A daemon that runs by an older version of the file can still be found.
        Err(_) => config::control_of(source),
    };
    let Some(control) = control else {
        return fail(Exit::Config, "control = \"\": there is no control socket to ask; set control, or send SIGHUP");
    };
    match server::ask(&control, question) {
        Ok(verdict) => {
            let text = show(&verdict.text);
            let text = format!("{}\n", text.trim_end());
            if verdict.exit == 0 {
                print(&text);
            } else {
                eprint!("hftpd: {text}");
            }
            ExitCode::from(verdict.exit)
        }
        Err(error) => match loaded {
            Err(wrong) => fail(Exit::from(&wrong), &wrong.to_string()),
            Ok(_) => {
                let exit = match error.kind() {
                    std::io::ErrorKind::PermissionDenied => Exit::Permission,
                    _ => Exit::Unavailable,
                };
                let path = control.display();
                let cure = match exit {
                    Exit::Permission => "ask as root or as the daemon's user",
                    _ => "is the daemon running, with this control socket?",
                };
                fail(exit, &format!("cannot ask the daemon at {path}: {error}; {cure}"))
            }
        },
    }
}
