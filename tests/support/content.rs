//! File contents that depend on the file's seed and the offset.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::test_dir::set_mode;

/// The bytes of the file `seed` from `offset` on.
pub(crate) fn pattern(seed: u64, offset: u64, length: usize) -> Vec<u8> {
    let skip = usize::try_from(offset % 8).expect("less than 8");
    let first = offset / 8;
    let words = (skip + length).div_ceil(8) as u64;
    let mut bytes: Vec<u8> = (first..first + words).flat_map(|index| word(seed, index).to_le_bytes()).collect();
    bytes.drain(..skip);
    bytes.truncate(length);
    bytes
}

/// Writes the first `size` bytes of the file `seed` and returns their SHA-256.
pub(crate) fn write(path: &Path, seed: u64, size: u64) -> String {
    const STEP: u64 = 1 << 20;
    let mut file = BufWriter::new(File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    let mut hash = Sha256::new();
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(STEP.min(size - offset)).expect("a MiB");
        let bytes = pattern(seed, offset, length);
        hash.update(&bytes);
        file.write_all(&bytes).expect("space for a test file");
        offset += length as u64;
    }
    file.flush().expect("space for a test file");
    set_mode(path, 0o644);
    hex(hash)
}

pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares bytes with the file `seed` as they arrive.
pub(crate) struct Checker {
    seed: u64,
    pub(crate) offset: u64,
    pub(crate) wrong_at: Option<u64>,
}

impl Checker {
    pub(crate) fn new(seed: u64, offset: u64) -> Checker {
        Checker { seed, offset, wrong_at: None }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let wanted = pattern(self.seed, self.offset, bytes.len());
        if self.wrong_at.is_none() {
            let place = bytes.iter().zip(&wanted).position(|(byte, wanted)| byte != wanted);
            self.wrong_at = place.map(|place| self.offset + place as u64);
        }
        self.offset += bytes.len() as u64;
    }
}

/// splitmix64
fn word(seed: u64, index: u64) -> u64 {
    let mut z = (seed << 48).wrapping_add(index).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
