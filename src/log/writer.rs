//! The one thread that formats and writes, and that waits for nobody but its target.

use std::sync::Arc;
use std::time::Duration;

use ::log::Level;

use super::queue::Queue;
use super::record::{Record, Settings, Target};
use super::stderr::Stderr;
use super::syslog::{Syslog, Undelivered};

/// Records that are taken from the queue at a time; on standard error they are one write.
const BATCH: usize = 64;

/// How long the thread lets records gather when it has written all there were. Under load the event loops so need not
/// wake it for each, and its writes are larger; a message after silence is written at once.
const GATHER: Duration = Duration::from_millis(1);

/// The writing side of the queue.
pub(super) struct Writer {
    queue: Arc<Queue>,
    settings: Settings,
    stderr: Stderr,
    /// There when the settings ask for it.
    syslog: Option<Syslog>,
    /// Records that nobody will read and that no line has told of yet.
    lost: u64,
}

impl Writer {
    pub(super) fn new(queue: Arc<Queue>, settings: Settings, stderr: Stderr) -> Writer {
        let syslog = open(&settings);
        Writer { queue, settings, stderr, syslog, lost: 0 }
    }

    /// Starts the thread, which ends with the process.
    pub(super) fn spawn(mut self) -> std::io::Result<()> {
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut batch = Vec::with_capacity(BATCH);
            loop {
                self.queue.take(&mut batch, BATCH);
                let all = batch.len() < BATCH;
                for record in batch.drain(..) {
                    self.write(record);
                }
                self.flush();
                self.queue.done();
                if all {
                    std::thread::sleep(GATHER);
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
                self.tell_lost();
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
            self.tell_lost();
        }
        if !self.put(level, text) {
            self.lose(1);
        }
    }

    /// Writes how many were lost, if that much can be written.
    fn tell_lost(&mut self) {
        self.flush();
        let notice = match self.lost {
            1 => "1 log message was lost".to_owned(),
            lost => format!("{lost} log messages were lost"),
        };
        if self.put(Level::Warn, &notice) && self.stderr.flush() == 0 {
            self.lost = 0;
        }
    }

    /// Sends a line to the log daemon, or adds it to what [`Writer::flush`] writes on standard error: where that is
    /// the target, and where it has to stand in for a log daemon that is not there. False when it is lost.
    fn put(&mut self, level: Level, text: &str) -> bool {
        match self.syslog.as_mut().map(|syslog| syslog.send(level, text)) {
            Some(Ok(())) => true,
            Some(Err(Undelivered::Full)) => false,
            Some(Err(Undelivered::Unreachable)) if !self.settings.stand_in => false,
            Some(Err(Undelivered::Unreachable)) | None => {
                self.stderr.line(level, text);
                true
            }
        }
    }

    fn flush(&mut self) {
        let lost = self.stderr.flush();
        self.lose(lost);
    }

    fn lose(&mut self, count: u64) {
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
