//! Reads the text of a configuration file. It reports all errors, each with its position.

use std::borrow::Cow;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use super::diagnostics::{Diagnostic, Diagnostics};
use super::field::{Field, Network};
use super::settings::{Draft, SETTINGS, Setting};
use super::similar::most_similar;
use super::types::{Config, Listener};
use crate::wire::Encoding;

type Key<'t> = Spanned<Cow<'t, str>>;
type Value<'t> = Spanned<DeValue<'t>>;

/// Parses the text of a configuration file.
///
/// # Errors
///
/// All errors of the text, up to a hundred. An error of the TOML syntax is reported alone.
pub fn parse(text: &str) -> Result<Config, Diagnostics> {
    read(text, Config::default(), true)
}

/// Parses `text`, with `defaults` for settings that it lacks. `root_required` is false if the command line sets the root.
pub(super) fn read(text: &str, defaults: Config, root_required: bool) -> Result<Config, Diagnostics> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Diagnostics::one(Diagnostic::new(text, span, format!("not valid TOML: {}", error.message())))
    })?;
    let mut reader = Reader { text, errors: Vec::new(), draft: Draft::new(defaults) };
    reader.read_file(document.get_ref());
    if root_required && !document.get_ref().contains_key("root") {
        reader.errors.push(Diagnostic::missing("root is missing, expected a line such as root = \"/srv/hftp\""));
    }
    match Diagnostics::new(reader.errors) {
        Some(diagnostics) => Err(diagnostics),
        None => Ok(reader.draft.config),
    }
}

/// The maximum number of errors reported of one file, because each takes memory.
const MAX_ERRORS: usize = 100;

/// The value of `control` in `text`, which may have errors elsewhere.
pub(super) fn control(text: &str) -> Option<String> {
    let (document, _) = DeTable::parse_recoverable(text);
    document.get_ref().get("control")?.get_ref().as_str().map(str::to_owned)
}

struct Reader<'t> {
    text: &'t str,
    errors: Vec<Diagnostic>,
    /// The defaults, replaced by the valid values read so far.
    draft: Draft,
}

impl<'t> Reader<'t> {
    fn read_file(&mut self, file: &DeTable<'t>) {
        for (key, value) in file {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("listen", DeValue::Array(entries)) => self.read_listeners(entries, value.span()),
                ("listen", _) => self.error(key.span(), "listen: expected a list of [[listen]] sections"),
                (name, DeValue::Table(section)) if is_section(name) => self.read_section(name, section),
                (name, _) if is_section(name) => {
                    self.error(key.span(), format!("{name}: expected a section that starts with [{name}]"));
                }
                _ => self.read_setting("", key, value),
            }
        }
        match (file.get_key_value("port"), file.contains_key("listen")) {
            (Some((key, _)), true) => {
                self.error(key.span(), "port: port and [[listen]] exclude each other, expected one of them");
            }
            (Some(_), false) => {
                self.draft.config.listeners = vec![Listener::on_port(self.draft.port)];
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
            self.error(span, "listen: the list is empty, expected at least one listener");
        }
        let mut listeners: Vec<Listener> = Vec::new();
        for entry in entries {
            let Some(table) = entry.get_ref().as_table() else {
                self.error(entry.span(), "listen: expected a table such as { address = \"127.0.0.1:19500\" }");
                continue;
            };
            self.draft.listener = blank_listener(table);
            self.read_section("listen", table);
            self.check_base64_line(table);
            let Some(address) = table.get("address") else {
                self.error(entry.span(), "listen.address is missing, expected one in each [[listen]]");
                continue;
            };
            // A line can be decoded by itself only if it ends between two groups of three bytes.
            self.draft.listener.base64_line -= self.draft.listener.base64_line % 3;
            let listener = self.draft.listener.clone();
            if let Some(other) = listeners.iter().find(|other| overlap(other.address, listener.address)) {
                let message =
                    format!("listen.address: {} overlaps the [[listen]] of {}", listener.address, other.address);
                self.error(address.span(), message);
            }
            listeners.push(listener);
        }
        self.draft.config.listeners = listeners;
    }

