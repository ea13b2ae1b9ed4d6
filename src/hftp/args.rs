//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::client::Url;
use crate::wire::Encoding;

use super::exit::Exit;
use super::units::{self, Range};

/// `hftp [OPTIONS] COMMAND`
#[derive(Debug, Parser)]
#[command(name = "hftp", version, about = "Fetch files from HFTP servers", after_help = exits())]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Common {
    /// Print errors only
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Show the conversation with the server
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// Print results as lines of JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Ask for slices in this encoding, instead of finding it out
    #[arg(long, global = true, value_name = "ENCODING")]
    pub(super) proto: Option<Proto>,
    /// Try again as often as this without progress
    #[arg(long, global = true, value_name = "N", default_value_t = 5)]
    pub(super) retries: u32,
    /// The longest silence of the server
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub(super) timeout: Duration,
    /// The longest time to connect
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub(super) connect_timeout: Duration,
}

/// The encodings, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Proto {
    /// Bytes as they are, by the fourth argument of the request
    Raw,
    /// Base64 (since 2019)
    Base64,
    /// Bytes and CR LF (2018)
    Plain,
    /// Lengths and bytes (2008 to 2017)
    Fragments,
}

impl From<Proto> for Encoding {
    fn from(proto: Proto) -> Encoding {
        match proto {
            Proto::Raw => Encoding::Raw,
            Proto::Base64 => Encoding::Base64,
            Proto::Plain => Encoding::Plain,
            Proto::Fragments => Encoding::Fragments,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the names of the files
    Ls(Ls),
    /// Print the sizes of files
    Stat(Stat),
    /// Fetch files
    Get(Get),
    /// Write a file to standard output
    Cat(Cat),
    /// Make a directory the same as the files of a server
    Sync(Sync),
    /// Print a completion script
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct Ls {
    /// hftp://HOST[:PORT]/[GLOB]
    #[arg(value_hint = ValueHint::Url)]
    pub(super) url: Url,
    /// With sizes and a total
    #[arg(short, long)]
    pub(super) long: bool,
}

#[derive(Debug, Args)]
pub(super) struct Stat {
    /// hftp://HOST[:PORT]/NAME, or a glob
    #[arg(required = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub(super) urls: Vec<Url>,
}

#[derive(Debug, Args)]
pub(super) struct Get {
    /// hftp://HOST[:PORT]/NAME, or a glob; several servers that have the same file
    #[arg(required = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub(super) urls: Vec<Url>,
    /// Write the file to this path; - is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "dir", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,
    /// Write the files to this directory
    #[arg(short, long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(super) dir: PathBuf,
    /// Resume from NAME.part
    #[arg(short = 'c', long = "continue")]
    pub(super) resume: bool,
    /// Replace files that exist
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) transfer: Transfer,
}

/// Options of `get` and `sync`.
#[derive(Debug, Args)]
pub(super) struct Transfer {
    /// Fetch slices of a file over this many connections
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) jobs: u8,
    /// Receive at most this many bytes a second
    #[arg(long, value_name = "RATE", value_parser = units::rate)]
    pub(super) limit_rate: Option<u64>,
    /// Verify the files against this file of SHA-256 sums of the server
    #[arg(long, value_name = "NAME")]
    pub(super) sums: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Cat {
    /// hftp://HOST[:PORT]/NAME
    #[arg(value_hint = ValueHint::Url)]
    pub(super) url: Url,
    /// Only these bytes; without SIZE all from OFFSET on
    #[arg(long, value_name = "OFFSET:SIZE", value_parser = units::range)]
    pub(super) range: Option<Range>,
}

#[derive(Debug, Args)]
pub(super) struct Sync {
    /// hftp://HOST[:PORT]/[GLOB]
    #[arg(value_hint = ValueHint::Url)]
    pub(super) url: Url,
    /// The directory, which is made if it is missing
    #[arg(value_hint = ValueHint::DirPath)]
    pub(super) dir: PathBuf,
    /// Remove files that the server does not have
    #[arg(long)]
    pub(super) delete: bool,
    /// Print what would be done
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Compare the bytes of files that have the same size
    #[arg(long)]
    pub(super) verify: bool,
    #[command(flatten)]
    pub(super) transfer: Transfer,
}

fn exits() -> String {
    let lines = Exit::TABLE.iter().map(|(_, code, meaning)| format!("\n  {code:>2}  {meaning}"));
    format!("Exit codes:{}\n\nhftp(1) describes the commands.", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn manual_page_has_every_command_and_option() {
        let page = include_str!("../../packaging/man/hftp.1");
        let program = CommandLine::command();
        program.clone().debug_assert();
        let described = page.split(".Sh EXIT STATUS").next().unwrap_or_default();
        for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(described.contains(&format!("\n.It Cm {}\n", command.get_name())), "{}", command.get_name());
            for long in command.get_arguments().chain(program.get_arguments()).filter_map(clap::Arg::get_long) {
                let option = format!("Fl -{long}");
                let is_item =
                    |line: &str| line.starts_with(".It") && line.split(" , ").any(|part| part.contains(&option));
                assert!(described.lines().any(is_item), "--{long} of {}", command.get_name());
            }
        }
        for (_, code, meaning) in Exit::TABLE {
            assert!(page.contains(&format!("\n.It {code}\n{meaning}\n")), "{code} {meaning}");
        }
    }
}
