//! The structure of `src`: which part may import which, no circles between files, and what `src/lib.rs` says of them.

mod sources;

use sources::{Sources, first, is_within, rust_files, without_unit_tests};

/// The parts of `src`. Each may import only parts that follow it.
///
/// part | imported parts | imported crates, or paths in them | reason. The standard library is always allowed.
const PARTS: &str = "
bin/hftpd  | cli config exit log server | | it joins the command line, the log and the server
cli        | config exit | lexopt | the command line is checked before anything starts
server     | config connection detach exit handle log metrics os wire \
           | ipnet log mio sd_notify serde_json signal_hook signal_hook_mio slab \
           | of the wire it uses only encodings, names and codes; system calls are in os
metrics    | connection wire | | counters are named by the parts that cause them
detach     | exit os | daemonize rustix::io::Errno | it only detaches the process
log        | config os | log rustix::io::Errno syslog | it does not know who logs
config     | exit handle os wire | ipnet log::LevelFilter serde strsim toml | values, in the types of their users
exit       | | | a table of exit codes
connection | handle wire | base64 rustix::io::Errno | no socket, poll, configuration or log, so that tests need none
handle     | os | rustix::io::Errno | files know nothing of the protocol
bin/hftp   | hftp | | it only calls it
hftp       | client wire | clap clap_complete console indicatif sha2 | commands of a client
client     | wire | | other programs use it, on any system
wire       | | | clients and servers share it
os         | | landlock libc rustix sd_notify socket2 | it wraps system calls for all parts
";

/// A row of [`PARTS`].
struct Part {
    name: &'static str,
    parts: Vec<&'static str>,
    crates: Vec<&'static str>,
    reason: &'static str,
}

fn parts() -> Vec<Part> {
    let row = |line: &'static str| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, parts, crates, reason] = columns[..] else { panic!("four columns, not {line:?}") };
        Part { name, parts: parts.split(' ').collect(), crates: crates.split(' ').collect(), reason }
    };
    PARTS.trim().lines().map(row).collect()
}

/// The most lines that a file may have, without unit tests.
const LINES: usize = 400;

#[test]
fn imports_between_parts_point_one_way() {
    let (sources, parts) = (Sources::read(), parts());
    let mut wrong = Vec::new();
    for file in &sources.files {
        let name = file.part();
        let part = parts.iter().find(|part| part.name == name).unwrap_or_else(|| panic!("{name} is not in PARTS"));
        for path in sources.paths(file) {
            let is_allowed = match path.strip_prefix("crate::").map(first) {
                Some(to) => to == name || part.parts.contains(&to),
                None => part.crates.iter().any(|allowed| is_within(&path, allowed)),
            };
            if !is_allowed {
                wrong.push(format!("{} imports {path}, but {}", file.path, part.reason));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn parts_are_ordered_and_exist() {
    let (sources, parts) = (Sources::read(), parts());
    for (at, part) in parts.iter().enumerate() {
        assert!(sources.files.iter().any(|file| file.part() == part.name), "src has no {}", part.name);
        for used in part.parts.iter().filter(|used| !used.is_empty()) {
            assert!(parts[at + 1..].iter().any(|other| other.name == *used), "{used} must follow {}", part.name);
        }
        for name in part.crates.iter().filter(|name| !name.is_empty()) {
            assert!(sources.crates.contains(first(name)), "{}: {name} is not a dependency", part.name);
        }
    }
}

#[test]
fn files_form_no_circles() {
    let sources = Sources::read();
    let circles = sources.circles();
    assert!(circles.is_empty(), "files that use one another: {circles:#?}");
}

/// The compiler denies unsafe code where a file does not ask for it; only files of `src/os` may.
#[test]
fn unsafe_code_is_in_os_only() {
    for (path, text) in rust_files("src") {
        assert!(path.starts_with("src/os/") || !text.contains("unsafe_code"), "{path} asks for unsafe code");
    }
}

#[test]
fn files_have_at_most_400_lines() {
    for (path, text) in [rust_files("src"), rust_files("tests")].concat() {
        let lines = without_unit_tests(&text).lines().count();
        assert!(lines <= LINES, "{path} has {lines} lines: divide it");
    }
}

/// In the sections of `src/lib.rs` whose headings begin with `The way of`, each step names its functions as
/// `file::function`.
#[test]
fn functions_in_lib_rs_exist() {
    let files = rust_files("src");
    let (_, lib) = files.iter().find(|(path, _)| path == "src/lib.rs").expect("src/lib.rs");
    let ways = lib.split("\n//! # ").filter(|section| section.starts_with("The way of "));
    let mut sections = 0;
    for way in ways {
        let named: Vec<&str> = way.split('`').skip(1).step_by(2).filter(|code| code.contains(".rs::")).collect();
        assert!(!named.is_empty(), "no functions in {way}");
        for reference in named {
            let (file, function) = reference.split_once("::").expect("file::function");
            let source = files.iter().find(|(path, _)| path.strip_prefix("src/") == Some(file));
            let (_, text) = source.unwrap_or_else(|| panic!("{reference}: no such file"));
            let definitions = [format!("fn {function}("), format!("fn {function}<")];
            assert!(definitions.iter().any(|line| text.contains(line)), "{reference}: no such function");
        }
        sections += 1;
    }
    assert!(sections >= 2, "src/lib.rs describes the way of a request and the way of a reload");
}
