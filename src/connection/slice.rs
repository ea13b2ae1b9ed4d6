//! Encodes a slice of a file from any position.
//!
//! Encoded bytes are a function of the file and the position, and are not stored. Bytes that the client did not accept are
//! encoded again later, so that a client that does not read needs no buffer. [`Framing`] defines the units.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::PAD;

use super::buffer::Buffer;
use super::chunk_size::{CHUNK, ChunkSize};
use crate::handle::{OpenFile, ReadError, Wait};
use crate::wire::{Encoding, Framing};

/// The maximum number of contiguous bytes that are copied. More are sent with sendfile(2).
pub(super) const COPY_MAX: u64 = 32 * 1024;

/// The remaining part of a slice.
#[derive(Debug)]
pub(super) struct Slice {
    file: Arc<OpenFile>,
    /// The offset of its end in the file.
    end: u64,
    framing: Framing,
    /// The length of fragments, if there is more than one.
    chunk_size: Option<Box<ChunkSize>>,
    /// The current unit.
    unit: Unit,
    /// Whether sendfile(2) has sent bytes of it.
    sent_by_kernel: bool,
}

/// A fragment, a line, or the whole slice.
#[derive(Debug, Clone, Copy)]
struct Unit {
    /// The offset of its payload in the file.
    start: u64,
    /// The number of bytes of the file.
    length: u64,
    /// The number of encoded bytes sent, including the head.
    sent: u64,
}

/// Why encoding stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Encoded {
    /// The answer is complete.
    All,
    /// The limit was reached.
    Full,
    /// The next bytes must be sent with sendfile(2).
    Large,
}

/// The buffers and the base64 engine for encoding slices.
pub(super) struct Encoder {
    /// Whether reading may wait for a disk.
    pub(super) wait: Wait,
    /// Bytes of the file to encode.
    plain: Buffer,
    /// The offset of `plain` in the file.
    plain_start: u64,
    /// Encodes base64 (RFC 4648, section 4) with SIMD instructions.
    base64: Simd,
}

impl Encoder {
    pub(super) fn new(wait: Wait) -> Encoder {
        Encoder { wait, plain: Buffer::default(), plain_start: 0, base64: Simd::standard(PAD) }
    }

    /// The bytes in `plain` from `offset` on.
    fn plain_from(&self, offset: u64) -> &[u8] {
        let at = offset.checked_sub(self.plain_start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.plain.bytes().get(at..)).unwrap_or_default()
    }
}

impl Slice {
    pub(super) fn new(file: Arc<OpenFile>, offset: u64, size: u64, framing: Framing, now: Instant) -> Slice {
        let is_divided = framing.encoding == Encoding::Fragments && size > CHUNK;
        let chunk_size = is_divided.then(|| Box::new(ChunkSize::new(now)));
        let unit = Unit { start: offset, length: 0, sent: 0 };
        let mut slice = Slice { file, end: offset + size, framing, chunk_size, unit, sent_by_kernel: false };
        slice.unit = slice.unit_at(offset);
        slice
    }

    /// The unit whose payload begins at `start`.
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

    /// The number of bytes of the file that have not been sent.
    pub(super) fn left(&self) -> u64 {
        self.end - self.unit.start - (self.unit.length - self.unsent_payload().map_or(0, |(_, length)| length))
    }

    /// Records that `count` bytes of this and later answers were sent. Returns how many belong to this slice.
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

    /// Whether all bytes were sent.
    pub(super) fn is_complete(&self) -> bool {
        self.after(self.unit).is_none() && self.unit.sent == self.wire_length(self.unit)
    }

    /// The offset and the number of bytes of the file that the current unit has still to send.
    fn unsent_payload(&self) -> Option<(u64, u64)> {
        let sent = self.unit.sent.saturating_sub(self.head_length(self.unit));
        let sent = if self.framing.is_verbatim() { sent } else { sent / 4 * 3 };
        (sent < self.unit.length).then(|| (self.unit.start + sent, self.unit.length - sent))
    }

    /// The device of the file.
    pub(super) fn device(&self) -> u64 {
        self.file.stat().device
    }

    /// Whether reading the file can hang although other files of the same device can be read.
    pub(super) fn is_remote(&self) -> bool {
        self.file.is_remote()
    }

