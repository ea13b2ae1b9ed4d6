//! The address of a server.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port of HFTP servers.
pub const PORT: u16 = 19500;

/// A host and a port: `files.example`, `192.0.2.1:19501`, `[2001:db8::1]:19500`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address; an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let wrong = |why: &str| AddressError(format!("{text:?} is no HOST or HOST:PORT: {why}"));
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
                let literal = host.split('%').next().unwrap_or_default();
                if literal.parse::<Ipv6Addr>().is_err() {
                    return Err(wrong("no IPv6 address is in the brackets"));
                }
                match port.strip_prefix(':') {
                    None if !port.is_empty() => return Err(wrong("after the bracket only :PORT may follow")),
                    port => (host, port),
                }
            }
            None => match text.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(wrong("an IPv6 address is written in brackets"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_of_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(is_of_host) {
            return Err(wrong("the host is missing or has a character that no host has"));
        }
        let port = match port {
            None => PORT,
            Some(port) => match port.parse() {
                Ok(port @ 1..) if port.to_string().len() <= 5 => port,
                _ => return Err(wrong("the port is a number from 1 to 65535")),
            },
        };
        Ok(Address { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let table = [
            ("localhost", "localhost:19500"),
            ("localhost:1", "localhost:1"),
            ("192.0.2.1:65535", "192.0.2.1:65535"),
            ("[::1]", "[::1]:19500"),
            ("[2001:db8::1]:19501", "[2001:db8::1]:19501"),
            ("[fe80::1%eth0]", "[fe80::1%eth0]:19500"),
        ];
        for (text, shown) in table {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), shown);
        }
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        let table = [
            ("", "host"),
            (":1", "host"),
            ("a b", "host"),
            ("user@host", "host"),
            ("host:", "port"),
            ("host:0", "port"),
            ("host:65536", "port"),
            ("host:-1", "port"),
            ("::1", "brackets"),
            ("[::1", "closed"),
            ("[::1]1", ":PORT"),
            ("[host]:1", "IPv6"),
        ];
        for (text, reason) in table {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
