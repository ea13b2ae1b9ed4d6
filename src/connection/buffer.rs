//! The buffer for encoded answers.

use std::io::{self, Write};

/// A buffer whose memory is zeroed once and then reused. A [`Vec`] would zero its spare capacity before each read, which
/// costs a tenth of the time to encode a file.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    /// The number of bytes in use.
    length: usize,
}

impl Buffer {
    /// The number of bytes.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.length]
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.spare_mut(bytes.len()).copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Memory for `length` more bytes. [`Buffer::commit`] adds them to the buffer.
    pub(super) fn spare_mut(&mut self, length: usize) -> &mut [u8] {
        let end = self.length + length;
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        &mut self.memory[self.length..end]
    }

    /// Adds the first `count` bytes of [`Buffer::spare_mut`] to the buffer.
    pub(super) fn commit(&mut self, count: usize) {
        self.length += count;
        assert!(self.length <= self.memory.len(), "more bytes than spare memory");
    }

    /// Keeps the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Removes `count` bytes at `start`.
    pub(super) fn remove(&mut self, start: usize, count: usize) {
        if count == 0 {
            return;
        }
        self.memory.copy_within(start + count..self.length, start);
        self.length -= count;
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_bytes_keep_their_order() {
        let mut buffer = Buffer::default();
        buffer.append(b"abc");
        buffer.spare_mut(10)[..3].copy_from_slice(b"def");
        buffer.commit(3);
        buffer.remove(1, 2);
        assert_eq!((buffer.bytes(), buffer.len()), (&b"adef"[..], 4));
        buffer.truncate(2);
        assert_eq!(buffer.bytes(), b"ad");
        buffer.clear();
        assert_eq!(buffer.bytes(), b"");
    }
}
