//! A slice of a file as it stands on the wire.
//!
//! The bytes of a slice's answer are a function of the file and of the place that was reached: nothing of them is kept.
//! What the client did not take is made again when it takes more, so that a client that reads nothing costs no buffer.
//!
//! A slice is a sequence of *units*: fragments, lines of base64, or one unit for the whole. A unit has a head (the
//! length of a fragment), a payload (bytes of the file, encoded or not) and an end.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::PAD;

use super::buffer::Buffer;
use super::chunk_size::{CHUNK, ChunkSize};
use crate::handle::{OpenFile, ReadError, Wait};
use crate::wire::Encoding;
use crate::wire::answer::{self, CRLF, LAST_FRAGMENT};

/// Up to this many bytes in a row are copied; beyond it the kernel sends them from the file.
pub(super) const COPIED: u64 = 32 * 1024;

/// What is left of a slice, and how it is framed.
#[derive(Debug)]
pub(super) struct Slice {
    file: Arc<OpenFile>,
    /// Where it ends in the file.
    end: u64,
    framing: Framing,
    unit: Unit,
    /// Whether bytes of it were sent from the file by the kernel.
    sent_by_kernel: bool,
}

#[derive(Debug)]
enum Framing {
    Raw,
    Plain,
    /// Of a length that is adapted to the client, if there is more than one.
    Fragments(Option<Box<ChunkSize>>),
    /// In lines of so many bytes of the slice, a multiple of 3; 0 is one line.
    Base64(u32),
}

/// A fragment, a line, or the whole slice.
#[derive(Debug, Clone, Copy)]
struct Unit {
    /// Where its payload is in the file.
    start: u64,
    length: u64,
    /// Bytes of it that were sent, head and all.
    sent: u64,
}

/// How far making the bytes of an answer came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Encoded {
    /// To its end.
    All,
    /// As far as there was room.
    Full,
    /// To bytes that the kernel is to send from the file.
    Large,
}

/// What the bytes of a slice are made with.
pub(super) struct Encoder {
    /// Whether reading may wait for a disk.
    pub(super) wait: Wait,
    /// Bytes of the file that are to be encoded, and where they begin in it.
    plain: Buffer,
    plain_start: u64,
    /// Encodes base64 (RFC 4648 section 4) with what the processor has for it.
    base64: Simd,
}

impl Encoder {
    pub(super) fn new(wait: Wait) -> Encoder {
        Encoder { wait, plain: Buffer::default(), plain_start: 0, base64: Simd::standard(PAD) }
    }

    /// What was read of the file from `offset` on.
    fn plain_from(&self, offset: u64) -> &[u8] {
        let at = offset.checked_sub(self.plain_start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.plain.bytes().get(at..)).unwrap_or_default()
    }
}

impl Slice {
    /// A slice of a listener's encoding, or a raw one if that is `None`.
    pub(super) fn new(file: Arc<OpenFile>, offset: u64, size: u64, encoding: Option<Encoding>, now: Instant) -> Slice {
        let framing = match encoding {
            None => Framing::Raw,
            Some(Encoding::Plain) => Framing::Plain,
            Some(Encoding::Fragments) => Framing::Fragments((size > CHUNK).then(|| Box::new(ChunkSize::new(now)))),
            Some(Encoding::Base64 { line }) => Framing::Base64(line),
        };
        let end = offset + size;
        let unit = Unit { start: offset, length: 0, sent: 0 };
        let mut slice = Slice { file, end, framing, unit, sent_by_kernel: false };
        slice.unit = slice.unit_at(offset);
        slice
    }

    /// The unit whose payload begins there.
    fn unit_at(&self, start: u64) -> Unit {
        let left = self.end - start;
        let length = match &self.framing {
            Framing::Raw | Framing::Plain | Framing::Base64(0) => left,
            Framing::Fragments(chunk_size) => chunk_size.as_ref().map_or(left, |chunk_size| left.min(chunk_size.chunk)),
            Framing::Base64(line) => left.min(u64::from(*line)),
        };
        Unit { start, length, sent: 0 }
    }

    /// The unit after this one; `None` after the last.
    fn after(&self, unit: Unit) -> Option<Unit> {
        let start = unit.start + unit.length;
        (start < self.end).then(|| self.unit_at(start))
    }

