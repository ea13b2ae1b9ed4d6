//! The changes that a reload makes.

use std::fmt;

use super::settings::{Applies, Draft, SETTINGS};
use super::types::Config;

/// The names of the settings in which two configurations differ. `listen` is the name of the listeners, whether the file
/// has `port` or `[[listen]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Settings that a reload applies.
    pub live: Vec<&'static str>,
    /// Settings that need a restart.
    pub restart: Vec<&'static str>,
}

/// The changes from `old` to `new`.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes = Changes::default();
    let (mut before, mut after) = (Draft::new(old.clone()), Draft::new(new.clone()));
    for setting in SETTINGS {
        // All listeners are compared at the row of `port`.
        let (name, changed) = match setting.split_name() {
            ("listen", _) => continue,
            (_, "port") => ("listen", old.listeners != new.listeners),
            (_, "root") => ("root", old.root != new.root),
            (_, "control") => ("control", old.control != new.control),
            _ => (setting.name, setting.toml(&mut before) != setting.toml(&mut after)),
        };
        match (changed, setting.applies) {
            (false, _) => {}
            (true, Applies::Live) => changes.live.push(name),
            (true, Applies::Restart) => changes.restart.push(name),
        }
    }
    changes
}

impl Changes {
    /// Whether the two configurations are equal.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty()
    }
}

impl fmt::Display for Changes {
    /// `root, listen changed; workers needs a restart`, or `nothing changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs = if self.restart.len() == 1 { "needs" } else { "need" };
        let (live, restart) = (self.live.join(", "), self.restart.join(", "));
        match (live.is_empty(), restart.is_empty()) {
            (true, true) => f.write_str("nothing changed"),
            (false, true) => write!(f, "{live} changed"),
            (true, false) => write!(f, "{restart} {needs} a restart"),
            (false, false) => write!(f, "{live} changed; {restart} {needs} a restart"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        crate::config::parse(&format!("root = '/a'\n{text}")).expect("a valid configuration")
    }

    #[test]
    fn changed_settings_are_reported() {
        for (old, new, expected) in [
            ("", "", "nothing changed"),
            ("port = 19500", "[[listen]]\naddress = '[::]:19500'", "nothing changed"),
            ("timeouts.idle = '60s'", "timeouts.idle = '1m'", "nothing changed"),
            ("", "port = 1", "listen changed"),
            ("[[listen]]\naddress = '[::]:1'", "[[listen]]\naddress = '[::]:1'\nencoding = 'plain'", "listen changed"),
            ("", "workers = 2", "workers needs a restart"),
            ("", "workers = 2\nuser = 'x'", "user, workers need a restart"),
            ("", "control = ''", "control needs a restart"),
            ("", "workers = 2\nport = 1\nlog.target = 'stderr'", "listen, log.target changed; workers needs a restart"),
            ("limits.allow = ['::1']", "limits.allow = ['::2']", "limits.allow changed"),
        ] {
            let changes = diff(&config(old), &config(new));
            assert_eq!(changes.to_string(), expected, "{old:?} to {new:?}");
            assert_eq!(changes.is_empty(), expected == "nothing changed");
        }
    }

    #[test]
    fn paths_that_are_not_utf8_are_compared() {
        use std::os::unix::ffi::OsStringExt;
        let with_root = |byte| {
            let root = std::ffi::OsString::from_vec(vec![b'/', byte]).into();
            Config { root, ..Config::default() }
        };
        assert_eq!(diff(&with_root(0xfe), &with_root(0xff)).to_string(), "root changed");
    }
}
