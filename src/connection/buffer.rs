//! Bytes that wait to be sent.

use std::io::{self, Write};

/// Bytes that wait to be sent, in memory that is zeroed once and then used again as it is. Of a [`Vec`] the part that is
/// to be read into would be zeroed each time, which costs a tenth of encoding a file.
///
/// Every connection has one, and most hold nothing: then it is one word.
#[derive(Default)]
pub struct Buffer(Option<Box<Memory>>);

#[derive(Default)]
struct Memory {
    /// All of it that was ever used.
    bytes: Vec<u8>,
    /// Where the bytes that wait begin and end.
    start: usize,
    end: usize,
}

impl Buffer {
    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Those that wait.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |memory| &memory.bytes[memory.start..memory.end])
    }

    /// Appends these.
    pub fn append(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Memory for `length` more bytes. They are there once [`Buffer::filled`] is told of them.
    pub(super) fn room(&mut self, length: usize) -> &mut [u8] {
        let Memory { bytes, end, .. } = &mut **self.0.get_or_insert_default();
        if bytes.len() < *end + length {
            bytes.resize(*end + length, 0);
        }
        &mut bytes[*end..*end + length]
    }

    /// The first `count` bytes of [`Buffer::room`] hold something.
    pub(super) fn filled(&mut self, count: usize) {
        if let Some(memory) = &mut self.0 {
            memory.end += count;
            assert!(memory.end <= memory.bytes.len(), "more was filled than there was room for");
        }
    }

    /// The first `count` do not wait any more.
    pub(super) fn advance(&mut self, count: usize) {
        if let Some(memory) = &mut self.0 {
            memory.start += count;
            assert!(memory.start <= memory.end, "more was sent than there was");
            if memory.start == memory.end {
                self.clear();
            }
        }
    }

    /// How many bytes it can hold without more memory.
    pub(super) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |memory| memory.bytes.len())
    }

    pub(super) fn clear(&mut self) {
        if let Some(memory) = &mut self.0 {
            (memory.start, memory.end) = (0, 0);
        }
    }

    /// The bytes that wait, in memory of their own that holds just them; they leave this.
    pub(super) fn split_off(&mut self) -> Buffer {
        let bytes = self.bytes().to_vec();
        self.clear();
        let memory = Memory { start: 0, end: bytes.len(), bytes };
        Buffer((memory.end > 0).then(|| Box::new(memory)))
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
        assert_eq!((left.bytes(), left.capacity()), (&b"two three"[..], 9));
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
        assert_eq!(size_of::<Buffer>(), size_of::<usize>());
    }
}