    fn head(&self, unit: Unit, out: &mut Buffer) {
        if let Framing::Fragments(_) = self.framing
            && unit.length > 0
        {
            answer::fragment_head(out, unit.length);
        }
    }

    fn head_length(&self, unit: Unit) -> u64 {
        match self.framing {
            Framing::Fragments(_) => unit.length.checked_ilog10().map_or(0, |digits| u64::from(digits) + 2),
            _ => 0,
        }
    }

    /// How long the payload is on the wire.
    fn payload_length(&self, unit: Unit) -> u64 {
        match self.framing {
            Framing::Base64(_) => unit.length.div_ceil(3) * 4,
            _ => unit.length,
        }
    }

    /// What follows the payload: one piece, and another after the last.
    fn ends(&self, unit: Unit) -> [&'static [u8]; 2] {
        let is_last = unit.start + unit.length == self.end;
        match self.framing {
            Framing::Raw => [b"", b""],
            Framing::Plain | Framing::Base64(_) => [CRLF, b""],
            Framing::Fragments(_) => {
                [if unit.length > 0 { CRLF } else { b"" }, if is_last { LAST_FRAGMENT } else { b"" }]
            }
        }
    }

    fn wire_length(&self, unit: Unit) -> u64 {
        let ends: usize = self.ends(unit).iter().map(|end| end.len()).sum();
        self.head_length(unit) + self.payload_length(unit) + ends as u64
    }

    /// Bytes of the file that are still to be sent.
    pub(super) fn left(&self) -> u64 {
        self.end - self.unit.start - (self.unit.length - self.run().map_or(0, |(_, length)| length))
    }

    /// Of the `count` bytes that were sent, takes those that belong to it. Returns how many.
    pub(super) fn advance(&mut self, count: u64) -> u64 {
        let mut left = count;
        loop {
            let taken = left.min(self.wire_length(self.unit) - self.unit.sent);
            self.unit.sent += taken;
            left -= taken;
            match self.after(self.unit) {
                Some(next) if self.unit.sent == self.wire_length(self.unit) => self.unit = next,
                _ => return count - left,
            }
        }
    }

    /// Whether nothing is left of it.
    pub(super) fn is_sent(&self) -> bool {
        self.after(self.unit).is_none() && self.unit.sent == self.wire_length(self.unit)
    }

    /// What of the unit's payload is still to be sent: from where in the file, and how many bytes of it.
    fn run(&self) -> Option<(u64, u64)> {
        let sent = self.unit.sent.saturating_sub(self.head_length(self.unit));
        let sent = match self.framing {
            Framing::Base64(_) => sent / 4 * 3,
            _ => sent,
        };
        (sent < self.unit.length).then(|| (self.unit.start + sent, self.unit.length - sent))
    }

    /// The device that it is read from.
    pub(super) fn device(&self) -> u64 {
        self.file.stat().device
    }

    /// Whether reading it may hang though other files of its device can be read.
    pub(super) fn hangs_alone(&self) -> bool {
        self.file.hangs_alone()
    }

    /// Whether a thread sends it, rather than an event loop: it is large, or reading it may wait.
    pub(super) fn is_for_thread(&self) -> bool {
        let left = self.left();
        left > COPIED || (left > 0 && !self.file.is_read_without_waiting())
    }

    /// Bytes that the kernel is to send from the file now, unless some are to be copied first.
    ///
    /// The last bytes of a slice are always copied, once it is known that the file is as long as it was: the kernel would
    /// send zeros in place of bytes that are cut off a file meanwhile.
    pub(super) fn for_kernel(&self) -> Option<(&OpenFile, u64, u64)> {
        if matches!(self.framing, Framing::Base64(_)) || self.unit.sent < self.head_length(self.unit) {
            return None;
        }
        let (offset, length) = self.run()?;
        let left = self.end - offset;
        (length > COPIED && left > COPIED).then(|| (&*self.file, offset, length.min(left - COPIED / 2)))
    }

    /// `count` bytes were sent by the kernel.
    pub(super) fn sent_by_kernel(&mut self, count: u64) {
        self.sent_by_kernel = true;
        self.advance(count);
    }

    /// Adapts the length of fragments to how fast the client takes them; `sent` bytes of the answer were.
    pub(super) fn adapt(&mut self, sent: u64, now: Instant) {
        if let Framing::Fragments(Some(chunk_size)) = &mut self.framing {
            chunk_size.adapt(sent, now);
        }
    }

