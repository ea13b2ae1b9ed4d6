//! The numbers in an answer, and its first line.

/// The code in an answer's first line, and where the text begins.
pub(super) fn status(line: &[u8]) -> Option<(u16, usize)> {
    let digits = line.iter().position(|&byte| byte == b' ').filter(|digits| (1..=3).contains(digits))?;
    let code = u16::try_from(number(&line[..digits])?).ok()?;
    let known = code == 0 || (100..300).contains(&code);
    (known && line.len() > digits + 1).then_some((code, digits + 1))
}

/// One or more decimal digits, as numbers are written: with no zero before them.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let mut so_far = None;
    for &byte in text {
        so_far = Some(digit(so_far, byte)?);
    }
    so_far
}

/// A number with one digit more.
pub(super) fn digit(so_far: Option<u64>, byte: u8) -> Option<u64> {
    let value = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
    match so_far {
        None => Some(value),
        // However long it goes on, nothing comes of it.
        Some(0) => None,
        Some(so_far) => so_far.checked_mul(10)?.checked_add(value),
    }
}
