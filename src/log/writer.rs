//! The thread that formats and writes records.

use std::sync::Arc;
use std::time::Duration;

use ::log::Level;

use super::queue::Queue;
use super::record::{Record, Settings, Target};
use super::stderr::Stderr;
use super::syslog::{SendError, Syslog};

/// The maximum number of records in a batch. A batch for standard error is one write.
const BATCH: usize = 64;

/// The delay after the queue has been emptied. Under load it makes batches larger, and threads that log need not wake the
/// writer for each record. The first message after a pause is not delayed.
const BATCH_DELAY: Duration = Duration::from_millis(1);

/// The consumer of the queue.
pub(super) struct Writer {
    queue: Arc<Queue>,
    settings: Settings,
    stderr: Stderr,
    /// Set if the target is syslog.
    syslog: Option<Syslog>,
    /// The number of lost records that has not been reported yet.
    lost: u64,
}

impl Writer {
    pub(super) fn new(queue: Arc<Queue>, settings: Settings, stderr: Stderr) -> Writer {
        let syslog = open(&settings);
        Writer { queue, settings, stderr, syslog, lost: 0 }
    }

    /// Starts the thread. It runs until the process exits.
    pub(super) fn spawn(mut self) -> std::io::Result<()> {
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut batch = Vec::with_capacity(BATCH);
            loop {
                self.queue.take(&mut batch, BATCH);
                let emptied = batch.len() < BATCH;
                for record in batch.drain(..) {
                    self.write(record);
                }
                self.flush();
                self.queue.done();
                if emptied {
                    std::thread::sleep(BATCH_DELAY);
                }
            }
        })?;
        Ok(())
    }

    fn write(&mut self, record: Record) {
        match record {
            Record::Message(level, text) => self.line(level, &text),
            Record::Access(access) => self.line(Level::Info, &access.to_string()),
            Record::Lost(count) => {
                self.lost += count;
                self.report_lost();
            }
            Record::Settings(settings) if settings == self.settings => {}
            Record::Settings(settings) => {
                self.flush();
                self.syslog = open(&settings);
                self.settings = settings;
            }
        }
    }

    fn line(&mut self, level: Level, text: &str) {
        if self.lost > 0 {
            self.report_lost();
        }
        if !self.put(level, text) {
            self.count_lost(1);
        }
    }

    /// Writes the number of lost records. If that fails, it is repeated before the next line.
    fn report_lost(&mut self) {
        self.flush();
        let notice = match self.lost {
            1 => "1 log message was lost".to_owned(),
            lost => format!("{lost} log messages were lost"),
        };
        if self.put(Level::Warn, &notice) && self.stderr.flush() == 0 {
            self.lost = 0;
        }
    }

    /// Sends a line to the log daemon. Adds it to the buffer of standard error if that is the target or the fallback.
    /// Returns false if the line is lost.
    fn put(&mut self, level: Level, text: &str) -> bool {
        match self.syslog.as_mut().map(|syslog| syslog.send(level, text)) {
            Some(Ok(())) => true,
            Some(Err(SendError::Full)) => false,
            Some(Err(SendError::Unreachable)) if !self.settings.fallback_to_stderr => false,
            Some(Err(SendError::Unreachable)) | None => {
                self.stderr.line(level, text);
                true
            }
        }
    }

    fn flush(&mut self) {
        let lost = self.stderr.flush();
        self.count_lost(lost);
    }

    fn count_lost(&mut self, count: u64) {
        self.lost += count;
        self.queue.count_lost(count);
    }
}

fn open(settings: &Settings) -> Option<Syslog> {
    match settings.target {
        Target::Stderr => None,
        Target::Syslog => Some(Syslog::new(&settings.socket, settings.facility)),
    }
}
