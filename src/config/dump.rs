//! Writes a configuration as a file, for `hftpd check --dump`.

use std::fmt::Write;

use super::settings::{Draft, SETTINGS};
use super::types::{Config, Listener};

/// Writes all settings, in the order of the table. [`parse`](super::parse) of the text returns the same configuration, unless
/// a path is not UTF-8.
pub fn dump(config: &Config) -> String {
    let mut draft = Draft::new(config.clone());
    let port = only_port(&config.listeners);
    draft.port = port.unwrap_or(draft.port);
    let mut text = String::new();
    let mut last_section = "";
    for setting in SETTINGS {
        let (section, key) = setting.split_name();
        if section != last_section {
            last_section = section;
            match section {
                "listen" if port.is_none() => text.push_str(&listeners(config, &mut draft)),
                "listen" => {}
                _ => write(&mut text, format_args!("\n[{section}]\n")),
            }
        }
        if section != "listen" && (key != "port" || port.is_some()) {
            write(&mut text, format_args!("{key} = {}\n", setting.toml(&mut draft)));
        }
    }
    text
}

/// The value of `port` that is equivalent to these listeners, if there is one.
fn only_port(listeners: &[Listener]) -> Option<u16> {
    let [listener] = listeners else { return None };
    let port = listener.address.port();
    (*listener == Listener::on_port(port)).then_some(port)
}

fn listeners(config: &Config, draft: &mut Draft) -> String {
    let mut text = String::new();
    for listener in &config.listeners {
        draft.listener = listener.clone();
        text.push_str("\n[[listen]]\n");
        for setting in SETTINGS {
            if let ("listen", key) = setting.split_name() {
                write(&mut text, format_args!("{key} = {}\n", setting.toml(draft)));
            }
        }
    }
    text
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = text.write_fmt(arguments);
}