    /// Appends what comes next, until `out` holds `limit` bytes.
    pub(super) fn make(&self, limit: usize, out: &mut Buffer, encoder: &mut Encoder) -> Result<Encoded, ReadError> {
        encoder.plain.clear();
        let mut next = Some(self.unit);
        while let Some(unit) = next {
            let mut sent = unit.sent;
            if sent < self.head_length(unit) {
                let start = out.len();
                self.head(unit, out);
                skip(out, start, &mut sent);
            } else {
                sent -= self.head_length(unit);
            }
            let length = self.payload_length(unit);
            if sent < length {
                let made = match self.framing {
                    Framing::Base64(_) => self.encode(unit, sent, limit, out, encoder)?,
                    _ => self.copy(unit, sent, limit, out, encoder)?,
                };
                if made != Encoded::All {
                    return Ok(made);
                }
                sent = 0;
            } else {
                sent -= length;
            }
            for end in self.ends(unit) {
                let start = out.len();
                out.append(end);
                skip(out, start, &mut sent);
            }
            next = self.after(unit);
            if next.is_some() && out.len() >= limit {
                return Ok(Encoded::Full);
            }
        }
        Ok(Encoded::All)
    }

    /// Appends the payload of a unit, of which `sent` bytes were sent.
    fn copy(
        &self,
        unit: Unit,
        sent: u64,
        limit: usize,
        out: &mut Buffer,
        encoder: &mut Encoder,
    ) -> Result<Encoded, ReadError> {
        let (offset, length) = (unit.start + sent, unit.length - sent);
        let left = self.end - offset;
        if length > COPIED && left > COPIED {
            return Ok(Encoded::Large);
        }
        if self.sent_by_kernel && length == left && self.file.is_shorter_than(self.end) {
            return Err(ReadError::Shrank);
        }
        let count = length.min(limit.saturating_sub(out.len()) as u64) as usize;
        if count == 0 {
            return Ok(Encoded::Full);
        }
        let read = self.file.read(offset, out.spare_mut(count), encoder.wait)?;
        out.commit(read);
        Ok(if read as u64 == length { Encoded::All } else { Encoded::Full })
    }

    /// Appends the payload of a unit in base64, of which `sent` bytes were sent.
    fn encode(
        &self,
        unit: Unit,
        sent: u64,
        limit: usize,
        out: &mut Buffer,
        encoder: &mut Encoder,
    ) -> Result<Encoded, ReadError> {
        let mut skipped = sent % 4;
        let (offset, length) = (unit.start + sent / 4 * 3, unit.length - sent / 4 * 3);
        // At least one group, or nothing would ever be made.
        let room = ((limit.saturating_sub(out.len()) as u64 + skipped) / 4 * 3).max(3);
        if out.len() >= limit {
            return Ok(Encoded::Full);
        }
        if encoder.plain_from(offset).is_empty() {
            // Short lines share a read.
            let count = room.min(self.end - offset) as usize;
            encoder.plain.clear();
            encoder.plain_start = offset;
            let read = self.file.read(offset, encoder.plain.spare_mut(count), encoder.wait)?;
            encoder.plain.commit(read);
        }
        let plain = encoder.plain_from(offset);
        let count = plain.len().min(length.min(room) as usize);
        // All of it, or whole groups.
        let is_all = count as u64 == length;
        let count = if is_all { count } else { count / 3 * 3 };
        if count == 0 {
            // In the middle of a group the file ends, fails or is not in memory.
            let after = offset + plain.len() as u64;
            return Err(self.file.read(after, &mut [0], encoder.wait).err().unwrap_or(ReadError::WouldWait));
        }
        let start = out.len();
        let made = encoder.base64.encode_slice(&plain[..count], out.spare_mut(count.div_ceil(3) * 4));
        out.commit(made.expect("there is room for four bytes for every three"));
        skip(out, start, &mut skipped);
        Ok(if is_all { Encoded::All } else { Encoded::Full })
    }
}

/// Takes out of what was appended from `start` on the bytes that were sent already.
fn skip(out: &mut Buffer, start: usize, sent: &mut u64) {
    let count = (out.len() - start).min(usize::try_from(*sent).unwrap_or(usize::MAX));
    if count > 0 {
        out.remove(start, count);
        *sent -= count as u64;
    }
}
