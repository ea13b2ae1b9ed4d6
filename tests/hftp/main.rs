//! The program `hftp`: its commands against the daemon, servers of older generations, and hostile servers.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod get;
mod hostile;
mod parallel;
mod restarts;
mod sync;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use support::run::{Finished, run};

/// `hftp WORD...` in a directory, with timeouts for tests.
fn command(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hftp"));
    command.current_dir(dir).args(words);
    command
}

#[track_caller]
fn hftp(dir: &Path, words: &[&str]) -> Finished {
    run(&mut command(dir, words))
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("hftp://{address}/{path}")
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let read = |path: &Path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(read(one) == read(other), "{} and {} differ", one.display(), other.display());
}

/// A SHA256SUMS of these files.
fn sums(files: &[(&str, &[u8])]) -> String {
    use sha2::{Digest, Sha256};
    let line =
        |(name, bytes): &(&str, &[u8])| format!("{}  {name}\n", support::content::hex(Sha256::new_with_prefix(bytes)));
    files.iter().map(line).collect()
}
