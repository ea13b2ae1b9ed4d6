//! Text that somebody else made, so written that a line of the log stays one line and nobody can forge another.

use std::fmt::{self, Display, Write};

/// Peer-made bytes for a log line between quotation marks: printable ASCII as it is, `"` and `\` with a backslash
/// before them, every other byte as `\xNN`. What comes out is ASCII and holds no control byte.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(
    /// The bytes as they came.
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

/// A writer that keeps a message on one line: what a terminal or a log daemon could take for a line's end or a command
/// (control characters, Unicode's line separators and direction marks) is escaped, and what exceeds `limit` bytes is
/// cut and ends in `...`. Backslashes stay, for [`Escaped`] has already doubled those of a peer.
pub(super) struct OneLine {
    text: String,
    limit: usize,
    cut: bool,
}

impl OneLine {
    pub(super) fn new(limit: usize) -> OneLine {
        OneLine { text: String::new(), limit, cut: false }
    }

    /// The line, without an end.
    pub(super) fn finish(mut self) -> String {
        if self.cut {
            self.text.push_str("...");
        }
        self.text
    }
}

impl Write for OneLine {
    /// Fails when the limit is reached, which ends the formatting early.
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for c in piece.chars() {
            let before = self.text.len();
            if breaks_lines(c) {
                self.text.extend(c.escape_default());
            } else {
                self.text.push(c);
            }
            if self.text.len() > self.limit {
                self.text.truncate(before);
                self.cut = true;
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Whether a reader of the log could be led astray by this character.
fn breaks_lines(c: char) -> bool {
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
    fn peer_made_bytes_become_printable_ascii() {
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
    fn a_message_is_one_line() {
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
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdef", 5), "abcde...");
        assert_eq!(one_line("abcé", 4), "abc...");
        assert_eq!(one_line("abc\n", 4), "abc...");
    }
}
