//! Random choices from a seed or from the bytes of a fuzzer. Equal input gives equal choices.

/// A source of choices.
#[derive(Clone)]
pub(crate) struct Rng {
    state: u64,
    /// Used before the state: one byte or four a choice.
    bytes: Vec<u8>,
    at: usize,
}

impl Rng {
    pub(crate) fn seeded(seed: u64) -> Rng {
        Rng { state: seed, bytes: Vec::new(), at: 0 }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Rng {
        Rng { state: bytes.len() as u64, bytes: bytes.to_vec(), at: 0 }
    }

    /// splitmix64
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `count - 1`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let wanted = if count <= 256 { 1 } else { 4 };
        let number = match self.bytes.get(self.at..self.at + wanted) {
            Some(bytes) => {
                self.at += wanted;
                bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
            }
            None => self.next() >> 16,
        };
        usize::try_from(number % count.max(1) as u64).expect("less than a usize")
    }

    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high + 1 - low)
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        percent > 0 && self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// The index of one of the weights, with a probability in proportion to the weight.
    pub(crate) fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (place, &weight) in weights.iter().enumerate() {
            if left < weight {
                return place;
            }
            left -= weight;
        }
        unreachable!("the sum of the weights is larger")
    }
}
