//! The stream of a connection.

use std::io;

use crate::handle::OpenFile;

/// A non-blocking stream for output.
pub trait Sink {
    /// Writes bytes. With `more`, a partial segment may be delayed, because further bytes follow immediately.
    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;
    /// Sends bytes of a file. Returns 0 at the end of the file.
    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize>;
    /// Delays partial segments until a call with `false`.
    fn cork(&mut self, corked: bool);
}

/// A non-blocking stream.
pub trait Transport: Sink {
    /// Whether a read may succeed.
    fn is_readable(&self) -> bool;
    /// Whether a write may succeed.
    fn is_writable(&self) -> bool;
    /// Makes the stream readable, so that a read is tried before the next event of the poll.
    fn assume_readable(&mut self);
    /// A thread begins to write. From now on events of the poll determine whether the stream is writable.
    fn lend(&mut self);
    /// The thread has stopped writing. `writable`: its last write did not block.
    fn take_back(&mut self, writable: bool);
    /// The number of bytes that threads have sent so far.
    fn sent_by_thread(&self) -> u64;
    /// Reads bytes. Returns 0 at the end of the input.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// The number of bytes written that the client has not acknowledged.
    fn unsent(&self) -> usize;
    /// Shuts down the write side (shutdown(2)).
    fn shut_down_write(&mut self) -> io::Result<()>;
}