    fn check_base64_line(&mut self, table: &DeTable<'t>) {
        let Some(line) = table.get("base64-line") else { return };
        // 0, the default, is accepted with every encoding.
        if self.draft.listener.base64_line != 0 && self.draft.listener.encoding != Encoding::Base64 {
            self.error(line.span(), "listen.base64-line: requires encoding = \"base64\"");
        }
    }

    fn read_setting(&mut self, section: &str, key: &Key<'t>, value: &Value<'t>) {
        let name = key.get_ref().as_ref();
        let Some(setting) = SETTINGS.iter().find(|setting| setting.split_name() == (section, name)) else {
            self.error(key.span(), unknown_key(section, name));
            return;
        };
        match ((setting.field)(&mut self.draft), value.get_ref()) {
            (Field::Networks(_), DeValue::Array(items)) => self.read_networks(setting, items),
            (field, _) => {
                let read = field.deserialize(ValueDeserializer::from(value.clone()));
                if let Err(error) = read {
                    self.value_error(setting, &error, value.span());
                }
            }
        }
    }

    fn read_networks(&mut self, setting: &Setting, items: &[Value<'t>]) {
        let mut networks = Vec::new();
        for item in items {
            match Network::deserialize(ValueDeserializer::from(item.clone())) {
                Ok(Network(network)) => networks.push(network),
                Err(error) => self.value_error(setting, &error, item.span()),
            }
        }
        if let Field::Networks(place) = (setting.field)(&mut self.draft) {
            *place = networks;
        }
    }

    fn error(&mut self, span: Range<usize>, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(Diagnostic::new(self.text, span, message));
        }
    }

    fn value_error(&mut self, setting: &Setting, error: &Error, span: Range<usize>) {
        let mut message = format!("{}: {}", setting.name, error.message());
        // The parser refuses a number of more than 128 bits before the setting is known.
        if !message.contains("expected") {
            message = format!("{message}, expected {}", setting.accepts());
        }
        self.error(error.span().unwrap_or(span), message);
    }
}

/// The initial values of a `[[listen]]`. They avoid errors that follow from another: an invalid address must not overlap
/// another listener, so the port is 0; with an invalid encoding `base64-line` must be accepted, so it is base64.
fn blank_listener(table: &DeTable<'_>) -> Listener {
    let encoding = if table.contains_key("encoding") { Encoding::Base64 } else { Encoding::Fragments };
    Listener { encoding, ..Listener::new(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) }
}

/// The names of the sections, in the order of the table.
fn sections() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    let names = SETTINGS.iter().map(|setting| setting.split_name().0);
    names.filter(move |name| std::mem::replace(&mut last, name) != *name)
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

/// The header of a section.
fn section_line(section: &str) -> String {
    if section == "listen" { "[[listen]]".to_owned() } else { format!("[{section}]") }
}

