//! Lines of JSON for programs.

use std::fmt::Write as _;

/// An object in one line, its members in the order in which they are added.
#[derive(Debug, Default)]
pub(super) struct Json(String);

impl Json {
    pub(super) fn new() -> Json {
        Json(String::from("{"))
    }

    pub(super) fn text(mut self, key: &str, value: &str) -> Json {
        self.key(key);
        string(&mut self.0, value);
        self
    }

    pub(super) fn number(mut self, key: &str, value: u64) -> Json {
        self.key(key);
        let _ = write!(self.0, "{value}");
        self
    }

    pub(super) fn line(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        string(&mut self.0, key);
        self.0.push(':');
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' || c == '\x7f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_escaped() {
        let line = Json::new().text("name", "a\"\\\n\x1b\u{e9}").number("size", u64::MAX).line();
        assert_eq!(line, "{\"name\":\"a\\\"\\\\\\u000a\\u001b\u{e9}\",\"size\":18446744073709551615}\n");
        assert_eq!(Json::new().line(), "{}\n");
    }
}
