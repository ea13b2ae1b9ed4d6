//! Parses numbers in an answer, and its first line.

/// Parses the first line of an answer. Returns the code and the offset of the text, or `None` if the line is invalid.
pub(super) fn status(line: &[u8]) -> Option<(u16, usize)> {
    let digits = line.iter().position(|&byte| byte == b' ').filter(|digits| (1..=3).contains(digits))?;
    let code = u16::try_from(number(&line[..digits])?).ok()?;
    let is_valid = code == 0 || (100..300).contains(&code);
    (is_valid && line.len() > digits + 1).then_some((code, digits + 1))
}

/// Parses one or more decimal digits without leading zeros. `None` if invalid or beyond 64 bits.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let mut value = None;
    for &byte in text {
        value = Some(push_digit(value, byte)?);
    }
    value
}

/// Appends the digit `byte` to the number `value`, which is `None` before its first digit.
pub(super) fn push_digit(value: Option<u64>, byte: u8) -> Option<u64> {
    let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
    match value {
        None => Some(digit),
        // A leading zero. Without this, endless zeros would be accepted.
        Some(0) => None,
        Some(value) => value.checked_mul(10)?.checked_add(digit),
    }
}
