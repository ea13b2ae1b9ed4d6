//! A slice of a file as it stands on the wire.
//!
//! The bytes of a slice's answer are a function of the file and of the place that was reached: nothing of them is kept.
//! What the client did not take is made again when it takes more, so that a client that reads nothing costs no buffer.
//!
//! What its units are and what stands around them is [`Framing`]'s to know (`wire/framing.rs`).

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::PAD;

use super::buffer::Buffer;
use super::chunk_size::{CHUNK, ChunkSize};
use crate::handle::{OpenFile, ReadError, Wait};
use crate::wire::{Encoding, Framing};

/// Up to this many bytes in a row are copied; beyond it the kernel sends them from the file.
pub(super) const COPIED: u64 = 32 * 1024;

/// What is left of a slice, and how it is framed.
#[derive(Debug)]
pub(super) struct Slice {
    file: Arc<OpenFile>,
    /// Where it ends in the file.
    end: u64,
    framing: Framing,
    /// The size of fragments, if there is more than one.
    chunk_size: Option<Box<ChunkSize>>,
    unit: Unit,
    /// Whether bytes of it were sent from the file by the kernel.
    sent_by_kernel: bool,
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
    pub(super) fn new(file: Arc<OpenFile>, offset: u64, size: u64, framing: Framing, now: Instant) -> Slice {
        let is_cut = framing.encoding == Encoding::Fragments && size > CHUNK;
        let chunk_size = is_cut.then(|| Box::new(ChunkSize::new(now)));
        let unit = Unit { start: offset, length: 0, sent: 0 };
        let mut slice = Slice { file, end: offset + size, framing, chunk_size, unit, sent_by_kernel: false };
        slice.unit = slice.unit_at(offset);
        slice
    }

    /// The unit whose payload begins there.
    fn unit_at(&self, start: u64) -> Unit {
        let fragment = self.chunk_size.as_ref().map_or(u64::MAX, |chunk_size| chunk_size.chunk);
        Unit { start, length: self.framing.unit_length(self.end - start, fragment), sent: 0 }
    }

    /// The unit after this one; `None` after the last.
    fn after(&self, unit: Unit) -> Option<Unit> {
        let start = unit.start + unit.length;
        (start < self.end).then(|| self.unit_at(start))
    }

    fn is_last(&self, unit: Unit) -> bool {
        unit.start + unit.length == self.end
    }

    fn head_length(&self, unit: Unit) -> u64 {
        self.framing.head_length(unit.length)
    }

    fn wire_length(&self, unit: Unit) -> u64 {
        self.framing.wire_length(unit.length, self.is_last(unit))
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
        let sent = if self.framing.is_verbatim() { sent } else { sent / 4 * 3 };
        (sent < self.unit.length).then(|| (self.unit.start + sent, self.unit.length - sent))
    }

    /// The device that it is read from.
    pub(super) fn device(&self) -> u64 {
        self.file.stat().device
    }

    /// Whether reading it may hang though other files of its device can be read.
    pub(super) fn is_remote(&self) -> bool {
        self.file.is_remote()
    }

    /// Whether a thread sends it, rather than an event loop: it is large, or reading it may wait.
    pub(super) fn is_for_thread(&self) -> bool {
        let left = self.left();
        left > COPIED || (left > 0 && !self.file.is_readable_nowait())
    }

    /// Bytes that the kernel is to send from the file now, unless some are to be copied first.
    ///
    /// The last bytes of a slice are always copied, once it is known that the file is as long as it was: the kernel would
    /// send zeros in place of bytes that are cut off a file meanwhile.
    pub(super) fn for_kernel(&self) -> Option<(&OpenFile, u64, u64)> {
        if !self.framing.is_verbatim() || self.unit.sent < self.head_length(self.unit) {
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
        if let Some(chunk_size) = &mut self.chunk_size {
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
                self.framing.write_head(unit.length, out);
                skip(out, start, &mut sent);
            } else {
                sent -= self.head_length(unit);
            }
            let length = self.framing.payload_length(unit.length);
            if sent < length {
                let made = if self.framing.is_verbatim() {
                    self.copy(unit, sent, limit, out, encoder)?
                } else {
                    self.encode(unit, sent, limit, out, encoder)?
                };
                if made != Encoded::All {
                    return Ok(made);
                }
                sent = 0;
            } else {
                sent -= length;
            }
            for end in self.framing.ends(unit.length, self.is_last(unit)) {
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
            return Err(ReadError::Truncated);
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
            return Err(self.file.read(after, &mut [0], encoder.wait).err().unwrap_or(ReadError::WouldBlock));
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
