//! `hftpd check`.

use std::os::unix::fs::FileTypeExt as _;

use super::Exit;
use crate::config::{self, Overrides, Source};

/// What `hftpd check` has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For standard output; whole lines.
    pub output: String,
    /// For standard error; whole lines.
    pub errors: String,
    /// How the process is to end.
    pub exit: Exit,
}

/// `hftpd check`: whether the file is right and its root can be read. With `dump`, the output is the effective
/// configuration as TOML, and nothing else.
pub fn check(source: &Source, dump: bool) -> Report {
    let config = match config::load(source, &Overrides::default()) {
        Ok(config) => config,
        Err(error) => {
            return Report { output: String::new(), errors: format!("{error}\n"), exit: Exit::from(&error) };
        }
    };
    if let Some(control) = &config.control
        && std::fs::symlink_metadata(control).is_ok_and(|found| !found.file_type().is_socket())
    {
        let (file, control) = (source.path.display(), control.display());
        let errors = format!("{file}: control {control}: not a socket; remove it, or set another path\n");
        return Report { output: String::new(), errors, exit: Exit::Config };
    }
    let effective = if dump { config.to_toml() } else { String::new() };
    match std::fs::read_dir(&config.root) {
        Ok(_) if dump => Report { output: effective, errors: String::new(), exit: Exit::Done },
        Ok(_) => {
            let output = format!("{}: ok\n", source.path.display());
            Report { output, errors: String::new(), exit: Exit::Done }
        }
        Err(error) => {
            let errors = format!("{}: root {}: {error}\n", source.path.display(), config.root.display());
            Report { output: effective, errors, exit: Exit::Root }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn source(directory: &Path, text: &str) -> Source {
        let path = directory.join("hftp.toml");
        fs::write(&path, text).expect("a temporary file can be written");
        Source { path, explicit: true }
    }

    #[test]
    fn a_right_file_is_ok() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let source = source(directory.path(), &format!("root = {:?}", directory.path()));
        let report = check(&source, false);
        assert_eq!((report.exit, &*report.errors), (Exit::Done, ""));
        assert_eq!(report.output, format!("{}: ok\n", source.path.display()));
        let dumped = Config::parse(&check(&source, true).output).expect("a dump is a configuration");
        assert_eq!(dumped, Config { root: directory.path().to_owned(), ..Config::default() });
    }

    #[test]
    fn a_missing_root_is_told_apart() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        for root in [directory.path().join("none"), directory.path().join("hftp.toml")] {
            let source = source(directory.path(), &format!("root = {root:?}"));
            let report = check(&source, false);
            assert_eq!((report.exit, &*report.output), (Exit::Root, ""));
            let start = format!("{}: root {}: ", source.path.display(), root.display());
            assert!(report.errors.starts_with(&start), "{}", report.errors);
        }
    }

    #[test]
    fn mistakes_are_told_with_their_places() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let source = source(directory.path(), "root = 'x'\nport = 70000\n");
        for dump in [false, true] {
            let report = check(&source, dump);
            assert_eq!((report.exit, &*report.output), (Exit::Config, ""));
            for place in [":1:8: root: ", ":2:8: port: "] {
                assert!(report.errors.contains(&format!("{}{place}", source.path.display())), "{}", report.errors);
            }
        }
    }

    #[test]
    fn a_missing_file_is_a_wrong_configuration() {
        let report = check(&Source { path: "/nonexistent/hftp.toml".into(), explicit: true }, false);
        assert_eq!((report.exit, &*report.output), (Exit::Config, ""));
        assert!(report.errors.starts_with("cannot read /nonexistent/hftp.toml: No such file"), "{}", report.errors);
    }
}
