//! What is wrong with a configuration file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Line of the file, from 1.
    pub line: usize,
    /// Character of the line, from 1.
    pub column: usize,
    /// What was written there, up to the line's end; empty when the mistake is something that is missing.
    pub text: String,
    /// What is wrong with it and what would be accepted; one line.
    pub message: String,
    /// The whole line of the file; empty when the mistake is something that is missing.
    pub source: String,
}

/// All mistakes of a file in the order of their places; at least one.
///
/// It displays, for each, `FILE:LINE:COLUMN: message`, then the line and a mark under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    file: PathBuf,
    list: Vec<Finding>,
}

impl Finding {
    /// A mistake at `span`, which counts bytes of `text`.
    pub(super) fn new(text: &str, span: Range<usize>, message: impl Into<String>) -> Finding {
        let start = boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let source = text[line_start..line_end].trim_end_matches('\r');
        let end = boundary(text, span.end.clamp(start, (line_start + source.len()).max(start)));
        Finding {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[start..end].to_owned(),
            message: one_line(&message.into()),
            source: source.to_owned(),
        }
    }

    /// Something that the file as a whole lacks.
    pub(super) fn missing(message: impl Into<String>) -> Finding {
        Finding { line: 1, column: 1, text: String::new(), message: one_line(&message.into()), source: String::new() }
    }
}

impl Findings {
    /// The findings of a file that is still to be [`named`](Findings::named); none when the list is empty.
    pub(super) fn new(mut list: Vec<Finding>) -> Option<Findings> {
        list.sort_by_key(|finding| (finding.line, finding.column));
        (!list.is_empty()).then(|| Findings { file: PathBuf::from("hftp.toml"), list })
    }

    /// The findings of a file with one mistake.
    pub(super) fn one(finding: Finding) -> Findings {
        Findings { file: PathBuf::from("hftp.toml"), list: vec![finding] }
    }

    /// The same findings under the name of the file that they are about; until then it is `hftp.toml`.
    #[must_use]
    pub fn named(mut self, file: &Path) -> Findings {
        self.file = file.to_owned();
        self
    }

    /// The mistakes in the order of their places.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// `FILE:LINE:COLUMN: message` for each mistake: what a log or a status line has room for.
    pub fn headlines(&self) -> impl Iterator<Item = String> + '_ {
        self.list.iter().map(|f| format!("{}:{}:{}: {}", self.file.display(), f.line, f.column, f.message))
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (headline, finding)) in self.headlines().zip(&self.list).enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{headline}")?;
            if !finding.source.is_empty() {
                write!(f, "{}", Excerpt(finding))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// The line of a finding with a mark under the place, cut to a width that a terminal has.
struct Excerpt<'f>(&'f Finding);

impl Excerpt<'_> {
    /// Characters shown of a line, and how many of them stand before the place when the line is longer.
    const WIDTH: usize = 100;
    const BEFORE: usize = 40;
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { line, column, text, source, .. } = self.0;
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

/// A character as it may be sent to a terminal, one column for each.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// The last boundary of a character at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The message without line breaks, and with the middle left out where it repeats something absurdly long.
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
    fn places() {
        let text = "a = 1\r\nñandú = 2\n\nb = '''x\ny'''\n";
        for (part, line, column, shown, source) in [
            ("a", 1, 1, "a", "a = 1"),
            ("1", 1, 5, "1", "a = 1"),
            ("2", 2, 9, "2", "ñandú = 2"),
            ("'''x\ny'''", 4, 5, "'''x", "b = '''x"),
        ] {
            let start = text.find(part).expect("the part is in the text");
            let finding = Finding::new(text, start..start + part.len(), "bad");
            assert_eq!(
                (finding.line, finding.column, &*finding.text, &*finding.source),
                (line, column, shown, source),
                "{part}"
            );
        }
    }

    #[test]
    fn places_at_and_beyond_the_end() {
        for (text, span, line, column) in
            [("", 0..0, 1, 1), ("a", 1..1, 1, 2), ("a\n", 2..2, 2, 1), ("a", 7..9, 1, 2), ("a\r\n", 1..3, 1, 2)]
        {
            let finding = Finding::new(text, span.clone(), "bad");
            assert_eq!((finding.line, finding.column), (line, column), "{text:?} {span:?}");
        }
    }

    #[test]
    fn display_marks_the_place() {
        let text = "root = \"/x\"\n\tport = 70000 # \u{1b}[31m\n";
        let at = text.find("70000").expect("the number is in the text");
        let findings = Findings::new(vec![
            Finding::new(text, at..at + 5, "port: too large"),
            Finding::missing("something is missing\n"),
        ])
        .expect("there are two");
        let expected = "\
/etc/x.toml:1:1: something is missing
/etc/x.toml:2:9: port: too large
 2 |  port = 70000 # \u{fffd}[31m
   |         ^^^^^";
        assert_eq!(findings.named(Path::new("/etc/x.toml")).to_string(), expected);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}= {}", " ".repeat(5000), "x".repeat(5000));
        for column in [1, 60, 5001, 5003, 9000, 10_002] {
            let findings = Findings::one(Finding::new(&text, column - 1..text.len(), "bad")).to_string();
            assert!(findings.lines().all(|line| line.chars().count() < 120), "{column}: {findings}");
            assert!(findings.ends_with('^'), "{column}: {findings}");
        }
    }

    #[test]
    fn long_messages_keep_their_ends() {
        let message = format!("root: invalid {}, expected a path", "ñ".repeat(5000));
        let Finding { message, .. } = Finding::missing(message);
        assert!(message.len() < 610, "{message}");
        assert!(message.starts_with("root: invalid ñ") && message.ends_with("ñ, expected a path"), "{message}");
    }

    #[test]
    fn no_finding_is_no_findings() {
        assert_eq!(Findings::new(Vec::new()), None);
    }
}
