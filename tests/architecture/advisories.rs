//! What is known of the libraries and put up with: deny.toml and .cargo/audit.toml say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// `advisories.ignore` of a file, and the file.
fn ignored(file: &str) -> (Vec<Value>, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let table: Table = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
    let list = table["advisories"]["ignore"].as_array().unwrap_or_else(|| panic!("{file}: no list"));
    (list.clone(), text)
}

#[test]
fn both_tools_put_up_with_the_same_and_say_why() {
    let (of_deny, _) = ignored("deny.toml");
    let ids: BTreeSet<&str> = of_deny
        .iter()
        .map(|entry| {
            let reason = entry.get("reason").and_then(Value::as_str).unwrap_or_default();
            assert!(!reason.is_empty(), "deny.toml puts up with {entry} and does not say why");
            entry["id"].as_str().expect("an id")
        })
        .collect();
    let (of_audit, text) = ignored(".cargo/audit.toml");
    assert_eq!(of_audit.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>(), ids);
    for id in ids {
        let line = text.lines().position(|line| line.trim_start().starts_with(&format!("\"{id}\""))).expect("its line");
        let before = text.lines().nth(line - 1).unwrap_or_default().trim_start();
        assert!(before.starts_with('#'), ".cargo/audit.toml puts up with {id} and does not say why");
    }
}
