//! What the user sees: messages, progress, lines of JSON.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::args::Common;
use super::exit::Failure;
use super::json::Json;
use super::progress::{Meter, Progress};
use crate::client::Trace;

/// Where messages go. Shared by all threads.
#[derive(Clone)]
pub(super) struct Report {
    is_quiet: bool,
    json: bool,
    verbose: bool,
    progress: Arc<Progress>,
    /// The first failure decides the exit code.
    first: Arc<Mutex<Option<Failure>>>,
}

impl Report {
    pub(super) fn new(common: &Common) -> Report {
        let shows_bars = !common.quiet && !common.json && !common.verbose;
        Report {
            is_quiet: common.quiet,
            json: common.json,
            verbose: common.verbose,
            progress: Arc::new(Progress::new(shows_bars)),
            first: Arc::default(),
        }
    }

    /// Whether results are lines of JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Something that the user may want to know.
    pub(super) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.say(&format!("hftp: {text}"));
        }
    }

    /// What was done with a file.
    pub(super) fn done(&self, what: &str, name: &str, size: Option<u64>) {
        if self.json {
            let json = Json::new().text("event", what).text("name", name);
            self.print(&size.into_iter().fold(json, |json, size| json.number("size", size)).line());
        } else if self.verbose {
            self.say(&format!("* {what} {name}"));
        }
    }

    /// A failure. The command goes on with what is left.
    pub(super) fn fail(&self, failure: Failure) {
        if self.json {
            let code = u64::from(failure.exit.code());
            self.print(
                &Json::new().text("event", "error").text("message", &failure.message).number("code", code).line(),
            );
        }
        self.say(&format!("hftp: {}", failure.message));
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    /// Whether there was a failure.
    pub(super) fn has_failed(&self) -> bool {
        self.first_failure().is_some()
    }

    /// The failure that decides the exit code.
    pub(super) fn first_failure(&self) -> Option<Failure> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A step of the conversation with a server.
    pub(super) fn trace(&self, step: Trace<'_>) {
        match step {
            Trace::Note(text) => self.say(&format!("* {text}")),
            Trace::Sent(text) => self.say(&format!("> {text}")),
            Trace::Received(text) => self.say(&format!("< {text}")),
        }
    }

    /// Prints a result. Nobody has to read it to its end, so a closed pipe ends the program without a message.
    pub(super) fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { 74 };
            std::process::exit(code);
        }
    }

    /// All files of the command, with the bytes that are to be received: a bar for the total, if there are several.
    pub(super) fn begin(&self, files: usize, bytes: u64) {
        self.progress.begin(files, bytes);
    }

    /// A file of which bytes are received.
    pub(super) fn meter(&self, name: &str, size: u64) -> Meter {
        self.progress.meter(name, size)
    }

    /// Small files, which have no bar of their own.
    pub(super) fn meter_of_many(&self) -> Meter {
        self.progress.meter_of_many()
    }

    /// The bars have done their work.
    pub(super) fn end(&self) {
        self.progress.end();
    }

    fn say(&self, line: &str) {
        self.progress.above(|| eprintln!("{line}"));
    }
}
