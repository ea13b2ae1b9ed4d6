//! The file as it is written: its text is walked value by value, so that every mistake is found at its place and all
//! are told at once.

use std::borrow::Cow;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use super::field::{Field, Network};
use super::findings::{Finding, Findings};
use super::nearest::nearest;
use super::settings::{Draft, SETTINGS, Setting};
use super::{Config, Listener};
use crate::wire::Encoding;

type Key<'t> = Spanned<Cow<'t, str>>;
type Value<'t> = Spanned<DeValue<'t>>;

/// The configuration that `text` asks for, defaults filled in. `root_required` is false when something else gives it.
pub(super) fn read(text: &str, root_required: bool) -> Result<Config, Findings> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Findings::one(Finding::new(text, span, format!("not valid TOML: {}", error.message())))
    })?;
    let mut reader = Reader { text, findings: Vec::new(), draft: Draft::new(Config::default()) };
    reader.read_file(document.get_ref());
    if root_required && !document.get_ref().contains_key("root") {
        reader.findings.push(Finding::missing("root is missing, expected a line such as root = \"/srv/hftp\""));
    }
    match Findings::new(reader.findings) {
        Some(findings) => Err(findings),
        None => Ok(reader.draft.config),
    }
}

/// The most mistakes that are told of one file: a file with more is not a configuration, and each costs memory.
const FINDINGS_MAX: usize = 100;

struct Reader<'t> {
    text: &'t str,
    findings: Vec<Finding>,
    /// Holds the defaults, and over them what was read so far without a finding.
    draft: Draft,
}

impl<'t> Reader<'t> {
    fn read_file(&mut self, file: &DeTable<'t>) {
        for (key, value) in file {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("listen", DeValue::Array(entries)) => self.read_listeners(entries, value.span()),
                ("listen", _) => self.find(key.span(), "listen: expected a list, each entry under [[listen]]"),
                (name, DeValue::Table(section)) if is_section(name) => self.read_section(name, section),
                (name, _) if is_section(name) => {
                    self.find(key.span(), format!("{name}: expected a section that starts with [{name}]"));
                }
                _ => self.read_setting("", key, value),
            }
        }
        match (file.get_key_value("port"), file.contains_key("listen")) {
            (Some((key, _)), true) => {
                self.find(key.span(), "port: [[listen]] is there too, expected one of the two");
            }
            (Some(_), false) => {
                let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.draft.port));
                self.draft.config.listeners = vec![Listener::new(address)];
            }
            (None, _) => {}
        }
    }

    fn read_section(&mut self, section: &str, table: &DeTable<'t>) {
        for (key, value) in table {
            self.read_setting(section, key, value);
        }
    }

    fn read_listeners(&mut self, entries: &[Value<'t>], span: Range<usize>) {
        if entries.is_empty() {
            self.find(span, "listen: the list is empty, expected at least one listener");
        }
        let mut listeners: Vec<Listener> = Vec::new();
        for entry in entries {
            let Some(table) = entry.get_ref().as_table() else {
                self.find(entry.span(), "listen: expected a table such as { address = \"127.0.0.1:19500\" }");
                continue;
            };
            self.draft.listener = blank_listener(table);
            self.read_section("listen", table);
            self.check_base64_line(table);
            let Some(address) = table.get("address") else {
                self.find(entry.span(), "listen.address is missing, expected one in each [[listen]]");
                continue;
            };
            // A line decodes alone only if it ends between two groups of three bytes.
            self.draft.listener.base64_line -= self.draft.listener.base64_line % 3;
            let listener = self.draft.listener.clone();
            if let Some(other) = listeners.iter().find(|other| overlap(other.address, listener.address)) {
                let message =
                    format!("listen.address: {} is taken by the [[listen]] of {}", listener.address, other.address);
                self.find(address.span(), message);
            }
            listeners.push(listener);
        }
        self.draft.config.listeners = listeners;
    }

    fn check_base64_line(&mut self, table: &DeTable<'t>) {
        let Some(line) = table.get("base64-line") else { return };
        // 0 is what every other encoding has anyway.
        if self.draft.listener.base64_line != 0 && self.draft.listener.encoding != Encoding::Base64 {
            self.find(line.span(), "listen.base64-line: expected only beside encoding = \"base64\"");
        }
    }

    fn read_setting(&mut self, section: &str, key: &Key<'t>, value: &Value<'t>) {
        let name = key.get_ref().as_ref();
        let Some(setting) = SETTINGS.iter().find(|setting| setting.split_name() == (section, name)) else {
            self.find(key.span(), unknown_key(section, name));
            return;
        };
        match ((setting.field)(&mut self.draft), value.get_ref()) {
            (Field::Networks(_), DeValue::Array(items)) => self.read_networks(setting, items),
            (field, _) => {
                let read = field.deserialize(ValueDeserializer::from(value.clone()));
                if let Err(error) = read {
                    self.find_error(setting, &error, value.span());
                }
            }
        }
    }

    fn read_networks(&mut self, setting: &Setting, items: &[Value<'t>]) {
        let mut networks = Vec::new();
        for item in items {
            match Network::deserialize(ValueDeserializer::from(item.clone())) {
                Ok(Network(network)) => networks.push(network),
                Err(error) => self.find_error(setting, &error, item.span()),
            }
        }
        if let Field::Networks(place) = (setting.field)(&mut self.draft) {
            *place = networks;
        }
    }

    fn find(&mut self, span: Range<usize>, message: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding::new(self.text, span, message));
        }
    }

    fn find_error(&mut self, setting: &Setting, error: &Error, span: Range<usize>) {
        let mut message = format!("{}: {}", setting.name, error.message());
        // A number beyond 128 bits is refused before anybody asks what was expected.
        if !message.contains("expected") {
            message = format!("{message}, expected {}", setting.accepts());
        }
        self.find(error.span().unwrap_or(span), message);
    }
}

