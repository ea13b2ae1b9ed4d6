//! What the sources import, and what of it a table does not allow.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

use super::Part;
use super::tokens::{Token, is_word, tokens, without_tests};

/// An import that the table does not allow.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) import: String,
    pub(crate) reason: String,
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.import, self.reason)
    }
}

/// `a::b::c` is within `a::b`, and `a::bc` is not.
pub(crate) fn is_within(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A file of `src`.
pub(crate) struct Source {
    /// From the top of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// `src/server/supervisor/end.rs`: server, supervisor, end.
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').collect()
    }

    pub(crate) fn part(&self) -> &str {
        let module = self.module();
        match module.as_slice() {
            ["bin", _] => self.path.trim_start_matches("src/").trim_end_matches(".rs"),
            [part, ..] => part,
            [] => "",
        }
    }

    pub(crate) fn check(&self, table: &[Part], dependencies: &BTreeSet<String>) -> Vec<Finding> {
        let finding =
            |line, import: &str, reason| Finding { file: self.path.clone(), line, import: import.to_owned(), reason };
        let Some(part) = table.iter().find(|part| part.name == self.part()) else {
            return vec![finding(
                1,
                self.part(),
                "a part without a row in the table of tests/architecture.rs".to_owned(),
            )];
        };
        let mut found = Vec::new();
        for Import { line, path } in self.imports(dependencies) {
            let allowed = match path.strip_prefix("crate::") {
                Some(rest) => {
                    let to = rest.split("::").next().unwrap_or_default();
                    to == part.name || part.parts.contains(&to)
                }
                None => part.crates.iter().any(|allowed| is_within(&path, allowed)),
            };
            if !allowed {
                let parts: Vec<&str> = part.parts.iter().chain(part.crates).copied().collect();
                let may = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
                found.push(finding(line, &path, format!("{} may import {may}: {}", part.name, part.reason)));
            }
        }
        found
    }

    /// Every path that leads out of the part, as `crate::part::...` or `dependency::...`, and those that stay in it.
    pub(crate) fn imports(&self, dependencies: &BTreeSet<String>) -> Vec<Import> {
        let all = tokens(&self.text);
        let tokens = without_tests(&all);
        let (mut local, mut paths) = (BTreeSet::new(), Vec::new());
        let mut at = 0;
        while at < tokens.len() {
            let before = if at == 0 { "" } else { tokens[at - 1].text };
            let next = tokens.get(at + 1).map_or("", |token| token.text);
            match tokens[at].text {
                "use" => {
                    at += 1;
                    read_tree(&tokens, &mut at, &[], &mut paths);
                    let is_ours = |used: &&Used<'_>| ["crate", "self", "super", "hftpd"].contains(&used.segments[0]);
                    local.extend(paths.iter().filter(is_ours).map(|used| used.binds));
                    continue;
                }
                "mod" if is_word(next) => {
                    local.insert(next);
                }
                "::" if is_word(next) && !is_word(before) && before != ">" => {
                    read_tree(&tokens, &mut at.clone(), &[], &mut paths);
                }
                word if is_word(word) && next == "::" && !["::", "."].contains(&before) => {
                    read_tree(&tokens, &mut at.clone(), &[], &mut paths);
                }
                _ => {}
            }
            at += 1;
        }
        let resolve =
            |used: Used<'_>| Some(Import { line: used.line, path: self.resolve(&used, &local, dependencies)? });
        paths.into_iter().filter_map(resolve).collect()
    }

    /// None for what is neither of this crate nor a dependency.
    fn resolve(&self, used: &Used<'_>, local: &BTreeSet<&str>, dependencies: &BTreeSet<String>) -> Option<String> {
        let mut base = self.module();
        let mut rest = used.segments.as_slice();
        match rest[0] {
            "crate" => base.clear(),
            // What a program calls the library by.
            "hftpd" if base[0] == "bin" => base.clear(),
            "self" | "super" => {
                while let [first @ ("self" | "super"), more @ ..] = rest {
                    if *first == "super" {
                        base.pop();
                    }
                    rest = more;
                }
                return Some(["crate"].iter().chain(&base).chain(rest).copied().collect::<Vec<_>>().join("::"));
            }
            "::" => {
                let path = &rest[1..];
                return path.first().filter(|name| dependencies.contains(**name)).map(|_| path.join("::"));
            }
            name => {
                let is_dependency = dependencies.contains(name) && !local.contains(name);
                return is_dependency.then(|| rest.join("::"));
            }
        }
        Some(["crate"].iter().chain(&rest[1..]).copied().collect::<Vec<_>>().join("::"))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) line: usize,
    pub(crate) path: String,
}

/// A path as it is written, with the name that it has afterwards. A first segment `::` makes it absolute.
struct Used<'a> {
    pub(crate) line: usize,
    segments: Vec<&'a str>,
    binds: &'a str,
}

/// Reads a path, or the tree of paths of a `use`, and leaves `at` behind it.
fn read_tree<'a>(tokens: &[Token<'a>], at: &mut usize, before: &[&'a str], paths: &mut Vec<Used<'a>>) {
    let mut segments = before.to_vec();
    let line = tokens.get(*at).map_or(0, |token| token.line);
    if segments.is_empty() && tokens.get(*at).is_some_and(|token| token.text == "::") {
        segments.push("::");
        *at += 1;
    }
    let mut alias = None;
    while let Some(token) = tokens.get(*at) {
        match token.text {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token.text != "}") {
                    match tokens[*at].text {
                        "," => *at += 1,
                        text if is_word(text) || ["{", "*", "::"].contains(&text) => {
                            read_tree(tokens, at, &segments, paths);
                        }
                        // A block, and no tree.
                        _ => return,
                    }
                }
                *at += 1;
                return;
            }
            word if is_word(word) || word == "*" => segments.push(word),
            _ => break,
        }
        *at += 1;
        match tokens.get(*at).map(|token| token.text) {
            Some("::") => *at += 1,
            Some("as") => {
                alias = tokens.get(*at + 1).map(|token| token.text);
                *at += 2;
                break;
            }
            _ => break,
        }
    }
    if segments.len() > 1 && segments.last() == Some(&"self") {
        segments.pop();
    }
    if let Some(last) = segments.last() {
        let binds = alias.unwrap_or(last);
        paths.push(Used { line, binds, segments });
    }
}

/// All files of `src` that are not tests.
pub(crate) fn sources() -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&top.join("src"), &mut files);
    files.sort();
    let is_source = |path: &PathBuf| {
        let ends_in = |name: &str| path.ends_with(name);
        !ends_in("src/lib.rs") && !ends_in("tests.rs") && !path.components().any(|part| part.as_os_str() == "tests")
    };
    let read = |path: &PathBuf| Source {
        path: path.strip_prefix(top).expect("a path in the repository").to_string_lossy().into_owned(),
        text: fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display())),
    };
    files
        .iter()
        .map(|path| path.strip_prefix(top).expect("a path in the repository").to_owned())
        .filter(is_source)
        .map(|path| read(&top.join(path)))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The crates of `[dependencies]`, as they are called in the sources.
pub(crate) fn dependencies() -> BTreeSet<String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap_or_else(|error| panic!("cannot read {manifest}: {error}"));
    let mut lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let names = lines.by_ref().take_while(|line| !line.starts_with('['));
    names.filter_map(|line| Some(line.split_once('=')?.0.trim().replace('-', "_"))).collect()
}
