//! Memory in which answers are made.

use std::io::{self, Write};

/// Bytes that are to be sent. Its memory is zeroed once and then used again as it is: the part of a [`Vec`] that is to be
/// read into would be zeroed each time, which costs a tenth of encoding a file.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    /// How much of the memory holds something.
    length: usize,
}

impl Buffer {
    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.length]
    }

    /// Appends these.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.spare_mut(bytes.len()).copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Memory for `length` more bytes. They are there once [`Buffer::commit`] is told of them.
    pub(super) fn spare_mut(&mut self, length: usize) -> &mut [u8] {
        let end = self.length + length;
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        &mut self.memory[self.length..end]
    }

    /// The first `count` bytes of [`Buffer::spare_mut`] hold something.
    pub(super) fn commit(&mut self, count: usize) {
        self.length += count;
        assert!(self.length <= self.memory.len(), "more was filled than there was room for");
    }

    /// Keeps the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Takes out `count` bytes at `start`.
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
    fn what_is_appended_comes_out_in_order() {
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
