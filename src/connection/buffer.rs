//! Bytes that wait to be sent.

use std::io::{self, Write};

/// Bytes that wait to be sent, in memory that is zeroed once and then used again as it is. Of a [`Vec`] the part that is
/// to be read into would be zeroed each time, which costs a tenth of encoding a file.
#[derive(Default)]
pub struct Buffer {
    /// All of its memory. A box, for every connection has one of these, and most are empty.
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Those that wait.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Appends these.
    pub fn append(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Memory for `length` more bytes. They are there once [`Buffer::filled`] is told of them.
    pub(super) fn room(&mut self, length: usize) -> &mut [u8] {
        let end = self.end + length;
        if self.bytes.len() < end {
            let mut bytes = std::mem::take(&mut self.bytes).into_vec();
            bytes.resize(end.max(2 * bytes.len()), 0);
            self.bytes = bytes.into_boxed_slice();
        }
        &mut self.bytes[self.end..end]
    }

    /// The first `count` bytes of [`Buffer::room`] hold something.
    pub(super) fn filled(&mut self, count: usize) {
        self.end += count;
        assert!(self.end <= self.bytes.len(), "more was filled than there was room for");
    }

    /// The first `count` do not wait any more.
    pub(super) fn advance(&mut self, count: usize) {
        self.start += count;
        assert!(self.start <= self.end, "more was sent than there was");
        if self.start == self.end {
            self.clear();
        }
    }

    /// How many bytes it can hold without more memory.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// The bytes that wait, in memory of their own that holds just them; they leave this.
    pub(super) fn split_off(&mut self) -> Buffer {
        let bytes: Box<[u8]> = self.bytes().into();
        self.clear();
        Buffer { start: 0, end: bytes.len(), bytes }
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
    fn bytes_leave_in_the_order_in_which_they_came() {
        let mut buffer = Buffer::default();
        buffer.append(b"one two");
        buffer.advance(4);
        buffer.room(100)[..6].copy_from_slice(b" three");
        buffer.filled(6);
        assert_eq!((buffer.bytes(), buffer.len()), (&b"two three"[..], 9));
        let mut left = buffer.split_off();
        assert!(buffer.is_empty());
        assert_eq!((left.bytes(), left.bytes.len()), (&b"two three"[..], 9));
        left.advance(9);
        assert!(left.is_empty());
        write!(left, "{}", 4).expect("a buffer takes every byte");
        assert_eq!(left.bytes(), b"4");
    }

    #[test]
    fn memory_that_was_used_is_used_again() {
        let mut buffer = Buffer::default();
        buffer.append(b"secret");
        buffer.clear();
        buffer.append(b"s");
        assert_eq!(buffer.bytes(), b"s", "what was there before does not come back");
        assert_eq!(buffer.room(5), b"ecret");
    }
}
