//! Random changes of inputs.

use crate::sim::rng::Rng;

/// Insertions: words of the protocol and of the configuration, and special bytes.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"  ",
    b"\t",
    b"\0",
    b"\xff",
    b"get_slice ",
    b"get_metadata ",
    b"get_file_listing",
    b"help",
    b"quit",
    b" raw",
    b"0 OK\r\n",
    b"199 ",
    b"0 \r\n",
    b"Content-Length: ",
    b"MzQ1Ng==",
    b"18446744073709551615",
    b"18446744073709551616",
    b"0",
    b"-1",
    b"\"",
    b"'",
    b"\"\"\"",
    b"[",
    b"]",
    b"[[listen]]\n",
    b"{",
    b"}",
    b"=",
    b"#",
    b".",
    b",",
    b"_",
    b"\\",
    b"\\u0000",
    b"1h30m",
    b"\"64 KiB\"",
    b"\"5m\"",
    b"true",
    b"nan",
    b"inf",
    b"0x7f",
    b"1979-05-27",
    b"10.0.0.0/8",
    b"[::]:0",
    b"\"auto\"",
    b"\"base64\"",
    "\u{e9}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{1f980}".as_bytes(),
];

/// One of the inputs with a few changes.
pub(crate) fn mutate(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    const LONGEST: usize = 6000;
    let mut input = rng.pick(corpus).clone();
    for _ in 0..rng.between(1, 8) {
        let at = rng.below(input.len() + 1);
        let end = at + rng.below(input.len() + 1 - at);
        match rng.below(8) {
            0 => drop(input.splice(at..at, rng.pick(WORDS).iter().copied())),
            1 => drop(input.splice(at..end.min(at + 8), rng.pick(WORDS).iter().copied())),
            2 if at < input.len() => input[at] ^= 1 << rng.below(8),
            3 if at < input.len() => input[at] = rng.below(256) as u8,
            4 => drop(input.drain(at..end)),
            5 => {
                let piece = input[at..end].to_vec();
                drop(input.splice(at..at, piece));
            }
            6 => {
                let other = rng.pick(corpus);
                let start = rng.below(other.len() + 1);
                drop(input.splice(at..at, other[start..].iter().copied()));
            }
            _ => {
                let length = rng.below(600);
                let byte = *rng.pick(b"a0 \"\n\xff");
                drop(input.splice(at..at, std::iter::repeat_n(byte, length)));
            }
        }
        input.truncate(LONGEST);
    }
    input
}
