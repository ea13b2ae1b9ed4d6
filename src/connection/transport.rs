//! The stream of a connection.

use std::io;

use crate::handle::OpenFile;

/// A stream that does not block, to write to.
pub trait Sink {
    /// Writes; with `more` the bytes may wait for those that follow at once.
    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;
    /// Sends bytes of a file; 0 is the end of the file.
    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize>;
    /// Holds back what does not fill a segment, until it is called with `false`.
    fn cork(&mut self, corked: bool);
}

/// A stream that does not block.
pub trait Transport: Sink {
    /// Whether a read may find something.
    fn is_readable(&self) -> bool;
    /// Whether a write may find room.
    fn is_writable(&self) -> bool;
    /// A read is to be tried, whatever the poll has reported.
    fn assume_readable(&mut self);
    /// A thread begins to write: from now on the poll reports when there is room again.
    fn lend(&mut self);
    /// The thread has ended; `room` tells whether there was room left.
    fn take_back(&mut self, room: bool);
    /// How many bytes threads have sent so far.
    fn sent_by_thread(&self) -> u64;
    /// Reads; 0 is the end of what the client sends.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Bytes that were written and that the client's side has not acknowledged yet.
    fn unsent(&self) -> usize;
    /// Tells the client that nothing more comes.
    fn shut_down_write(&mut self) -> io::Result<()>;
}
