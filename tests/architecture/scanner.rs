//! The scanner itself, on made-up sources: what it must see, and what it must not take for an import.

use super::Part;
use super::imports::{Finding, Source};
use super::tokens::lines_without_tests;

fn imports(path: &str, text: &str) -> Vec<String> {
    let dependencies = ["log", "mio", "libc"].map(str::to_owned).into();
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    source.imports(&dependencies).into_iter().map(|import| format!("{} {}", import.line, import.path)).collect()
}

#[test]
fn it_sees_paths_in_every_form() {
    #[rustfmt::skip]
    let cases = [
        ("use crate::os::files;", vec!["1 crate::os::files"]),
        ("use crate::{config::{self, Config}, log as l};",
            vec!["1 crate::config", "1 crate::config::Config", "1 crate::log"]),
        ("use {crate::os, mio::Poll};", vec!["1 crate::os", "1 mio::Poll"]),
        ("use crate::*;", vec!["1 crate::*"]),
        ("\nfn f(x: &crate::server::X) {}", vec!["2 crate::server::X"]),
        ("fn f() { crate::log::init() }", vec!["1 crate::log::init"]),
        ("use super::super::wire::Code;", vec!["1 crate::wire::Code"]),
        ("use super::sibling;", vec!["1 crate::part::sibling"]),
        ("use super::{a, super::server::b};", vec!["1 crate::part::a", "1 crate::server::b"]),
        ("pub(in crate::part) fn f() {}", vec!["1 crate::part"]),
        ("const N: i32 = libc::EIO;", vec!["1 libc::EIO"]),
        ("fn f() { ::log::info!(\"a\") }", vec!["1 log::info"]),
        ("use log::Level;", vec!["1 log::Level"]),
        ("use mio;", vec!["1 mio"]),
        ("fn f<'a>(x: &'a str) -> char { '\"' } use mio::Token; const C: char = '\"';", vec!["1 mio::Token"]),
        ("const A: &str = r#\"a\" \"#; use mio::Token;", vec!["1 mio::Token"]),
        ("const A: &[u8] = b\"\\\"\"; const B: u8 = b'\\''; use mio::Token;", vec!["1 mio::Token"]),
        ("/* a /* b */ c */ use mio::Token;", vec!["1 mio::Token"]),
    ];
    for (text, expected) in cases {
        assert_eq!(imports("src/part/file.rs", text), expected, "{text}");
    }
}

#[test]
fn it_knows_comments_texts_tests_and_modules_of_the_same_name() {
    let cases = [
        "//! [`crate::os`] and mio::Poll",
        "// use crate::os;\n/* use crate::os; */",
        "const A: &str = \"crate::os::x and mio::Poll\";",
        "const A: &str = r#\"use crate::os;\"#;",
        "#[cfg(test)]\nmod tests { use crate::os; fn f() { mio::x() } }",
        "#[cfg(test)]\nmod tests;",
        "#[cfg(test)]\nuse mio::{Poll, Token};",
        "mod log; fn f() { log::init() }",
        "use std::io; fn f() { io::stderr(); T::new(); Vec::<u8>::new() }",
    ];
    for text in cases {
        assert_eq!(imports("src/part/mod.rs", text), Vec::<String>::new(), "{text}");
    }
    let shadowed = "use crate::log;\nfn f() { log::access() }";
    assert_eq!(imports("src/part/mod.rs", shadowed), ["1 crate::log"]);
}

#[test]
fn it_knows_where_a_file_stands() {
    let places = [
        ("src/exit.rs", "exit", "use super::config::A;"),
        ("src/server/mod.rs", "server", "use super::config::A;"),
        ("src/server/end.rs", "server", "use super::super::config::A;"),
        ("src/server/supervisor/end.rs", "server", "use super::super::super::config::A;"),
        ("src/bin/hftpd.rs", "bin/hftpd", "use hftpd::config::A;"),
    ];
    for (path, part, text) in places {
        assert_eq!(Source { path: path.to_owned(), text: String::new() }.part(), part);
        assert_eq!(imports(path, text), ["1 crate::config::A"], "{path}");
    }
}

#[test]
fn what_is_not_allowed_is_told_with_its_place_and_its_reason() {
    let table = [Part { name: "wire", parts: &["os"], crates: &["libc::c_int"], reason: "because" }];
    let dependencies = ["libc", "mio"].map(str::to_owned).into();
    let check = |path: &str, text: &str| {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        source.check(&table, &dependencies).iter().map(Finding::to_string).collect::<Vec<_>>()
    };
    let allowed = "use crate::os;\nuse crate::wire::code;\nuse libc::c_int;\nuse std::io;\n";
    assert_eq!(check("src/wire/a.rs", allowed), Vec::<String>::new());
    let wrong = "use crate::os;\nuse crate::osmosis;\n\nfn f(x: libc::c_integer, y: mio::Token) {}\n";
    let told = check("src/wire/a.rs", wrong);
    assert_eq!(
        told,
        [
            "src/wire/a.rs:2: crate::osmosis: wire may import os, libc::c_int: because",
            "src/wire/a.rs:4: libc::c_integer: wire may import os, libc::c_int: because",
            "src/wire/a.rs:4: mio::Token: wire may import os, libc::c_int: because",
        ]
    );
    assert!(check("src/new.rs", "")[0].contains("without a row"));
}

#[test]
fn lines_of_tests_are_not_counted() {
    assert_eq!(lines_without_tests("a\n\nb\n"), 3);
    assert_eq!(lines_without_tests("a\n#[cfg(test)]\nmod tests {\n    use b;\n}\n"), 1);
    assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\na\n"), 1);
}
