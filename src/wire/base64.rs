//! Decodes padded base64 (RFC 4648, section 4) incrementally.

/// The value of each character of the alphabet; [`INVALID`] for other bytes.
const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [INVALID; 256];
    let mut value = 0;
    while value < alphabet.len() {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// A bit that no value has.
const INVALID: u8 = 0x80;

/// The value of each character at each of the four places of a group; [`INVALID_GROUP`] for other bytes.
static SHIFTED: [[u32; 256]; 4] = {
    let mut shifted = [[INVALID_GROUP; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut byte = 0;
        while byte < 256 {
            if VALUES[byte] != INVALID {
                shifted[place][byte] = (VALUES[byte] as u32) << (18 - 6 * place);
            }
            byte += 1;
        }
        place += 1;
    }
    shifted
};

/// A bit that no group has.
const INVALID_GROUP: u32 = 1 << 31;

/// The text is not valid base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotBase64;

/// Decodes a sequence of lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoder {
    /// The characters of the incomplete group, 6 bits each.
    group: u32,
    /// The number of characters in `group`, including padding.
    held: u8,
    /// The number of padding characters in `group`. After a group with padding the line must end.
    padding: u8,
}

/// A decoded group of 1 to 3 bytes.
pub(super) struct Group {
    bytes: [u8; 3],
    length: usize,
}

impl Group {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Decoder {
    /// Decodes valid groups without padding from the beginning of `text`, until one is not valid or `out` is full.
    /// Returns their number. Each has 4 characters and 3 bytes.
    pub(super) fn decode_groups(&self, text: &[u8], out: &mut [u8]) -> usize {
        if self.held > 0 || self.padding > 0 {
            return 0;
        }
        let mut count = 0;
        for (characters, bytes) in text.chunks_exact(4).zip(out.chunks_exact_mut(3)) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|at| usize::from(characters[at]));
            let group = SHIFTED[0][a] | SHIFTED[1][b] | SHIFTED[2][c] | SHIFTED[3][d];
            if group & INVALID_GROUP != 0 {
                break;
            }
            bytes.copy_from_slice(&group.to_be_bytes()[1..]);
            count += 1;
        }
        count
    }

    /// Adds one character. Returns the group if the character completes it.
    pub(super) fn push(&mut self, character: u8) -> Result<Option<Group>, NotBase64> {
        if self.held == 0 && self.padding > 0 {
            return Err(NotBase64);
        }
        let value = if character == b'=' && self.held >= 2 {
            self.padding += 1;
            0
        } else {
            VALUES[usize::from(character)]
        };
        if value == INVALID || (self.padding > 0 && character != b'=') {
            return Err(NotBase64);
        }
        self.group = self.group << 6 | u32::from(value);
        self.held += 1;
        if self.held < 4 {
            return Ok(None);
        }
        let [_, bytes @ ..] = self.group.to_be_bytes();
        let length = 3 - usize::from(self.padding);
        (self.group, self.held) = (0, 0);
        // Unused bits must be zero, so that each byte sequence has only one encoding.
        if bytes[length..].iter().any(|&byte| byte != 0) { Err(NotBase64) } else { Ok(Some(Group { bytes, length })) }
    }

    /// Ends a line. An error if a group is incomplete.
    pub(super) fn end_line(&mut self) -> Result<(), NotBase64> {
        self.padding = 0;
        if self.held == 0 { Ok(()) } else { Err(NotBase64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8]) -> Result<Vec<u8>, NotBase64> {
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        for &character in text {
            if let Some(group) = decoder.push(character)? {
                out.extend_from_slice(group.bytes());
            }
        }
        decoder.end_line()?;
        Ok(out)
    }

    #[test]
    fn test_vectors_of_rfc_4648_and_every_value_are_decoded() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes.as_bytes()), "{text}");
        }
        let text = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bytes = decode(text).expect("the alphabet");
        let mut at_once = [0; 48];
        assert_eq!(Decoder::default().decode_groups(text, &mut at_once), 16);
        assert_eq!(bytes, at_once);
        for (at, bits) in (0..64).enumerate() {
            let (byte, shift) = (at * 6 / 8, at * 6 % 8);
            let two = u16::from_be_bytes([bytes[byte], bytes.get(byte + 1).copied().unwrap_or(0)]);
            assert_eq!(two << shift >> 10, bits, "character {at}");
        }
    }

    #[test]
    fn invalid_text_is_rejected() {
        for text in ["Z", "Zg", "Zg=", "Zg=a", "=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zg===", "Zm9 ", "Zm-_"]
        {
            assert_eq!(decode(text.as_bytes()), Err(NotBase64), "{text}");
        }
    }

    #[test]
    fn decode_groups_stops_at_padding_and_invalid_characters() {
        let decoder = Decoder::default();
        let mut out = [0; 9];
        for (text, count) in [("Zm9vYg==", 1), ("Zm9vZm9vZm9vZm9v", 3), ("Zm9vZm9\r\n", 1), ("Zm9", 0), ("Z\r\nZ", 0)] {
            assert_eq!(decoder.decode_groups(text.as_bytes(), &mut out), count, "{text:?}");
        }
    }
}
