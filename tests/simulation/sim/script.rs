//! Random requests: valid, damaged, and sequences of random elements.

use super::rng::Rng;

/// Names for requests, with the sizes of their files.
pub(crate) struct Catalogue {
    pub(crate) names: Vec<(Vec<u8>, usize)>,
}

const COMMANDS: [&str; 5] = ["get_file_listing", "get_metadata", "get_slice", "help", "quit"];

const ODD_NAMES: &[&[u8]] = &[
    b".",
    b"..",
    b"../a",
    b"/etc/passwd",
    b"a/b",
    b"absent",
    b"no_such.file-1",
    b"a@b",
    b"a\tb",
    b"a\0b",
    b"\xc3\xa9",
    b"~",
    b"a:b",
    b"*",
    b"",
    b"-",
    b"A10",
    b"a\rb",
    b"%00",
    b"sub/..",
];

const ODD_NUMBERS: &[&str] = &[
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "99999999999999999999",
    "4294967296",
    "-1",
    "+1",
    "0x10",
    "1e3",
    "1.0",
    "",
    "00",
    "1 ",
    "\t1",
    "a",
    "18446744073709551617",
];

impl Catalogue {
    /// A request with its end of line. With `fatal` percent probability it ends the connection; others may do so by
    /// chance.
    pub(crate) fn request(&self, rng: &mut Rng, fatal: usize) -> Vec<u8> {
        if rng.chance(fatal) {
            return self.fatal(rng);
        }
        let mut line = match rng.weighted(&[60, 20, 10, 2]) {
            0 => self.well_formed(rng, 4),
            1 => {
                let mut line = self.well_formed(rng, 4);
                for _ in 0..rng.between(1, 3) {
                    damage(rng, &mut line);
                }
                line
            }
            2 => self.words(rng),
            _ => self.long(rng),
        };
        line.extend_from_slice(b"\r\n");
        line
    }

    /// One of the first `commands` commands, with arguments.
    fn well_formed(&self, rng: &mut Rng, commands: usize) -> Vec<u8> {
        let command = COMMANDS[[0, 1, 2, 3, 4][rng.weighted(&[1, 5, 12, 1, 1][..commands])]];
        let mut line = command.as_bytes().to_vec();
        if command == "get_metadata" || command == "get_slice" {
            let (name, size) = self.name(rng);
            line.push(b' ');
            line.extend_from_slice(&name);
            if command == "get_slice" {
                let raw = if rng.chance(30) { " raw" } else { "" };
                line.extend_from_slice(format!(" {}{raw}", numbers(rng, size)).as_bytes());
            }
        }
        line
    }

    fn name(&self, rng: &mut Rng) -> (Vec<u8>, usize) {
        if !self.names.is_empty() && !rng.chance(12) {
            return rng.pick(&self.names).clone();
        }
        if rng.chance(20) {
            let length = *rng.pick(&[254, 255, 256, 257, 300]);
            return (vec![b'n'; length], 0);
        }
        (rng.pick(ODD_NAMES).to_vec(), 0)
    }

    /// Random elements with random separators.
    fn words(&self, rng: &mut Rng) -> Vec<u8> {
        let mut line = Vec::new();
        for _ in 0..rng.between(1, 6) {
            match rng.below(4) {
                0 => line.extend_from_slice(rng.pick(&COMMANDS).as_bytes()),
                1 => line.extend_from_slice(&self.name(rng).0),
                2 => line.extend_from_slice(rng.pick(ODD_NUMBERS).as_bytes()),
                _ => line.extend_from_slice(rng.pick(&["raw", "RAW", "ra", "raww", "GET", "get", "x"]).as_bytes()),
            }
            line.extend_from_slice(rng.pick(&[" ", " ", " ", " ", "  ", "\t", "", "\r", " \r"]).as_bytes());
        }
        line
    }

    fn long(&self, rng: &mut Rng) -> Vec<u8> {
        let length = *rng.pick(&[240, 271, 272, 273, 300, 509, 510, 511, 512, 513, 600, 1000]);
        let mut line = rng.pick(&["get_metadata ", "get_slice ", "help ", "", "get_slice a10 1 "]).as_bytes().to_vec();
        let filler = *rng.pick(b"aaa0 @\r");
        line.resize(length.max(line.len()), filler);
        if rng.chance(30) {
            line.extend_from_slice(b" 0 1");
        }
        line
    }

    fn fatal(&self, rng: &mut Rng) -> Vec<u8> {
        match rng.below(6) {
            0 => b"\r\n".to_vec(),
            1 => [&b" \r\n"[..], b"\t\r\n", b" \t \r\n"][rng.below(3)].to_vec(),
            2 => b"\n".to_vec(),
            3 => {
                let mut line = self.well_formed(rng, 5);
                let at = rng.below(line.len() + 1);
                line.insert(at, b'\n');
                line.extend_from_slice(b"\r\n");
                line
            }
            4 => b"quit\r\n".to_vec(),
            _ => {
                let length = rng.between(513, 2500);
                let mut line = vec![b'x'; length];
                line.extend_from_slice([&b"\r\n"[..], b"\n", b"\r\r\n"][rng.below(3)]);
                line
            }
        }
    }
}

/// An offset and a size.
fn numbers(rng: &mut Rng, size: usize) -> String {
    let mut number = |most: usize| match rng.weighted(&[30, 15, 10, 10, 8]) {
        0 => rng.below(most + 1).to_string(),
        1 => rng.below(most.min(20) + 1).to_string(),
        2 => most.to_string(),
        3 => (most + rng.below(3)).saturating_sub(1).to_string(),
        _ => (*rng.pick(ODD_NUMBERS)).to_owned(),
    };
    let offset = number(size);
    let rest = size.saturating_sub(offset.parse().unwrap_or(0));
    let length = number(rest);
    let zeros = "0".repeat(if rng.chance(10) { rng.between(1, 30) } else { 0 });
    if rng.chance(50) { format!("{zeros}{offset} {length}") } else { format!("{offset} {zeros}{length}") }
}

/// Changes a few bytes of a line. Inserts no LF.
fn damage(rng: &mut Rng, line: &mut Vec<u8>) {
    let at = rng.below(line.len() + 1);
    let byte = *rng.pick(b" \t\r\0aZ09-_./\\@~\x7f\x80\xff+=");
    match rng.below(7) {
        0 => line.insert(at, byte),
        1 if at < line.len() => line[at] = byte,
        2 if at < line.len() => drop(line.remove(at)),
        3 if at < line.len() => line[at] ^= 0x20,
        4 => line.truncate(at.max(1)),
        5 => line.extend_from_slice([&b" raw"[..], b" 1", b" ", b"\r"][rng.below(4)]),
        _ => {
            let copy = line[at..].to_vec();
            line.extend_from_slice(&copy);
        }
    }
    line.retain(|&byte| byte != b'\n');
}
