//! `hftp`: fetches files from HFTP servers. See hftp(1).

use std::process::ExitCode;

fn main() -> ExitCode {
    hftpd::hftp::run(std::env::args_os()).into()
}