/// What the values of a `[[listen]]` are read over. A value that turns out wrong must not make another look wrong: no
/// address is like that of another listener with port 0, and with base64 every `base64-line` is in its place.
fn blank_listener(table: &DeTable<'_>) -> Listener {
    let encoding = if table.contains_key("encoding") { Encoding::Base64 } else { Encoding::Fragments };
    Listener { encoding, ..Listener::new(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) }
}

/// The sections, each once, in the order of the table.
fn sections() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    let names = SETTINGS.iter().map(|setting| setting.split_name().0);
    names.filter(move |name| std::mem::replace(&mut last, name) != *name)
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

/// The line that a section starts with.
fn section_line(section: &str) -> String {
    if section == "listen" { "[[listen]]".to_owned() } else { format!("[{section}]") }
}

/// Says what was probably meant, or else what there is.
fn unknown_key(section: &str, key: &str) -> String {
    let written = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.split_name().1 == key) {
        let place = match setting.split_name().0 {
            "" => "above the first section".to_owned(),
            section => format!("under {}", section_line(section)),
        };
        return format!("unknown key {written:?}; did you mean \"{}\", which stands {place}?", setting.name);
    }
    let here = SETTINGS.iter().map(|setting| setting.split_name()).filter(|(of, _)| *of == section);
    let keys: Vec<_> = here.map(|(_, key)| key).collect();
    let sections: Vec<_> = if section.is_empty() { sections().collect() } else { Vec::new() };
    match nearest(key, keys.iter().chain(&sections).copied()) {
        Some(name) if sections.contains(&name) => {
            format!("unknown key {written:?}; did you mean {}?", section_line(name))
        }
        Some(name) => format!("unknown key {written:?}; did you mean \"{name}\"?"),
        None => {
            let known: Vec<_> =
                keys.into_iter().map(str::to_owned).chain(sections.into_iter().map(section_line)).collect();
            format!("unknown key {written:?}, expected one of {}", known.join(", "))
        }
    }
}

