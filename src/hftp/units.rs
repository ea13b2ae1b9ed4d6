//! Values of options: durations, rates, ranges.

use std::time::Duration;

/// `30`, `30s`, `500ms`, `2m`, `1.5`
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; a time is a number of seconds, or with a unit: 500ms, 30s, 2m");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        _ => return Err(wrong()),
    };
    if (0.001..=86400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("{text:?} is out of range: a time is from 1ms to a day"))
    }
}

/// `500`, `20k`, `10M`, `1G`: bytes, as curl and wget take them.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; a size is a number of bytes, or with a unit: 500k, 10M, 1G");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().trim_end_matches("iB").trim_end_matches('B');
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// A rate is a size above 0.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("a rate is at least 1 byte a second".to_owned()),
        rate => Ok(rate),
    }
}

/// Bytes of a file: from an offset, and how many; none for all up to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) offset: u64,
    pub(super) size: Option<u64>,
}

/// `OFFSET:SIZE` or `OFFSET:`
pub(super) fn range(text: &str) -> Result<Range, String> {
    let wrong = || format!("{text:?} is no range; a range is OFFSET:SIZE, or OFFSET: up to the end");
    let (offset, length) = text.split_once(':').ok_or_else(wrong)?;
    let offset = size(offset).map_err(|_| wrong())?;
    let size = if length.is_empty() { None } else { Some(size(length).map_err(|_| wrong())?) };
    Ok(Range { offset, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!((size("500"), size("20k"), size("10MiB")), (Ok(500), Ok(20 << 10), Ok(10 << 20)));
        assert_eq!(range("3:4"), Ok(Range { offset: 3, size: Some(4) }));
        assert_eq!(range("1k:"), Ok(Range { offset: 1024, size: None }));
    }

    #[test]
    fn other_values_are_refused() {
        for text in ["", "-1", "1h", "x", "0", "1e9", "nan", "1..2"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        for text in ["", "-1", "1T", "99999999999999999999", "1.5M", "0"] {
            assert!(rate(text).is_err(), "{text:?}");
        }
        for text in ["", "3", ":", ":4", "a:b", "1:2:3", "-1:2"] {
            assert!(range(text).is_err(), "{text:?}");
        }
    }
}
