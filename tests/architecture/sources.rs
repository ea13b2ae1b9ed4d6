//! The files of `src` as text, and the paths that each one names.
//!
//! This is not a parser. It covers what this project writes: `use` declarations, with braces, and paths in code. It
//! leaves out comments, string literals and unit tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// All files of `src` except `lib.rs` and unit tests.
pub(crate) struct Sources {
    pub(crate) files: Vec<Source>,
    /// The crates in `[dependencies]`, as the code spells them.
    pub(crate) crates: BTreeSet<String>,
}

pub(crate) struct Source {
    /// Relative to the repository.
    pub(crate) path: String,
    /// `src/server/pool/mod.rs` is `crate::server::pool`.
    module: String,
    uses: Vec<Use>,
    /// The words of the code outside `use` declarations. A path is one word.
    words: BTreeSet<String>,
}

/// One path of a `use` declaration.
struct Use {
    path: String,
    name: String,
    is_public: bool,
}

impl Sources {
    pub(crate) fn read() -> Sources {
        let mut files: Vec<Source> = rust_files("src")
            .into_iter()
            .filter(|(path, _)| path != "src/lib.rs" && !path.ends_with("/tests.rs") && !path.contains("/tests/"))
            .map(|(path, text)| Source::new(path, &text))
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let manifest: toml::Table = include_str!("../../Cargo.toml").parse().expect("Cargo.toml");
        let crates = manifest["dependencies"].as_table().expect("[dependencies]").keys();
        Sources { files, crates: crates.map(|name| name.replace('-', "_")).collect() }
    }

    /// Every path that the code of a file names, as `crate::...` or from a dependency. A path that the file only exports
    /// again does not count.
    pub(crate) fn paths(&self, source: &Source) -> Vec<String> {
        let is_used = |used: &&Use| !used.is_public || source.words.contains(&used.name);
        let imported = source.uses.iter().filter(is_used).filter_map(|used| self.absolute(source, &used.path));
        let inline = source.words.iter().filter(|word| word.contains("::")).filter_map(|word| {
            let (first, rest) = word.split_once("::")?;
            let imported = source.uses.iter().find(|used| used.name == first);
            imported.map_or_else(
                || self.absolute(source, word),
                |used| self.absolute(source, &format!("{}::{rest}", used.path)),
            )
        });
        imported.chain(inline).collect()
    }

    /// None for what belongs neither to this crate's modules nor to a dependency.
    fn absolute(&self, source: &Source, path: &str) -> Option<String> {
        let (first, rest) = path.split_once("::").unwrap_or((path, ""));
        let child = format!("{}::{first}", source.module);
        match first {
            "crate" => Some(path.to_owned()),
            "hftpd" => Some(format!("crate::{rest}")),
            "self" => Some(format!("{}::{rest}", source.module)),
            "super" => {
                let mut module = source.module.rsplit_once("::")?.0;
                let mut rest = rest;
                while let Some(further) = rest.strip_prefix("super::") {
                    (module, rest) = (module.rsplit_once("::")?.0, further);
                }
                Some(format!("{module}::{rest}"))
            }
            _ if self.files.iter().any(|file| file.module == child) => Some(format!("{child}::{rest}")),
            _ if self.crates.contains(first) => Some(path.to_owned()),
            _ => None,
        }
    }

    /// The file that defines what a path names.
    fn definition(&self, path: &str) -> Option<&str> {
        let holds = |file: &&Source| is_within(path, &file.module);
        let file = self.files.iter().filter(holds).max_by_key(|file| file.module.len())?;
        let mut rest = path[file.module.len()..].trim_matches(':').splitn(2, "::");
        let exported = rest.next().and_then(|name| file.uses.iter().find(|used| used.name == name));
        match exported {
            Some(used) => {
                let target = self.absolute(file, &used.path)?;
                self.definition(&rest.next().map_or(target.clone(), |rest| format!("{target}::{rest}")))
            }
            None => Some(&file.path),
        }
    }

