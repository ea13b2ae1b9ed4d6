//! The program `hftp`: its command line, and what its commands do with the [client](crate::client). See hftp(1).
//!
//! [`run`] reads the command line. Each command has a file: `list` (`ls` and `stat`), `get`, `cat`, `sync`. `fetch`
//! decides how a file is fetched: `batch` pipelines small files, `transfer` fetches a file over one connection,
//! `parallel` over several. Each of them fills a `sink`.

mod args;
mod batch;
mod cat;
mod completions;
mod context;
mod download;
mod exit;
mod fetch;
mod get;
mod json;
mod list;
mod names;
mod parallel;
mod pipeline;
mod progress;
mod rate;
mod remote;
mod report;
mod retry;
mod sink;
mod sums;
mod sync;
mod transfer;
mod units;

use std::ffi::OsString;

use clap::Parser;

use args::{Command, CommandLine};
use context::Context;

pub use exit::{Exit, Failure};

/// Runs a command line, which begins with the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let transfer = match &line.command {
        Command::Get(get) => Some(&get.transfer),
        Command::Sync(sync) => Some(&sync.transfer),
        _ => None,
    };
    let context = Context::new(&line.common, transfer);
    let outcome = match &line.command {
        Command::Ls(ls) => list::ls(&context, ls),
        Command::Stat(stat) => list::stat(&context, stat),
        Command::Get(get) => get::run(&context, get),
        Command::Cat(cat) => cat::run(&context, cat),
        Command::Sync(sync) => sync::run(&context, sync),
        Command::Completions { shell } => {
            context.report.print(&completions::script(*shell));
            Ok(())
        }
    };
    if let Err(failure) = outcome {
        context.report.fail(failure);
    }
    context.report.first_failure().map_or(Exit::Done, |failure| failure.exit)
}
