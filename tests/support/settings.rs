//! A configuration file, put together key by key.

use std::fmt::Write as _;
use std::path::Path;

use super::test_dir::{TestDir, nobody_group};

#[derive(Clone)]
pub(crate) struct Settings {
    /// Dotted key and TOML value, in the order in which they were first set.
    values: Vec<(String, String)>,
    /// The lines of each `[[listen]]`.
    listen: Vec<String>,
}

impl Settings {
    /// The root and the control socket of the site, nobody as the user, and nothing else but defaults. Unless a
    /// listener is asked for there is one on any free port of the loopback address.
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

    /// Sets `key` or `table.key` to a value written as in the file.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Settings {
        match self.values.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.values.push((key.to_owned(), value.to_owned())),
        }
        self
    }

    /// One more listener on any free port.
    pub(crate) fn listen(self, encoding: &str) -> Settings {
        self.listen_on("127.0.0.1:0", encoding)
    }

    pub(crate) fn listen_on(mut self, address: impl ToString, encoding: &str) -> Settings {
        let address = quoted(&address.to_string());
        self.listen.push(format!("address = {address}\nencoding = \"{encoding}\"\n"));
        self
    }

    /// One more listener on any free port, of base64 in lines.
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

    /// A listener each of fragments, plain, base64 and base64 in lines of 48 KiB, in this order.
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

/// A TOML string. The texts are paths and names without anything strange in them.
pub(crate) fn quoted(text: &str) -> String {
    format!("{text:?}")
}
