//! Random requests: valid, damaged, and sequences of random elements.

use super::dice::Dice;

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
    pub(crate) fn request(&self, dice: &mut Dice, fatal: usize) -> Vec<u8> {
        if dice.chance(fatal) {
            return self.fatal(dice);
        }
        let mut line = match dice.weighted(&[60, 20, 10, 2]) {
            0 => self.well_formed(dice, 4),
            1 => {
                let mut line = self.well_formed(dice, 4);
                for _ in 0..dice.between(1, 3) {
                    damage(dice, &mut line);
                }
                line
            }
            2 => self.words(dice),
            _ => self.long(dice),
        };
        line.extend_from_slice(b"\r\n");
        line
    }

    /// One of the first `commands` commands, with arguments.
    fn well_formed(&self, dice: &mut Dice, commands: usize) -> Vec<u8> {
        let command = COMMANDS[[0, 1, 2, 3, 4][dice.weighted(&[1, 5, 12, 1, 1][..commands])]];
        let mut line = command.as_bytes().to_vec();
        if command == "get_metadata" || command == "get_slice" {
            let (name, size) = self.name(dice);
            line.push(b' ');
            line.extend_from_slice(&name);
            if command == "get_slice" {
                let raw = if dice.chance(30) { " raw" } else { "" };
                line.extend_from_slice(format!(" {}{raw}", numbers(dice, size)).as_bytes());
            }
        }
        line
    }

    fn name(&self, dice: &mut Dice) -> (Vec<u8>, usize) {
        if !self.names.is_empty() && !dice.chance(12) {
            return dice.pick(&self.names).clone();
        }
        if dice.chance(20) {
            let length = *dice.pick(&[254, 255, 256, 257, 300]);
            return (vec![b'n'; length], 0);
        }
        (dice.pick(ODD_NAMES).to_vec(), 0)
    }

    /// Random elements with random separators.
    fn words(&self, dice: &mut Dice) -> Vec<u8> {
        let mut line = Vec::new();
        for _ in 0..dice.between(1, 6) {
            match dice.below(4) {
                0 => line.extend_from_slice(dice.pick(&COMMANDS).as_bytes()),
                1 => line.extend_from_slice(&self.name(dice).0),
                2 => line.extend_from_slice(dice.pick(ODD_NUMBERS).as_bytes()),
                _ => line.extend_from_slice(dice.pick(&["raw", "RAW", "ra", "raww", "GET", "get", "x"]).as_bytes()),
            }
            line.extend_from_slice(dice.pick(&[" ", " ", " ", " ", "  ", "\t", "", "\r", " \r"]).as_bytes());
        }
        line
    }

    fn long(&self, dice: &mut Dice) -> Vec<u8> {
        let length = *dice.pick(&[240, 271, 272, 273, 300, 509, 510, 511, 512, 513, 600, 1000]);
        let mut line = dice.pick(&["get_metadata ", "get_slice ", "help ", "", "get_slice a10 1 "]).as_bytes().to_vec();
        let filler = *dice.pick(b"aaa0 @\r");
        line.resize(length.max(line.len()), filler);
        if dice.chance(30) {
            line.extend_from_slice(b" 0 1");
        }
        line
    }

    fn fatal(&self, dice: &mut Dice) -> Vec<u8> {
        match dice.below(6) {
            0 => b"\r\n".to_vec(),
            1 => [&b" \r\n"[..], b"\t\r\n", b" \t \r\n"][dice.below(3)].to_vec(),
            2 => b"\n".to_vec(),
            3 => {
                let mut line = self.well_formed(dice, 5);
                let at = dice.below(line.len() + 1);
                line.insert(at, b'\n');
                line.extend_from_slice(b"\r\n");
                line
            }
            4 => b"quit\r\n".to_vec(),
            _ => {
                let length = dice.between(513, 2500);
                let mut line = vec![b'x'; length];
                line.extend_from_slice([&b"\r\n"[..], b"\n", b"\r\r\n"][dice.below(3)]);
                line
            }
        }
    }
}

/// An offset and a size.
fn numbers(dice: &mut Dice, size: usize) -> String {
    let mut number = |most: usize| match dice.weighted(&[30, 15, 10, 10, 8]) {
        0 => dice.below(most + 1).to_string(),
        1 => dice.below(most.min(20) + 1).to_string(),
        2 => most.to_string(),
        3 => (most + dice.below(3)).saturating_sub(1).to_string(),
        _ => (*dice.pick(ODD_NUMBERS)).to_owned(),
    };
    let offset = number(size);
    let rest = size.saturating_sub(offset.parse().unwrap_or(0));
    let length = number(rest);
    let zeros = "0".repeat(if dice.chance(10) { dice.between(1, 30) } else { 0 });
    if dice.chance(50) { format!("{zeros}{offset} {length}") } else { format!("{offset} {zeros}{length}") }
}

/// Changes a few bytes of a line. Inserts no LF.
fn damage(dice: &mut Dice, line: &mut Vec<u8>) {
    let at = dice.below(line.len() + 1);
    let byte = *dice.pick(b" \t\r\0aZ09-_./\\@~\x7f\x80\xff+=");
    match dice.below(7) {
        0 => line.insert(at, byte),
        1 if at < line.len() => line[at] = byte,
        2 if at < line.len() => drop(line.remove(at)),
        3 if at < line.len() => line[at] ^= 0x20,
        4 => line.truncate(at.max(1)),
        5 => line.extend_from_slice([&b" raw"[..], b" 1", b" ", b"\r"][dice.below(4)]),
        _ => {
            let copy = line[at..].to_vec();
            line.extend_from_slice(&copy);
        }
    }
    line.retain(|&byte| byte != b'\n');
}
