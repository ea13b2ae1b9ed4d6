//! The value of a setting: reading, accepted values, writing.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use super::keywords::Keyword;
use super::path::is_absolute;
use super::types::Workers;
use super::units::{self, NetworkError};

/// The largest number of event loops.
const MAX_WORKERS: u16 = 1024;

/// The maximum length of the path of a UNIX socket, in bytes, without the NUL of `sun_path` (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// The place of a value in a configuration, with the range of accepted values.
///
/// As a [`DeserializeSeed`] it stores the value; after an error the place is unchanged. As a [`Serialize`] it writes the
/// value. `Display` describes the accepted values.
pub(super) enum Field<'c> {
    /// `true` or `false`.
    Flag(&'c mut bool),
    /// A TCP port.
    Port(&'c mut u16),
    /// An integer.
    Count(&'c mut u32, RangeInclusive<u32>),
    /// A number of bytes.
    Size(&'c mut u64, RangeInclusive<u64>),
    /// A number of bytes, or 0.
    SizeOrZero(&'c mut u64, RangeInclusive<u64>),
    /// A time in milliseconds.
    Time(&'c mut Duration, RangeInclusive<Duration>),
    /// A keyword.
    Keyword(&'c mut dyn Keyword),
    /// The number of event loops.
    Workers(&'c mut Workers),
    /// The name of a user or a group.
    Account(&'c mut String),
    /// An absolute path.
    Directory(&'c mut PathBuf),
    /// The path of a UNIX socket, or none.
    Socket(&'c mut Option<PathBuf>),
    /// An IP address with a port.
    Address(&'c mut SocketAddr),
    /// A list of networks. The reader reads each as a [`Network`], to report each error with its position.
    Networks(&'c mut Vec<IpNet>),
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let Field::Flag(place) = self else { return Err(E::invalid_type(Unexpected::Bool(value), &self)) };
        *place = value;
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) if self.accepts_numbers() => Err(E::invalid_value(Unexpected::Signed(value), &self)),
            Err(_) => Err(E::invalid_type(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        match self.set_number(value) {
            Some(()) => Ok(()),
            None if self.accepts_numbers() => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
            None => Err(E::invalid_type(Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<(), E> {
        match self.set_text(value) {
            Some(()) => Ok(()),
            None if self.accepts_text() => Err(E::invalid_value(Unexpected::Str(value), &self)),
            None => Err(E::invalid_type(Unexpected::Str(value), &self)),
        }
    }
}

impl Field<'_> {
    fn accepts_numbers(&self) -> bool {
        use Field::{Count, Port, Size, SizeOrZero, Workers};
        matches!(self, Port(_) | Count(..) | Size(..) | SizeOrZero(..) | Workers(_))
    }

    fn accepts_text(&self) -> bool {
        !matches!(self, Field::Flag(_) | Field::Port(_) | Field::Count(..) | Field::Networks(_))
    }

    /// Stores the number. Returns none, with the place unchanged, if it is not accepted.
    fn set_number(&mut self, value: u64) -> Option<()> {
        match self {
            Field::Port(place) => **place = u16::try_from(value).ok()?,
            Field::Count(place, range) => **place = u32::try_from(value).ok().filter(|n| range.contains(n))?,
            Field::Size(place, range) => **place = Some(value).filter(|n| range.contains(n))?,
            Field::SizeOrZero(place, range) => **place = Some(value).filter(|n| *n == 0 || range.contains(n))?,
            Field::Workers(place) => {
                let count = u16::try_from(value).ok().filter(|n| *n <= MAX_WORKERS)?;
                **place = Workers::Count(NonZeroU16::new(count)?);
            }
            _ => return None,
        }
        Some(())
    }

    /// Stores the text. Returns none, with the place unchanged, if it is not accepted.
    fn set_text(&mut self, text: &str) -> Option<()> {
        match self {
            Field::Size(..) | Field::SizeOrZero(..) => return self.set_number(units::parse_size(text)?),
            Field::Time(place, range) => **place = units::parse_time(text).filter(|time| range.contains(time))?,
            Field::Keyword(place) => return place.set(text).then_some(()),
            Field::Workers(place) if text == "auto" => **place = Workers::Auto,
            Field::Account(place) if is_account(text) => text.clone_into(place),
            Field::Directory(place) if is_absolute(Path::new(text)) => **place = PathBuf::from(text),
            Field::Socket(place) if text.is_empty() => **place = None,
            Field::Socket(place) if is_absolute(Path::new(text)) && text.len() <= MAX_SOCKET_PATH => {
                **place = Some(PathBuf::from(text));
            }
            Field::Address(place) => **place = canonical(text.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Flag(_) => f.write_str("true or false"),
            Field::Port(_) => write!(f, "a whole number from 0 to {}", u16::MAX),
            Field::Count(_, range) => write!(f, "a whole number from {} to {}", range.start(), range.end()),
            Field::Size(_, range) => write!(f, "a size from {}", Sizes(range)),
            Field::SizeOrZero(_, range) => write!(f, "0 or a size from {}", Sizes(range)),
            Field::Time(_, range) => {
                let (least, most) = (units::format_time(*range.start()), units::format_time(*range.end()));
                write!(f, "a time from \"{least}\" to \"{most}\" such as \"500ms\", \"30s\", \"5m\" or \"1h30m\"")
            }
            Field::Keyword(word) => {
                let words: Vec<_> = word.words().into_iter().map(|word| format!("{word:?}")).collect();
                match words.split_last() {
                    Some((last, [])) => f.write_str(last),
                    Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
                    None => Ok(()),
                }
            }
            Field::Workers(_) => write!(f, "\"auto\" or a whole number from 1 to {MAX_WORKERS}"),
            Field::Account(_) => f.write_str("a name without spaces, \":\" and \"/\""),
            Field::Directory(_) => f.write_str("an absolute path such as \"/srv/hftp\""),
            Field::Socket(_) => write!(f, "an absolute path of at most {MAX_SOCKET_PATH} bytes, or \"\" for none"),
            Field::Address(_) => {
                f.write_str("an IP address and a port such as \"127.0.0.1:19500\" or \"[::]:19500\" (every address)")
            }
            Field::Networks(_) => f.write_str("a list of networks such as [\"10.0.0.0/8\", \"2001:db8::/32\"]"),
        }
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Flag(value) => serializer.serialize_bool(**value),
            Field::Port(value) => serializer.serialize_u16(**value),
            Field::Count(value, _) => serializer.serialize_u32(**value),
            Field::Size(value, _) | Field::SizeOrZero(value, _) => match units::format_size(**value) {
                Some(text) => serializer.serialize_str(&text),
                None => serializer.serialize_u64(**value),
            },
            Field::Time(value, _) => serializer.serialize_str(&units::format_time(**value)),
            Field::Keyword(value) => serializer.serialize_str(value.word()),
            Field::Workers(Workers::Auto) => serializer.serialize_str("auto"),
            Field::Workers(Workers::Count(count)) => serializer.serialize_u16(count.get()),
            Field::Account(value) => serializer.serialize_str(value),
            Field::Directory(value) => serializer.serialize_str(&value.to_string_lossy()),
            Field::Socket(value) => {
                serializer.serialize_str(&value.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default())
            }
            Field::Address(value) => serializer.collect_str(value),
            Field::Networks(value) => serializer.collect_seq(value.iter().map(ToString::to_string)),
        }
    }
}

/// A network in a list.
pub(super) struct Network(pub(super) IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
        struct NetworkVisitor;
        impl Visitor<'_> for NetworkVisitor {
            type Value = Network;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a network or an address such as \"10.0.0.0/8\", \"192.0.2.7\" or \"2001:db8::/32\"")
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Network, E> {
                units::parse_network(value).map(Network).map_err(|error| match error {
                    NetworkError::Form => E::invalid_value(Unexpected::Str(value), &self),
                    NetworkError::HostBits(meant) => E::custom(format_args!(
                        "{value:?} has bits after its prefix, expected {:?} or the address alone",
                        meant.to_string()
                    )),
                })
            }
        }
        deserializer.deserialize_any(NetworkVisitor)
    }
}

struct Sizes<'r>(&'r RangeInclusive<u64>);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |bytes: u64| units::format_size(bytes).unwrap_or_else(|| format!("{bytes} B"));
        let (least, most) = (written(*self.0.start()), written(*self.0.end()));
        write!(f, "{least} to {most}, as a number of bytes or such as \"64 KiB\" (B, kB, MB, GB, KiB, MiB, GiB)")
    }
}

fn is_account(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':' || c == '/')
}

/// Converts an IPv4-mapped address to IPv4, because a dual-stack socket cannot be bound to it.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}
