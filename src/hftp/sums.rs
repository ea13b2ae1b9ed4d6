//! Files of checksums, as sha256sum(1) writes them.

use std::collections::HashMap;

use super::exit::{Exit, Failure};

/// A SHA-256 sum.
pub(super) type Sum = [u8; 32];

/// The longest file of checksums that is read.
pub(super) const LONGEST: u64 = 64 << 20;

/// The sum of each name.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// The name of the file itself.
    name: String,
    sums: HashMap<String, Sum>,
}

impl Sums {
    /// Reads lines of a sum, a space, a space or `*`, and a name. A backslash before the sum, which sha256sum writes for
    /// names with a backslash or a line end, is refused with such names.
    pub(super) fn parse(name: &str, text: &[u8]) -> Result<Sums, Failure> {
        let mut sums = HashMap::new();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let wrong = || {
                let why = "a line is a SHA-256 sum in hexadecimal, two spaces, a name";
                Failure::new(Exit::Verification, format!("{name}:{}: {why}", number + 1))
            };
            let (sum, of) = line.split_at_checked(64).ok_or_else(wrong)?;
            let of = of.strip_prefix(b"  ").or_else(|| of.strip_prefix(b" *")).ok_or_else(wrong)?;
            let of = of.strip_prefix(b"./").unwrap_or(of);
            let of = String::from_utf8(of.to_vec()).map_err(|_| wrong())?;
            sums.insert(of, sum_of(sum).ok_or_else(wrong)?);
        }
        Ok(Sums { name: name.to_owned(), sums })
    }

    /// The sum that a file must have; none for the file of checksums itself.
    pub(super) fn of(&self, name: &str) -> Result<Option<Sum>, Failure> {
        match self.sums.get(name) {
            Some(sum) => Ok(Some(*sum)),
            None if name == self.name => Ok(None),
            None => Err(Failure::new(Exit::Verification, format!("{} has no line for it", self.name))),
        }
    }
}

fn sum_of(digits: &[u8]) -> Option<Sum> {
    let mut sum = Sum::default();
    for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(sum)
}

/// A failure of a file with another sum.
pub(super) fn mismatch(wanted: &Sum, found: &Sum) -> Failure {
    let text = |sum: &Sum| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let message = format!("its SHA-256 is {}, and should be {}; nothing was kept", text(found), text(wanted));
    Failure::new(Exit::Verification, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn lines_of_sha256sum_are_read() {
        let text = format!("{LINE}  a\n{} *b.bin\r\n\n# note\n{LINE}  ./c\n", LINE.to_uppercase());
        let sums = Sums::parse("SHA256SUMS", text.as_bytes()).expect("three sums");
        for name in ["a", "b.bin", "c"] {
            assert_eq!(sums.of(name).expect("a line").expect("a sum")[..3], [0xe3, 0xb0, 0xc4]);
        }
        assert_eq!(sums.of("SHA256SUMS"), Ok(None));
        assert!(sums.of("d").expect_err("no line").message.contains("no line"));
    }

    #[test]
    fn other_lines_are_refused_with_their_number() {
        for line in ["x", &LINE[1..], &format!("{LINE} a"), &format!("{}g  a", &LINE[1..]), &format!("{LINE}a  b")] {
            let failure = Sums::parse("S", format!("{LINE}  a\n{line}\n").as_bytes()).expect_err(line);
            assert!(failure.message.starts_with("S:2: "), "{}", failure.message);
        }
    }
}
