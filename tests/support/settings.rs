//! Builds a configuration file.

use std::fmt::Write as _;
use std::path::Path;

use super::test_dir::{TestDir, nobody_group};

#[derive(Clone)]
pub(crate) struct Settings {
    /// Dotted keys and TOML values, in the order of their first setting.
    values: Vec<(String, String)>,
    /// The lines of each `[[listen]]`.
    listen: Vec<String>,
}

impl Settings {
    /// The root and control socket of the directory, the user nobody, and defaults. Without a call of `listen`, one listener
    /// on a free port of the loopback address.
    pub(crate) fn new(dir: &TestDir) -> Settings {
        Settings { values: Vec::new(), listen: Vec::new() }
            .root(&dir.root())
            .set("user", "\"nobody\"")
            .set("group", &quoted(&nobody_group()))
            .set("control", &quoted(&dir.control().to_string_lossy()))
    }

    pub(crate) fn root(self, root: &Path) -> Settings {
        self.set("root", &quoted(&root.to_string_lossy()))
    }

    /// Sets `key` or `table.key` to a TOML value.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Settings {
        match self.values.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.values.push((key.to_owned(), value.to_owned())),
        }
        self
    }

    /// Adds a listener on a free port.
    pub(crate) fn listen(self, encoding: &str) -> Settings {
        self.listen_on("127.0.0.1:0", encoding)
    }

    pub(crate) fn listen_on(mut self, address: impl ToString, encoding: &str) -> Settings {
        let address = quoted(&address.to_string());
        self.listen.push(format!("address = {address}\nencoding = \"{encoding}\"\n"));
        self
    }

    /// Adds a listener on a free port, with base64 in lines.
    pub(crate) fn listen_base64_line(self, line: &str) -> Settings {
        self.listen_base64_line_on("127.0.0.1:0", line)
    }

    pub(crate) fn listen_base64_line_on(mut self, address: impl ToString, line: &str) -> Settings {
        let address = quoted(&address.to_string());
        self.listen.push(format!("address = {address}\nencoding = \"base64\"\nbase64-line = {line}\n"));
        self
    }

    pub(crate) fn without_listeners(mut self) -> Settings {
        self.listen.clear();
        self
    }

    /// Adds listeners with fragments, plain, base64 and base64 in lines of 48 KiB, in this order.
    pub(crate) fn listen_all(self) -> Settings {
        self.listen("fragments").listen("plain").listen("base64").listen_base64_line("\"48 KiB\"")
    }

    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        for (key, value) in self.values.iter().filter(|(key, _)| !key.contains('.')) {
            let _ = writeln!(text, "{key} = {value}");
        }
        let default = ["address = \"127.0.0.1:0\"\n".to_owned()];
        let listen = if self.listen.is_empty() { &default } else { self.listen.as_slice() };
        for lines in listen {
            let _ = write!(text, "[[listen]]\n{lines}");
        }
        for table in ["files", "limits", "timeouts", "log"] {
            let own = |key: &str| key.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
            let keys: Vec<_> = self.values.iter().filter_map(|(key, value)| Some((own(key)?, value))).collect();
            if !keys.is_empty() {
                let _ = writeln!(text, "[{table}]");
            }
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }

    pub(crate) fn write(&self, path: &Path) {
        super::test_dir::put(path, self.to_toml().as_bytes());
    }
}

/// A TOML string. Only for paths and names without special characters.
pub(crate) fn quoted(text: &str) -> String {
    format!("{text:?}")
}