    /// Whether a thread must send it, not an event loop: it is large, or reading the file may wait.
    pub(super) fn is_for_thread(&self) -> bool {
        let left = self.left();
        left > COPY_MAX || (left > 0 && !self.file.is_readable_nowait())
    }

    /// The file, the offset and the number of bytes to send next with sendfile(2). `None` if the next bytes must be copied.
    ///
    /// The last bytes of a slice are always copied, after a check of the file's size: sendfile(2) sends zeros for bytes
    /// that are truncated concurrently.
    pub(super) fn for_kernel(&self) -> Option<(&OpenFile, u64, u64)> {
        if !self.framing.is_verbatim() || self.unit.sent < self.head_length(self.unit) {
            return None;
        }
        let (offset, length) = self.unsent_payload()?;
        let left = self.end - offset;
        (length > COPY_MAX && left > COPY_MAX).then(|| (&*self.file, offset, length.min(left - COPY_MAX / 2)))
    }

    /// Records that sendfile(2) has sent `count` bytes.
    pub(super) fn sent_by_kernel(&mut self, count: u64) {
        self.sent_by_kernel = true;
        self.advance(count);
    }

    /// Adapts the length of fragments to the speed of the client, after `sent` bytes of the answer.
    pub(super) fn adapt(&mut self, sent: u64, now: Instant) {
        if let Some(chunk_size) = &mut self.chunk_size {
            chunk_size.adapt(sent, now);
        }
    }

    /// Appends the next bytes, until `out` has about `limit` bytes.
    pub(super) fn append_next(
        &self,
        limit: usize,
        out: &mut Buffer,
        encoder: &mut Encoder,
    ) -> Result<Encoded, ReadError> {
        encoder.plain.clear();
        let mut next = Some(self.unit);
        while let Some(unit) = next {
            let mut sent = unit.sent;
            if sent < self.head_length(unit) {
                let start = out.len();
                self.framing.write_head(unit.length, out);
                remove_sent(out, start, &mut sent);
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
                remove_sent(out, start, &mut sent);
            }
            next = self.after(unit);
            if next.is_some() && out.len() >= limit {
                return Ok(Encoded::Full);
            }
        }
        Ok(Encoded::All)
    }

    /// Appends the payload of a unit from `sent` on.
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
        if length > COPY_MAX && left > COPY_MAX {
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

    /// Appends the payload of a unit in base64 from `sent` on.
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
        // At least one group, to guarantee progress.
        let room = ((limit.saturating_sub(out.len()) as u64 + skipped) / 4 * 3).max(3);
        if out.len() >= limit {
            return Ok(Encoded::Full);
        }
        if encoder.plain_from(offset).is_empty() {
            // Several short lines share one read.
            let count = room.min(self.end - offset) as usize;
            encoder.plain.clear();
            encoder.plain_start = offset;
            let read = self.file.read(offset, encoder.plain.spare_mut(count), encoder.wait)?;
            encoder.plain.commit(read);
        }
        let plain = encoder.plain_from(offset);
        let count = plain.len().min(length.min(room) as usize);
        // Everything, or complete groups.
        let is_all = count as u64 == length;
        let count = if is_all { count } else { count / 3 * 3 };
        if count == 0 {
            // The file ends, fails or is not in memory within a group.
            let after = offset + plain.len() as u64;
            return Err(self.file.read(after, &mut [0], encoder.wait).err().unwrap_or(ReadError::WouldBlock));
        }
        let start = out.len();
        let made = encoder.base64.encode_slice(&plain[..count], out.spare_mut(count.div_ceil(3) * 4));
        out.commit(made.expect("room for four bytes for every three"));
        remove_sent(out, start, &mut skipped);
        Ok(if is_all { Encoded::All } else { Encoded::Full })
    }
}

/// Removes up to `sent` bytes from `start` on, which were already sent, and subtracts them from `sent`.
fn remove_sent(out: &mut Buffer, start: usize, sent: &mut u64) {
    let count = (out.len() - start).min(usize::try_from(*sent).unwrap_or(usize::MAX));
    if count > 0 {
        out.remove(start, count);
        *sent -= count as u64;
    }
}
