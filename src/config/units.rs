//! Sizes, times and networks: parsing and formatting.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

/// One KiB, in bytes.
pub(super) const KIB: u64 = 1 << 10;
/// One MiB, in bytes.
pub(super) const MIB: u64 = 1 << 20;
/// One GiB, in bytes.
pub(super) const GIB: u64 = 1 << 30;

/// The units of a size. The first three are used to format sizes. Larger units precede smaller ones.
const SIZES: [(&str, u64); 7] =
    [("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

/// The units of a time, in milliseconds. Larger units precede smaller ones.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a size such as `64 KiB` or `64KiB`, in bytes. The unit is required and case-sensitive.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, rest) = leading_number(text)?;
    let unit = rest.trim_start_matches(' ');
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*bytes)
}

/// Formats a size in the largest unit that divides it, such as `8 MiB`. Returns none if no unit does.
pub(super) fn format_size(bytes: u64) -> Option<String> {
    let (name, unit) = SIZES[..3].iter().find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit))?;
    Some(format!("{} {name}", bytes / unit))
}

/// Parses a time such as `30s`, `1h30m` or `1m 500ms`. Larger units precede smaller ones.
pub(super) fn parse_time(text: &str) -> Option<Duration> {
    let mut milliseconds = 0u64;
    let mut units = TIMES.as_slice();
    let mut rest = text;
    loop {
        let (number, after) = leading_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let place = units.iter().position(|(name, _)| *name == unit)?;
        milliseconds = milliseconds.checked_add(number.checked_mul(units[place].1)?)?;
        units = &units[place + 1..];
        if after.is_empty() {
            return Some(Duration::from_millis(milliseconds));
        }
        rest = after.trim_start_matches(' ');
    }
}

/// Formats a time in milliseconds; [`parse_time`] returns the same time.
pub(super) fn format_time(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, unit) in TIMES {
        if rest >= unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Why a network is invalid.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NetworkError {
    /// It is neither an address nor a network.
    Form,
    /// Bits after the prefix are set. Contains the network without them.
    HostBits(IpNet),
}

/// Parses a network or an address. Converts the IPv4-mapped form to IPv4, because the addresses of clients are converted
/// too.
pub(super) fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network = text.parse::<IpNet>().map_err(|_| NetworkError::Form)?;
    if network.trunc() != network {
        return Err(NetworkError::HostBits(network.trunc()));
    }
    Ok(unmapped(network))
}

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(length)) => Ipv4Net::new(v4, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

/// Splits off the leading decimal digits. Returns none if there are none, or if the number overflows.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let accepted = [
            ("64 KiB", 65_536),
            ("64KiB", 65_536),
            ("64  KiB", 65_536),
            ("8 MiB", 8_388_608),
            ("1 GiB", 1_073_741_824),
            ("64 kB", 64_000),
            ("3 MB", 3_000_000),
            ("3 GB", 3_000_000_000),
            ("512 B", 512),
            ("0B", 0),
            ("007 B", 7),
        ];
        for (text, bytes) in accepted {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        let refused = [
            "",
            " ",
            "64",
            "KiB",
            " 64 KiB",
            "64 KiB ",
            "64 KB",
            "64 kib",
            "64 k",
            "-1 B",
            "+1 B",
            "1.5 MiB",
            "1e3 B",
            "64\tKiB",
            "18446744073709551615 KiB",
            "99999999999999999999 B",
            "٣ B",
        ];
        for text in refused {
            assert_eq!(parse_size(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_written_back() {
        for (bytes, text) in [
            (0, None),
            (1, None),
            (1000, None),
            (1024, Some("1 KiB")),
            (1536, None),
            (8 << 20, Some("8 MiB")),
            (3 << 29, Some("1536 MiB")),
        ] {
            assert_eq!(format_size(bytes).as_deref(), text, "{bytes}");
            if let Some(text) = text {
                assert_eq!(parse_size(text), Some(bytes), "{text}");
            }
        }
    }

    #[test]
    fn times() {
        let accepted = [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("365d", 31_536_000_000),
            ("1m30s", 90_000),
            ("1h 30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90s", 90_000),
            ("18446744073709551s615ms", u64::MAX),
        ];
        for (text, milliseconds) in accepted {
            assert_eq!(parse_time(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        let refused = [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "30S",
            "30 s",
            " 30s",
            "30s ",
            "30sec",
            "30s1m",
            "1s1s",
            "1m30",
            "1us",
            "99999999999999999999s",
            "18446744073709551615d",
            "18446744073709551s616ms",
            "18446744073709551s616ms1",
        ];
        for text in refused {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
    }

    #[test]
    fn times_written_back() {
        for (milliseconds, text) in [
            (0, "0s"),
            (200, "200ms"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (300_000, "5m"),
            (86_400_000, "1d"),
            (93_784_005, "1d2h3m4s5ms"),
        ] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(format_time(time), text);
            assert_eq!(parse_time(text), Some(time));
        }
    }

    #[test]
    fn networks() {
        let accepted = [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::/0", "::/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/95", "::/95"),
        ];
        for (text, network) in accepted {
            assert_eq!(parse_network(text).map(|n| n.to_string()), Ok(network.to_owned()), "{text}");
        }
        for text in ["", "10", "10.0.0.0/33", "10.0.0.0/", "/8", "10.0.0/8", "host/8", "::/129", "10.0.0.0/8 "] {
            assert_eq!(parse_network(text), Err(NetworkError::Form), "{text:?}");
        }
        for (text, meant) in [("10.1.2.3/8", "10.0.0.0/8"), ("2001:db8::1/32", "2001:db8::/32")] {
            let meant = meant.parse().expect("the table holds networks");
            assert_eq!(parse_network(text), Err(NetworkError::HostBits(meant)), "{text}");
        }
    }
}
