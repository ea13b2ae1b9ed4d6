//! Compares bytes with an expected answer.

use super::answer::{Answer, Part};

/// Compares bytes with an answer as they arrive.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    pub(crate) answer: Answer,
    /// The current part, and how many of its bytes have arrived.
    part: usize,
    at: usize,
    fragment: Fragment,
    /// The number of bytes that have arrived.
    pub(crate) taken: usize,
}

/// The position in a fragment.
#[derive(Clone, Debug)]
enum Fragment {
    Head(Vec<u8>),
    Body(usize),
    End,
    EndAfterCr,
}

/// The largest fragment that clients tolerate.
const LARGEST: usize = 5 << 20;

impl Match {
    pub(crate) fn new(answer: Answer) -> Match {
        let mut new = Match { answer, part: 0, at: 0, fragment: Fragment::Head(Vec::new()), taken: 0 };
        new.skip();
        new
    }

    /// Whether the answer is complete.
    pub(crate) fn is_whole(&self) -> bool {
        self.part == self.answer.parts.len()
    }

    /// Takes the bytes of this answer and returns their number, or the difference.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut used = 0;
        while used < bytes.len() && !self.is_whole() {
            let here = &bytes[used..];
            let count = match &self.answer.parts[self.part] {
                Part::Text(text) => compare(here, &text[self.at..])?,
                Part::Bytes(file, range) => compare(here, &file[range.start + self.at..range.end])?,
                Part::Fragments(file, range) => {
                    let left = &file[range.start + self.at..range.end];
                    let (count, of_slice) = self.fragment.take(here, left)?;
                    self.at += of_slice;
                    used += count;
                    self.taken += count;
                    self.skip();
                    continue;
                }
            };
            self.at += count;
            used += count;
            self.taken += count;
            self.skip();
        }
        Ok(used)
    }

    /// Continues with the next part if this one is complete.
    fn skip(&mut self) {
        while let Some(part) = self.answer.parts.get(self.part) {
            let complete = match part {
                Part::Text(text) => self.at == text.len(),
                Part::Bytes(_, range) => self.at == range.len(),
                Part::Fragments(_, range) => {
                    self.at == range.len() && matches!(&self.fragment, Fragment::Head(digits) if digits.is_empty())
                }
            };
            if !complete {
                break;
            }
            self.part += 1;
            self.at = 0;
        }
    }
}

fn compare(bytes: &[u8], wanted: &[u8]) -> Result<usize, String> {
    let count = bytes.len().min(wanted.len());
    if bytes[..count] == wanted[..count] {
        return Ok(count);
    }
    let at = bytes.iter().zip(wanted).position(|(byte, wanted)| byte != wanted).unwrap_or(0);
    let around = |bytes: &[u8]| bytes[at..bytes.len().min(at + 60)].escape_ascii().to_string();
    Err(format!("got \"{}\", expected \"{}\"", around(bytes), around(wanted)))
}

impl Fragment {
    /// Takes one step. Returns the number of bytes used, and how many of them belong to the slice.
    fn take(&mut self, bytes: &[u8], slice: &[u8]) -> Result<(usize, usize), String> {
        match (&mut *self, bytes[0]) {
            (Fragment::Head(digits), digit @ b'0'..=b'9') if digits.len() < 10 => {
                digits.push(digit);
                Ok((1, 0))
            }
            (Fragment::Head(digits), b' ') if !digits.is_empty() => {
                let length: usize = String::from_utf8_lossy(digits).parse().map_err(|_| "no length".to_owned())?;
                if length == 0 || length > slice.len() || length > LARGEST || digits[0] == b'0' {
                    return Err(format!("a fragment of {length} bytes with {} bytes left", slice.len()));
                }
                *self = Fragment::Body(length);
                Ok((1, 0))
            }
            (Fragment::Body(left), _) => {
                let count = compare(&bytes[..bytes.len().min(*left)], slice)?;
                *left -= count;
                if *left == 0 {
                    *self = Fragment::End;
                }
                Ok((count, count))
            }
            (Fragment::End, b'\r') => {
                *self = Fragment::EndAfterCr;
                Ok((1, 0))
            }
            (Fragment::EndAfterCr, b'\n') => {
                *self = Fragment::Head(Vec::new());
                Ok((1, 0))
            }
            (state, byte) => Err(format!("byte {byte:#04x} in a fragment, at {state:?}")),
        }
    }
}
