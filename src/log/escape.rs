//! Escapes untrusted text, so that it cannot forge log lines.

use std::fmt::{self, Display, Write};

/// Formats untrusted bytes for use between quotation marks: `"` and `\` with a backslash, other printable ASCII
/// unchanged, and other bytes as `\xNN`. The result is printable ASCII.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(
    /// The bytes.
    pub &'a [u8],
);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'"' | b'\\' => {
                    f.write_char('\\')?;
                    f.write_char(char::from(byte))?;
                }
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// A writer that keeps a message on one line. It escapes control characters, line separators and direction marks, which
/// terminals or log daemons could interpret. It truncates the message to `limit` bytes and appends `...`. It does not
/// escape backslashes, because [`Escaped`] has doubled those in untrusted text.
pub(super) struct OneLine {
    text: String,
    limit: usize,
    truncated: bool,
}

impl OneLine {
    pub(super) fn new(limit: usize) -> OneLine {
        OneLine { text: String::new(), limit, truncated: false }
    }

    /// The line, without a line end.
    pub(super) fn finish(mut self) -> String {
        if self.truncated {
            self.text.push_str("...");
        }
        self.text
    }
}

impl Write for OneLine {
    /// Fails when the limit is exceeded, which stops the formatting.
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for c in piece.chars() {
            let before = self.text.len();
            if needs_escape(c) {
                self.text.extend(c.escape_default());
            } else {
                self.text.push(c);
            }
            if self.text.len() > self.limit {
                self.text.truncate(before);
                self.truncated = true;
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Whether the character could break or reorder lines of the log.
fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_line(text: &str, limit: usize) -> String {
        let mut line = OneLine::new(limit);
        let _ = line.write_str(text);
        line.finish()
    }

    #[test]
    fn untrusted_bytes_become_printable_ascii() {
        for (bytes, text) in [
            (&b"get_slice a10 0 5 raw"[..], "get_slice a10 0 5 raw"),
            (b"", ""),
            (b"a\"b\\c", r#"a\"b\\c"#),
            (b"a\r\nhftpd: all is well\n", r"a\x0d\x0ahftpd: all is well\x0a"),
            (b"\0\x1b[2J\x7f\x80\xff", r"\x00\x1b[2J\x7f\x80\xff"),
            ("é".as_bytes(), r"\xc3\xa9"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), text);
        }
        let all: Vec<u8> = (0..=255).collect();
        assert!(Escaped(&all).to_string().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }

    #[test]
    fn messages_are_one_line() {
        for (message, line) in [
            ("plain, with é and \"quotes\" and \\", "plain, with é and \"quotes\" and \\"),
            ("two\nlines\r\n", r"two\nlines\r\n"),
            ("\0\u{1b}[1m\u{7f}\u{85}", r"\u{0}\u{1b}[1m\u{7f}\u{85}"),
            ("a\u{2028}b\u{202e}c", r"a\u{2028}b\u{202e}c"),
        ] {
            assert_eq!(one_line(message, 100), line);
        }
    }

    #[test]
    fn long_messages_are_truncated_between_characters() {
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdef", 5), "abcde...");
        assert_eq!(one_line("abcé", 4), "abc...");
        assert_eq!(one_line("abc\n", 4), "abc...");
    }
}