    /// Groups of files each of which leads to every other by what it uses.
    pub(crate) fn circles(&self) -> BTreeSet<BTreeSet<&str>> {
        let mut leads_to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in &self.files {
            let used = self.paths(file).iter().filter_map(|path| self.definition(path)).collect();
            leads_to.insert(&file.path, used);
        }
        // As many rounds as there are files: then every chain of uses has been followed to its end.
        for _ in 0..self.files.len() {
            let direct = leads_to.clone();
            for used in leads_to.values_mut() {
                used.extend(used.clone().iter().filter_map(|next| direct.get(next)).flatten());
            }
        }
        let circle =
            |file: &&str| leads_to[*file].iter().filter(|next| leads_to[*next].contains(*file)).copied().collect();
        leads_to.keys().map(circle).filter(|circle: &BTreeSet<&str>| circle.len() > 1).collect()
    }
}

impl Source {
    fn new(path: String, text: &str) -> Source {
        let module = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        let module = format!("crate::{}", module.replace('/', "::"));
        let (mut uses, mut words) = (Vec::new(), BTreeSet::new());
        let code = without_comments_and_strings(without_unit_tests(text));
        let mut lines = code.lines();
        while let Some(line) = lines.next() {
            let is_public = line.starts_with("pub");
            let rest = if is_public { line.split_once(' ').map_or("", |(_, rest)| rest) } else { line.trim_start() };
            if let Some(beginning) = rest.strip_prefix("use ") {
                let mut tree = beginning.to_owned();
                while !tree.contains(';') {
                    tree += lines.next().expect("the end of a use declaration");
                }
                expand("", tree.trim_end_matches(';'), is_public, &mut uses);
            } else {
                let is_separator = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
                let line = line.replace("pub(in crate::", "");
                words.extend(line.split(is_separator).map(|word| word.trim_matches(':').to_owned()));
            }
        }
        Source { path, module, uses, words }
    }

    /// The part of `src` that it belongs to: a folder, a file, or a program as `bin/NAME`.
    pub(crate) fn part(&self) -> String {
        let module = self.module.trim_start_matches("crate::");
        module.strip_prefix("bin::").map_or_else(|| first(module).to_owned(), |program| format!("bin/{program}"))
    }
}

/// Takes the tree of a `use` declaration apart.
fn expand(before: &str, tree: &str, is_public: bool, uses: &mut Vec<Use>) {
    let tree = tree.trim();
    if let Some((start, branches)) = tree.split_once('{') {
        let (mut depth, before) = (0, format!("{before}{start}"));
        let at_commas = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        };
        let branches = branches.trim_end().trim_end_matches('}');
        branches
            .split(at_commas)
            .filter(|branch| !branch.trim().is_empty())
            .for_each(|branch| expand(&before, branch, is_public, uses));
    } else {
        let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
        let path = format!("{before}{path}");
        let path = path.strip_suffix("::self").unwrap_or(&path).to_owned();
        let name = alias.or_else(|| path.rsplit("::").next()).unwrap_or_default().to_owned();
        uses.push(Use { path, name, is_public });
    }
}

/// Whether a path is another one or begins with it: `a::b::c` is within `a::b`, and `a::bc` is not.
pub(crate) fn is_within(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The first name of a path.
pub(crate) fn first(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

pub(crate) fn without_unit_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default()
}

fn without_comments_and_strings(text: &str) -> String {
    let (mut code, mut in_comment, mut in_string) = (String::new(), false, false);
    let text = text.replace("'\"'", "' '");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' if !in_string => {
                in_comment = false;
                code.push(c);
            }
            _ if in_comment => {}
            '\\' if in_string => drop(chars.next()),
            '"' => in_string = !in_string,
            '/' if !in_string && chars.peek() == Some(&'/') => in_comment = true,
            _ if in_string => {}
            _ => code.push(c),
        }
    }
    code
}

/// The Rust files below a directory of the repository, each with its path from there and its text.
pub(crate) fn rust_files(directory: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut found = Vec::new();
    for name in names {
        let file = format!("{directory}/{name}");
        if path.join(&name).is_dir() {
            found.extend(rust_files(&file));
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(path.join(&name)).unwrap_or_else(|error| panic!("{file}: {error}"));
            found.push((file, text));
        }
    }
    found
}