/// Whether two listeners cannot both be had: the unspecified IPv6 address takes the port of the IPv4 one too.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a.port() == b.port() && (a == b || (a.ip().is_unspecified() && b.ip().is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `LINE:COLUMN [text] message` of each finding.
    fn findings(text: &str) -> Vec<String> {
        let findings = match read(text, true) {
            Ok(config) => panic!("accepted: {text}\n{config:?}"),
            Err(findings) => findings,
        };
        findings.list().iter().map(|f| format!("{}:{} [{}] {}", f.line, f.column, f.text, f.message)).collect()
    }

    #[test]
    fn keys() {
        for (line, told) in [
            ("prot = 1", "1:1 [prot] unknown key \"prot\"; did you mean \"port\"?"),
            ("limit.connections = 1", "1:1 [limit] unknown key \"limit\"; did you mean [limits]?"),
            (
                "[limits]\nconections = 1",
                "2:1 [conections] unknown key \"limits.conections\"; did you mean \"connections\"?",
            ),
            (
                "connections = 1",
                "1:1 [connections] unknown key \"connections\"; did you mean \"limits.connections\", which stands under [limits]?",
            ),
            (
                "[files]\nuser = 'x'",
                "2:1 [user] unknown key \"files.user\"; did you mean \"user\", which stands above the first section?",
            ),
            (
                "address = 'x'",
                "1:1 [address] unknown key \"address\"; did you mean \"listen.address\", which stands under [[listen]]?",
            ),
            ("[[lisen]]\naddress = 'x'", "1:3 [lisen] unknown key \"lisen\"; did you mean [[listen]]?"),
            (
                "verdura = 1",
                "1:1 [verdura] unknown key \"verdura\", expected one of root, port, user, group, workers, control, [[listen]], [files], [limits], [timeouts], [log]",
            ),
            (
                "'' = 1",
                "1:1 [''] unknown key \"\", expected one of root, port, user, group, workers, control, [[listen]], [files], [limits], [timeouts], [log]",
            ),
            (
                "\"a\\u001bb\" = 1",
                "1:1 [\"a\\u001bb\"] unknown key \"a\\u{1b}b\", expected one of root, port, user, group, workers, control, [[listen]], [files], [limits], [timeouts], [log]",
            ),
            (
                "[[listen]]\naddress = '[::]:1'\nproxy-protocol = []",
                "3:1 [proxy-protocol] unknown key \"listen.proxy-protocol\", expected one of address, encoding, base64-line",
            ),
            ("limits = 1", "1:1 [limits] limits: expected a section that starts with [limits]"),
            ("[listen]\naddress = '[::]:1'", "1:2 [listen] listen: expected a list, each entry under [[listen]]"),
            ("[[limits]]", "1:3 [limits] limits: expected a section that starts with [limits]"),
        ] {
            let text = if line.contains('[') { format!("{line}\n") } else { format!("{line}\nroot = '/x'\n") };
            let mut told_here = findings(&text);
            told_here.retain(|finding| !finding.contains("root is missing"));
            assert_eq!(told_here, [told], "{line}");
        }
    }

    #[test]
    fn values() {
        let port = "expected a whole number from 0 to 65535";
        let size = "as a number of bytes or such as \"64 KiB\" (B, kB, MB, GB, KiB, MiB, GiB)";
        let time = "to \"365d\" such as \"500ms\", \"30s\", \"5m\" or \"1h30m\"";
        let connections = "expected a whole number from 1 to 1000000";
        for (key, value, told) in [
            ("port", "65536", format!("invalid value: integer `65536`, {port}")),
            ("port", "-1", format!("invalid value: integer `-1`, {port}")),
            ("port", "'19500'", format!("invalid type: string \"19500\", {port}")),
            ("port", "1.5", format!("invalid type: floating point `1.5`, {port}")),
            ("port", "{}", format!("invalid type: map, {port}")),
            ("port", "1979-05-27", format!("invalid type: map, {port}")),
            ("user", "''", "invalid value: string \"\", expected a name without spaces, \":\" and \"/\"".to_owned()),
            ("group", "33", "invalid type: integer `33`, expected a name without spaces, \":\" and \"/\"".to_owned()),
            ("workers", "0", "invalid value: integer `0`, expected \"auto\" or a whole number from 1 to 1024".to_owned()),
            ("workers", "1025", "invalid value: integer `1025`, expected \"auto\" or a whole number from 1 to 1024".to_owned()),
            ("workers", "'4'", "invalid value: string \"4\", expected \"auto\" or a whole number from 1 to 1024".to_owned()),
            ("control", "'run'", "invalid value: string \"run\", expected an absolute path of at most 107 bytes, or \"\" for none".to_owned()),
            ("files.names", "'all'", "invalid value: string \"all\", expected \"portable\" or \"printable\"".to_owned()),
            ("files.names", "['portable']", "invalid type: sequence, expected \"portable\" or \"printable\"".to_owned()),
            ("files.hidden", "'no'", "invalid type: string \"no\", expected true or false".to_owned()),
            ("files.hidden", "0", "invalid type: integer `0`, expected true or false".to_owned()),
            ("log.target", "true", "invalid type: boolean `true`, expected \"auto\", \"syslog\" or \"stderr\"".to_owned()),
            ("limits.connections", "0", format!("invalid value: integer `0`, {connections}")),
            ("limits.connections", "1000001", format!("invalid value: integer `1000001`, {connections}")),
            ("limits.connections", "9999999999999999999", format!("invalid value: integer `9999999999999999999`, {connections}")),
            ("limits.connections", "'10 KiB'", format!("invalid type: string \"10 KiB\", {connections}")),
            ("limits.request-line", "511", format!("invalid value: integer `511`, expected a size from 512 B to 1 GiB, {size}")),
            ("limits.request-line", "'2 GiB'", format!("invalid value: string \"2 GiB\", expected a size from 512 B to 1 GiB, {size}")),
            ("limits.request-line", "'8 MB/s'", format!("invalid value: string \"8 MB/s\", expected a size from 512 B to 1 GiB, {size}")),
            ("limits.rate-per-connection", "1023", format!("invalid value: integer `1023`, expected 0 or a size from 1 KiB to 1024 GiB, {size}")),
            ("timeouts.idle", "30", format!("invalid type: integer `30`, expected a time from \"1ms\" {time}")),
            ("timeouts.request", "'0s'", format!("invalid value: string \"0s\", expected a time from \"1ms\" {time}")),
            ("timeouts.drain", "'366d'", format!("invalid value: string \"366d\", expected a time from \"0s\" {time}")),
            ("limits.deny", "'10.0.0.0/8'", "invalid type: string \"10.0.0.0/8\", expected a list of networks such as [\"10.0.0.0/8\", \"2001:db8::/32\"]".to_owned()),
        ] {
            let text = format!("root = '/x'\n{key} = {value}\n");
            let column = key.len() + 4;
            assert_eq!(findings(&text), [format!("2:{column} [{value}] {key}: {told}")], "{text}");
        }
        let path = "expected an absolute path such as \"/srv/hftp\"";
        assert_eq!(findings("root = 'srv'"), [format!("1:8 ['srv'] root: invalid value: string \"srv\", {path}")]);
        assert_eq!(findings("root = \"/\\u0000\"").len(), 1);
        assert_eq!(findings(&format!("root = '/x'\ncontrol = '/{}'", "x".repeat(107))).len(), 1);
    }

    #[test]
    fn a_file_of_nothing_but_mistakes_is_told_in_part() {
        let text: String = (0..20_000).map(|n| format!("a{n} = 1\n")).collect();
        assert_eq!(findings(&text).len(), FINDINGS_MAX + 1, "the missing root is always told");
    }

    #[test]
    fn networks_are_told_one_by_one() {
        let accepted = "expected a network or an address such as \"10.0.0.0/8\", \"192.0.2.7\" or \"2001:db8::/32\"";
        assert_eq!(
            findings("root = '/x'\nlimits.allow = ['10/8', '::1', 7,\n '10.1.1.1/8']"),
            [
                format!("2:17 ['10/8'] limits.allow: invalid value: string \"10/8\", {accepted}"),
                format!("2:32 [7] limits.allow: invalid type: integer `7`, {accepted}"),
                "3:2 ['10.1.1.1/8'] limits.allow: \"10.1.1.1/8\" has bits beyond its prefix, expected \"10.0.0.0/8\" or \
                 the address alone"
                    .to_owned(),
            ]
        );
    }
}