/// The message for an unknown key, with the most similar key or all keys.
fn unknown_key(section: &str, key: &str) -> String {
    let written = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.split_name().1 == key) {
        let place = match setting.split_name().0 {
            "" => "before the first section".to_owned(),
            section => format!("in {}", section_line(section)),
        };
        return format!("unknown key {written:?}; did you mean \"{}\", {place}?", setting.name);
    }
    let here = SETTINGS.iter().map(|setting| setting.split_name()).filter(|(of, _)| *of == section);
    let keys: Vec<_> = here.map(|(_, key)| key).collect();
    let sections: Vec<_> = if section.is_empty() { sections().collect() } else { Vec::new() };
    match most_similar(key, keys.iter().chain(&sections).copied()) {
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

/// Whether two listeners cannot be bound together. The unspecified IPv6 address includes the unspecified IPv4 address.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a.port() == b.port() && (a == b || (a.ip().is_unspecified() && b.ip().is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `LINE:COLUMN [text] message` of each finding.
    fn diagnostics(text: &str) -> Vec<String> {
        let diagnostics = match parse(text) {
            Ok(config) => panic!("accepted: {text}\n{config:?}"),
            Err(diagnostics) => diagnostics,
        };
        diagnostics.list().iter().map(|d| format!("{}:{} [{}] {}", d.line, d.column, d.text, d.message)).collect()
    }

    #[test]
    fn unknown_keys() {
        for (line, expected) in [
            ("prot = 1", "1:1 [prot] unknown key \"prot\"; did you mean \"port\"?"),
            ("limit.connections = 1", "1:1 [limit] unknown key \"limit\"; did you mean [limits]?"),
            (
                "[limits]\nconections = 1",
                "2:1 [conections] unknown key \"limits.conections\"; did you mean \"connections\"?",
            ),
            (
                "connections = 1",
                "1:1 [connections] unknown key \"connections\"; did you mean \"limits.connections\", in [limits]?",
            ),
            (
                "[files]\nuser = 'x'",
                "2:1 [user] unknown key \"files.user\"; did you mean \"user\", before the first section?",
            ),
            ("address = 'x'", "1:1 [address] unknown key \"address\"; did you mean \"listen.address\", in [[listen]]?"),
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
            ("[listen]\naddress = '[::]:1'", "1:2 [listen] listen: expected a list of [[listen]] sections"),
            ("[[limits]]", "1:3 [limits] limits: expected a section that starts with [limits]"),
        ] {
            let text = if line.contains('[') { format!("{line}\n") } else { format!("{line}\nroot = '/x'\n") };
            let mut reported = diagnostics(&text);
            reported.retain(|line| !line.contains("root is missing"));
            assert_eq!(reported, [expected], "{line}");
        }
    }

    #[test]
    fn invalid_values() {
        let port = "expected a whole number from 0 to 65535";
        let size = "as a number of bytes or such as \"64 KiB\" (B, kB, MB, GB, KiB, MiB, GiB)";
        let time = "to \"365d\" such as \"500ms\", \"30s\", \"5m\" or \"1h30m\"";
        let connections = "expected a whole number from 1 to 1000000";
        for (key, value, expected) in [
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
            assert_eq!(diagnostics(&text), [format!("2:{column} [{value}] {key}: {expected}")], "{text}");
        }
        let path = "expected an absolute path such as \"/srv/hftp\"";
        assert_eq!(diagnostics("root = 'srv'"), [format!("1:8 ['srv'] root: invalid value: string \"srv\", {path}")]);
        assert_eq!(diagnostics("root = \"/\\u0000\"").len(), 1);
        assert_eq!(diagnostics(&format!("root = '/x'\ncontrol = '/{}'", "x".repeat(107))).len(), 1);
    }

    #[test]
    fn number_of_reported_errors_is_limited() {
        let text: String = (0..20_000).map(|n| format!("a{n} = 1\n")).collect();
        assert_eq!(diagnostics(&text).len(), MAX_ERRORS + 1, "the missing root is always reported");
    }

    #[test]
    fn each_network_of_a_list_is_checked() {
        let accepted = "expected a network or an address such as \"10.0.0.0/8\", \"192.0.2.7\" or \"2001:db8::/32\"";
        assert_eq!(
            diagnostics("root = '/x'\nlimits.allow = ['10/8', '::1', 7,\n '10.1.1.1/8']"),
            [
                format!("2:17 ['10/8'] limits.allow: invalid value: string \"10/8\", {accepted}"),
                format!("2:32 [7] limits.allow: invalid type: integer `7`, {accepted}"),
                "3:2 ['10.1.1.1/8'] limits.allow: \"10.1.1.1/8\" has bits after its prefix, expected \"10.0.0.0/8\" or \
                 the address alone"
                    .to_owned(),
            ]
        );
    }
}
