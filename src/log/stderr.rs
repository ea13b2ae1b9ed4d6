//! Standard error as a target.

use crate::os::stdio;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use ::log::Level;

/// Standard error, buffered so that a batch is one write.
pub(super) struct Stderr {
    out: Box<dyn Write + Send>,
    style: Style,
    buffer: Vec<u8>,
    /// The offsets of the ends of the lines in `buffer`.
    ends: Vec<usize>,
}

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `hftpd: warning: message`.
    Plain,
    /// `<4>message`, with a priority prefix (sd-daemon(3)). The journal adds the name of the program.
    Journal,
}

/// The interval and the number of retries if standard error is non-blocking and full.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
const MAX_RETRIES: u32 = 50;

impl Stderr {
    /// The standard error of the process.
    pub(super) fn own() -> Stderr {
        Stderr::to(
            Box::new(Descriptor2),
            Style::detect(std::env::var_os("JOURNAL_STREAM").as_deref(), stdio::stderr_file()),
        )
    }

    /// Any writer, for tests.
    pub(super) fn to(out: Box<dyn Write + Send>, style: Style) -> Stderr {
        Stderr { out, style, buffer: Vec::new(), ends: Vec::new() }
    }

    /// Adds a line to the buffer.
    pub(super) fn line(&mut self, level: Level, text: &str) {
        let prefix = match (self.style, level) {
            (Style::Journal, Level::Error) => "<3>",
            (Style::Journal, Level::Warn) => "<4>",
            (Style::Journal, Level::Info) => "<6>",
            (Style::Journal, Level::Debug | Level::Trace) => "<7>",
            (Style::Plain, Level::Error) => "hftpd: error: ",
            (Style::Plain, Level::Warn) => "hftpd: warning: ",
            (Style::Plain, Level::Info | Level::Debug | Level::Trace) => "hftpd: ",
        };
        self.buffer.extend_from_slice(prefix.as_bytes());
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'\n');
        self.ends.push(self.buffer.len());
    }

    /// Writes the buffered lines. Returns the number of lines that were not completely written. Waits while the other end
    /// does not read.
    pub(super) fn flush(&mut self) -> u64 {
        let written = self.write_buffer();
        let lost = self.ends.iter().filter(|&&end| end > written).count() as u64;
        self.buffer.clear();
        self.ends.clear();
        lost
    }

    /// Writes the buffer until an error. Returns the number of bytes written.
    fn write_buffer(&mut self) -> usize {
        let (mut written, mut retries) = (0, 0);
        while written < self.buffer.len() {
            match self.out.write(&self.buffer[written..]) {
                Ok(0) => break,
                Ok(count) => (written, retries) = (written + count, 0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another process can set O_NONBLOCK on the shared file description.
                Err(error) if error.kind() == ErrorKind::WouldBlock && retries < MAX_RETRIES => {
                    retries += 1;
                    std::thread::sleep(RETRY_INTERVAL);
                }
                Err(_) => break,
            }
        }
        written
    }
}

impl Style {
    /// `JOURNAL_STREAM` has the device and inode of the stream to the journal (systemd.exec(5)). A process with another
    /// standard error can inherit the variable.
    fn detect(journal_stream: Option<&OsStr>, own: Option<(u64, u64)>) -> Style {
        let journal = journal_stream.and_then(OsStr::to_str).and_then(|value| {
            let (device, inode) = value.split_once(':')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        if journal.is_some() && journal == own { Style::Journal } else { Style::Plain }
    }
}

/// Descriptor 2 without the lock of the standard library.
struct Descriptor2;

impl Write for Descriptor2 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        stdio::write_stderr(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn lines(style: Style) -> String {
        let (mut reader, writer) = io::pipe().expect("pipe");
        let mut stderr = Stderr::to(Box::new(writer), style);
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace] {
            stderr.line(level, "text");
        }
        assert_eq!(stderr.flush(), 0);
        drop(stderr);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        text
    }

    #[test]
    fn only_journal_lines_have_priority_prefixes() {
        assert_eq!(lines(Style::Journal), "<3>text\n<4>text\n<6>text\n<7>text\n<7>text\n");
        assert_eq!(
            lines(Style::Plain),
            "hftpd: error: text\nhftpd: warning: text\nhftpd: text\nhftpd: text\nhftpd: text\n"
        );
    }

    #[test]
    fn journal_is_detected_by_device_and_inode() {
        let own = Some((8, 1234));
        for (value, own, style) in [
            (Some("8:1234"), own, Style::Journal),
            (Some("8:1235"), own, Style::Plain),
            (Some("9:1234"), own, Style::Plain),
            (Some("8:1234"), None, Style::Plain),
            (Some(""), own, Style::Plain),
            (Some("8:x"), own, Style::Plain),
            (None, own, Style::Plain),
            (None, None, Style::Plain),
        ] {
            assert_eq!(Style::detect(value.map(OsStr::new), own), style, "{value:?} {own:?}");
        }
    }

    #[test]
    fn lines_for_a_closed_pipe_are_lost() {
        let (reader, writer) = io::pipe().expect("pipe");
        drop(reader);
        let mut stderr = Stderr::to(Box::new(writer), Style::Plain);
        stderr.line(Level::Info, "one");
        stderr.line(Level::Info, "two");
        assert_eq!(stderr.flush(), 2);
        assert_eq!(stderr.flush(), 0);
    }

    #[test]
    fn partly_written_lines_are_lost() {
        struct Limited(usize);
        impl Write for Limited {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let count = bytes.len().min(self.0).min(3);
                self.0 -= count;
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut stderr = Stderr::to(Box::new(Limited("hftpd: one\nhftpd: two\nhf".len())), Style::Plain);
        for text in ["one", "two", "three", "four"] {
            stderr.line(Level::Info, text);
        }
        assert_eq!(stderr.flush(), 2);
    }
}
