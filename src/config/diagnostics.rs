//! Errors of a configuration file, with their positions.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// An error in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// The text at this position, up to the end of the line; empty if something is missing.
    pub text: String,
    /// The error and the accepted values; one line.
    pub message: String,
    /// The whole line; empty if something is missing.
    pub source: String,
}

/// The errors of a file, by position; at least one.
///
/// `Display` writes for each `FILE:LINE:COLUMN: message`, the line, and a mark under the position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: PathBuf,
    list: Vec<Diagnostic>,
}

impl Diagnostic {
    /// An error at `span`, in bytes of `text`.
    pub(super) fn new(text: &str, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        let start = boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let source = text[line_start..line_end].trim_end_matches('\r');
        let end = boundary(text, span.end.clamp(start, (line_start + source.len()).max(start)));
        Diagnostic {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[start..end].to_owned(),
            message: one_line(&message.into()),
            source: source.to_owned(),
        }
    }

    /// An error of the whole file.
    pub(super) fn missing(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            line: 1,
            column: 1,
            text: String::new(),
            message: one_line(&message.into()),
            source: String::new(),
        }
    }
}

impl Diagnostics {
    /// The diagnostics of a file, sorted; none if the list is empty. [`Diagnostics::named`] sets the file's name.
    pub(super) fn new(mut list: Vec<Diagnostic>) -> Option<Diagnostics> {
        list.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        (!list.is_empty()).then(|| Diagnostics { file: PathBuf::from("hftp.toml"), list })
    }

    /// The diagnostics of a file with one error.
    pub(super) fn one(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics { file: PathBuf::from("hftp.toml"), list: vec![diagnostic] }
    }

    /// Sets the name of the file, which is `hftp.toml` before.
    #[must_use]
    pub fn named(mut self, file: &Path) -> Diagnostics {
        self.file = file.to_owned();
        self
    }

    /// The errors by position.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// `FILE:LINE:COLUMN: message` for each error, for logs.
    pub fn headlines(&self) -> impl Iterator<Item = String> + '_ {
        self.list.iter().map(|f| format!("{}:{}:{}: {}", self.file.display(), f.line, f.column, f.message))
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (headline, diagnostic)) in self.headlines().zip(&self.list).enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{headline}")?;
            if !diagnostic.source.is_empty() {
                write!(f, "{}", Excerpt(diagnostic))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The line of a diagnostic with a mark under the position, at most as wide as a terminal.
struct Excerpt<'f>(&'f Diagnostic);

impl Excerpt<'_> {
    /// The number of characters shown of a line, and of those before the position if the line is longer.
    const WIDTH: usize = 100;
    const BEFORE: usize = 40;
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { line, column, text, source, .. } = self.0;
        let length = source.chars().count();
        let skipped = if length <= Self::WIDTH { 0 } else { (column - 1).saturating_sub(Self::BEFORE) };
        let shown: String = source.chars().skip(skipped).take(Self::WIDTH).map(visible).collect();
        let indent = column - 1 - skipped;
        let marks = text.chars().count().clamp(1, (Self::WIDTH - indent.min(Self::WIDTH - 1)).max(1));
        let number = line.to_string();
        write!(f, "\n {number} | {}", shown.trim_end())?;
        write!(f, "\n {0:1$} | {0:indent$}{2}", "", number.len(), "^".repeat(marks))
    }
}

/// Replaces characters that a terminal would interpret.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// The last character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The message on one line. The middle of a very long message is omitted.
fn one_line(message: &str) -> String {
    const LONGEST: usize = 600;
    let line = message.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    if line.len() <= LONGEST {
        return line;
    }
    let (head, tail) = (boundary(&line, LONGEST / 2), boundary(&line, line.len() - LONGEST / 2));
    format!("{} ... {}", &line[..head], &line[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_column() {
        let text = "a = 1\r\nñandú = 2\n\nb = '''x\ny'''\n";
        for (part, line, column, shown, source) in [
            ("a", 1, 1, "a", "a = 1"),
            ("1", 1, 5, "1", "a = 1"),
            ("2", 2, 9, "2", "ñandú = 2"),
            ("'''x\ny'''", 4, 5, "'''x", "b = '''x"),
        ] {
            let start = text.find(part).expect("the part is in the text");
            let diagnostic = Diagnostic::new(text, start..start + part.len(), "bad");
            assert_eq!(
                (diagnostic.line, diagnostic.column, &*diagnostic.text, &*diagnostic.source),
                (line, column, shown, source),
                "{part}"
            );
        }
    }

    #[test]
    fn line_and_column_at_the_end() {
        for (text, span, line, column) in
            [("", 0..0, 1, 1), ("a", 1..1, 1, 2), ("a\n", 2..2, 2, 1), ("a", 7..9, 1, 2), ("a\r\n", 1..3, 1, 2)]
        {
            let diagnostic = Diagnostic::new(text, span.clone(), "bad");
            assert_eq!((diagnostic.line, diagnostic.column), (line, column), "{text:?} {span:?}");
        }
    }

    #[test]
    fn display_marks_the_position() {
        let text = "root = \"/x\"\n\tport = 70000 # \u{1b}[31m\n";
        let at = text.find("70000").expect("the number is in the text");
        let diagnostics = Diagnostics::new(vec![
            Diagnostic::new(text, at..at + 5, "port: too large"),
            Diagnostic::missing("something is missing\n"),
        ])
        .expect("two");
        let expected = "\
/etc/x.toml:1:1: something is missing
/etc/x.toml:2:9: port: too large
 2 |  port = 70000 # \u{fffd}[31m
   |         ^^^^^";
        assert_eq!(diagnostics.named(Path::new("/etc/x.toml")).to_string(), expected);
    }

    #[test]
    fn long_lines_are_cut_around_the_position() {
        let text = format!("{}= {}", " ".repeat(5000), "x".repeat(5000));
        for column in [1, 60, 5001, 5003, 9000, 10_002] {
            let diagnostics = Diagnostics::one(Diagnostic::new(&text, column - 1..text.len(), "bad")).to_string();
            assert!(diagnostics.lines().all(|line| line.chars().count() < 120), "{column}: {diagnostics}");
            assert!(diagnostics.ends_with('^'), "{column}: {diagnostics}");
        }
    }

    #[test]
    fn long_messages_keep_beginning_and_end() {
        let message = format!("root: invalid {}, expected a path", "ñ".repeat(5000));
        let Diagnostic { message, .. } = Diagnostic::missing(message);
        assert!(message.len() < 610, "{message}");
        assert!(message.starts_with("root: invalid ñ") && message.ends_with("ñ, expected a path"), "{message}");
    }

    #[test]
    fn empty_list_is_none() {
        assert_eq!(Diagnostics::new(Vec::new()), None);
    }
}
