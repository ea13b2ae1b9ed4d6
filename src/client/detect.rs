//! Tells the encoding of a server by its answer to a request for one byte.
//!
//! Of a longer slice that would be a guess: bytes of a file may look like a fragment or like base64. One byte is followed
//! by CR (plain), or is `1` and a space (a fragment), or takes four characters of which the third is `=` (base64), or
//! comes after `Content-Length` (raw).

use crate::wire::answer_reader::LINE_MAX;
use crate::wire::{CRLF, Encoding};

/// What the beginning of an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Too little has come.
    Nothing,
    /// It has no bytes: its code is not 0, or its first line is none.
    NoSlice,
    /// Its encoding.
    Slice(Encoding),
    /// It begins with 0, and is in no encoding.
    Unknown,
}

/// Looks at the beginning of the answer to a request for a slice of one byte, or of none. Plain and base64 cannot be told
/// apart by a slice without bytes: they are the same then.
pub(super) fn encoding_of(answer: &[u8], has_byte: bool) -> Shown {
    if !answer.starts_with(b"0 ") {
        return if b"0 ".starts_with(answer) { Shown::Nothing } else { Shown::NoSlice };
    }
    let Some(end) = answer.windows(CRLF.len()).position(|two| two == CRLF) else {
        return if answer.len() > LINE_MAX { Shown::NoSlice } else { Shown::Nothing };
    };
    match &answer[end + CRLF.len()..] {
        [b'\r', ..] if !has_byte => Shown::Slice(Encoding::Plain),
        [b'0', b' ', ..] if !has_byte => Shown::Slice(Encoding::Fragments),
        [] | [_] => Shown::Nothing,
        [_, b'\r', ..] => Shown::Slice(Encoding::Plain),
        [b'1', b' ', ..] => Shown::Slice(Encoding::Fragments),
        [_, _] => Shown::Nothing,
        [_, _, b'=', ..] => Shown::Slice(Encoding::Base64),
        [b'C', b'o', b'n', ..] => Shown::Slice(Encoding::Raw),
        _ => Shown::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_shows_every_encoding() {
        for byte in 0..=u8::MAX {
            let mut base64 = String::from("0 OK\r\n");
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            base64.push(alphabet[usize::from(byte >> 2)].into());
            base64.push(alphabet[usize::from(byte & 3) << 4].into());
            base64.push_str("==\r\n");
            let answers = [
                (Encoding::Raw, [b"0 OK\r\nContent-Length: 1\r\n\r\n", &[byte][..]].concat()),
                (Encoding::Fragments, [b"0 OK\r\n1 ", &[byte][..], b"\r\n0 \r\n"].concat()),
                (Encoding::Plain, [b"0 OK\r\n", &[byte][..], b"\r\n"].concat()),
                (Encoding::Base64, base64.into_bytes()),
            ];
            for (encoding, answer) in answers {
                assert_eq!(encoding_of(&answer, true), Shown::Slice(encoding), "{byte}");
                for cut in 0..answer.len() {
                    let shown = encoding_of(&answer[..cut], true);
                    assert!(
                        [Shown::Nothing, Shown::Slice(encoding)].contains(&shown),
                        "{byte}, {cut} bytes: {shown:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn slices_without_bytes_are_told_apart_as_far_as_they_differ() {
        let table = [
            ("0 OK\r\n\r\n", Encoding::Plain),
            ("0 OK\r\n0 \r\n", Encoding::Fragments),
            ("0 OK\r\nContent-Length: 0\r\n\r\n", Encoding::Raw),
        ];
        for (answer, encoding) in table {
            assert_eq!(encoding_of(answer.as_bytes(), false), Shown::Slice(encoding), "{answer:?}");
        }
    }

    #[test]
    fn other_answers_show_none() {
        let table = [
            (&b""[..], Shown::Nothing),
            (b"201 INVALID ARGUMENTS FOR COMMAND\r\n", Shown::NoSlice),
            (b"199", Shown::NoSlice),
            (b"HTTP/1.1 400", Shown::NoSlice),
            (b"0 OK\r\nxyz", Shown::Unknown),
            (b"0 OK\r\n10 ", Shown::Unknown),
            (&[b"0 ", &[b'x'; 600][..]].concat(), Shown::NoSlice),
        ];
        for (answer, shown) in table {
            assert_eq!(encoding_of(answer, true), shown, "{}", answer.escape_ascii());
        }
    }
}
