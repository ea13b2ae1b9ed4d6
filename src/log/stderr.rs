//! Standard error as a target.

use crate::os::stdio;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use ::log::Level;

/// Where lines go that are meant for standard error, buffered so that a batch is one write.
pub(super) struct Stderr {
    out: Box<dyn Write + Send>,
    style: Style,
    buffer: Vec<u8>,
    /// Where each line in `buffer` ends.
    ends: Vec<usize>,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `hftpd: warning: message`, for people.
    Plain,
    /// `<4>message`, the priority in the form of sd-daemon(3); the journal knows who speaks.
    Journal,
}

/// How long a full standard error that does not wait by itself is waited for, and how often it is tried meanwhile.
const TRY_AGAIN: Duration = Duration::from_millis(20);
const TRIES: u32 = 50;

impl Stderr {
    /// The process's own.
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

    /// Adds a line to what the next [`Stderr::flush`] writes.
    pub(super) fn line(&mut self, level: Level, text: &str) {
        let head = match (self.style, level) {
            (Style::Journal, Level::Error) => "<3>",
            (Style::Journal, Level::Warn) => "<4>",
            (Style::Journal, Level::Info) => "<6>",
            (Style::Journal, Level::Debug | Level::Trace) => "<7>",
            (Style::Plain, Level::Error) => "hftpd: error: ",
            (Style::Plain, Level::Warn) => "hftpd: warning: ",
            (Style::Plain, Level::Info | Level::Debug | Level::Trace) => "hftpd: ",
        };
        self.buffer.extend_from_slice(head.as_bytes());
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'\n');
        self.ends.push(self.buffer.len());
    }

    /// Writes the lines, and returns how many of them could not be written whole. Waits as long as the other end
    /// does not read.
    pub(super) fn flush(&mut self) -> u64 {
        let written = self.write_buffer();
        let lost = self.ends.iter().filter(|&&end| end > written).count() as u64;
        self.buffer.clear();
        self.ends.clear();
        lost
    }

    /// Writes as much as can be written, and returns how much that was.
    fn write_buffer(&mut self) -> usize {
        let (mut written, mut tries) = (0, 0);
        while written < self.buffer.len() {
            match self.out.write(&self.buffer[written..]) {
                Ok(0) => break,
                Ok(count) => (written, tries) = (written + count, 0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares the terminal or the pipe may have made it non-blocking for all.
                Err(error) if error.kind() == ErrorKind::WouldBlock && tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(TRY_AGAIN);
                }
                Err(_) => break,
            }
        }
        written
    }
}

impl Style {
    /// `JOURNAL_STREAM` is the device and inode of the stream that the service manager connected to the journal
    /// (systemd.exec(5)); it may be inherited by a process whose standard error is something else by now.
    fn detect(journal_stream: Option<&OsStr>, own: Option<(u64, u64)>) -> Style {
        let journal = journal_stream.and_then(OsStr::to_str).and_then(|value| {
            let (device, inode) = value.split_once(':')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        if journal.is_some() && journal == own { Style::Journal } else { Style::Plain }
    }
}

/// Descriptor 2 without the standard library's lock.
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
    fn the_journal_gets_priorities_and_people_get_words() {
        assert_eq!(lines(Style::Journal), "<3>text\n<4>text\n<6>text\n<7>text\n<7>text\n");
        assert_eq!(
            lines(Style::Plain),
            "hftpd: error: text\nhftpd: warning: text\nhftpd: text\nhftpd: text\nhftpd: text\n"
        );
    }

    #[test]
    fn only_the_journals_own_stream_is_the_journal() {
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
    fn a_reader_that_went_away_is_a_loss_and_no_more() {
        let (reader, writer) = io::pipe().expect("pipe");
        drop(reader);
        let mut stderr = Stderr::to(Box::new(writer), Style::Plain);
        stderr.line(Level::Info, "one");
        stderr.line(Level::Info, "two");
        assert_eq!(stderr.flush(), 2);
        assert_eq!(stderr.flush(), 0);
    }

    #[test]
    fn a_line_written_in_part_is_lost_and_those_before_it_are_not() {
        struct Room(usize);
        impl Write for Room {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let count = bytes.len().min(self.0).min(3);
                self.0 -= count;
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut stderr = Stderr::to(Box::new(Room("hftpd: one\nhftpd: two\nhf".len())), Style::Plain);
        for text in ["one", "two", "three", "four"] {
            stderr.line(Level::Info, text);
        }
        assert_eq!(stderr.flush(), 2);
    }
}
