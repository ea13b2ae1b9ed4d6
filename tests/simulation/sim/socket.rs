//! A simulated socket with random faults: short reads and writes, EINTR, EAGAIN, resets.

use std::io::{self, ErrorKind};

use hftpd::connection::{Sink, Transport};
use hftpd::handle::OpenFile;

use super::rng::Rng;
use super::world::World;

/// The probability of each fault, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultRates {
    pub(crate) interrupted: usize,
    pub(crate) would_block: usize,
    pub(crate) short: usize,
    /// The size of the send buffer, in bytes.
    pub(crate) window: usize,
    /// The file becomes shorter before it is read.
    pub(crate) shrinks: usize,
    pub(crate) breaks: usize,
    /// Reading the file fails.
    pub(crate) disk_fails: usize,
    pub(crate) shut_fails: usize,
}

/// The client, the kernel's buffers and the socket.
pub(crate) struct Socket<'s> {
    pub(crate) rng: Rng,
    pub(crate) fault_rates: FaultRates,
    pub(crate) world: World<'s>,
    /// What the client sends.
    pub(crate) script: Vec<u8>,
    /// How much of it has arrived, and how much was read.
    pub(crate) arrived: usize,
    pub(crate) read: usize,
    /// The offset up to which the script was read, and the snapshot at that time.
    pub(crate) reads: Vec<(usize, usize)>,
    /// The client has shut down its write side.
    pub(crate) ended: bool,
    /// The daemon has read the end of the stream.
    pub(crate) end_read: bool,
    /// The bytes that the daemon has written.
    pub(crate) written: Vec<u8>,
    /// How many of them the client has read.
    pub(crate) taken: usize,
    pub(crate) broken: bool,
    /// The daemon has shut down its write side.
    pub(crate) shut: bool,
    /// What the poll reported, until a call returns EAGAIN.
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Zeros were sent in place of bytes of a truncated file.
    pub(crate) zeros: bool,
    /// Reading a file failed.
    pub(crate) disk_failed: bool,
    /// TCP_CORK is set.
    pub(crate) corked: bool,
    /// A pool thread has the socket. Only this thread may write.
    pub(crate) lent: bool,
    /// The calls come from a pool thread.
    pub(crate) in_thread: bool,
    /// The connection was removed, and the socket shut down for the thread that still has it.
    pub(crate) removed: bool,
    pub(crate) calls: usize,
}

impl<'s> Socket<'s> {
    pub(crate) fn new(rng: Rng, fault_rates: FaultRates, world: World<'s>, script: Vec<u8>) -> Socket<'s> {
        Socket {
            rng,
            fault_rates,
            world,
            script,
            arrived: 0,
            read: 0,
            reads: Vec::new(),
            ended: false,
            end_read: false,
            written: Vec::new(),
            taken: 0,
            broken: false,
            shut: false,
            // A new client is assumed to be ready.
            readable: true,
            writable: true,
            zeros: false,
            disk_failed: false,
            corked: false,
            lent: false,
            in_thread: false,
            removed: false,
            calls: 0,
        }
    }

    /// More of the script arrives.
    pub(crate) fn deliver(&mut self, count: usize) {
        self.arrived = self.script.len().min(self.arrived.saturating_add(count));
    }

    /// The client reads bytes. Returns their number.
    pub(crate) fn take(&mut self, count: usize) -> usize {
        let count = count.min(self.written.len() - self.taken);
        self.taken += count;
        count
    }

    fn room(&self) -> usize {
        self.fault_rates.window.saturating_sub(self.written.len() - self.taken)
    }

    /// The poll reports what has changed.
    pub(crate) fn poll(&mut self) {
        self.readable |= self.read < self.arrived || (self.ended && !self.end_read) || self.broken;
        // The kernel reports a writable socket only if a third of the buffer is free.
        self.writable |= self.room() > self.fault_rates.window / 3 || self.broken;
    }

    /// Called before every system call.
    fn inject_fault(&mut self) -> io::Result<()> {
        self.calls += 1;
        assert!(self.calls < 5_000_000, "too many system calls");
        if self.broken || self.rng.chance(self.fault_rates.breaks) {
            self.broken = true;
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.rng.chance(self.fault_rates.interrupted) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    fn inject_would_block(&mut self) -> bool {
        self.rng.chance(self.fault_rates.would_block)
    }

    fn shorten(&mut self, count: usize) -> usize {
        if count > 1 && self.rng.chance(self.fault_rates.short) {
            let most = if self.rng.chance(50) { count.min(4) } else { count };
            return self.rng.between(1, most);
        }
        count
    }

    /// The number of bytes, of `count`, that can be written now.
    fn ready_to_write(&mut self, count: usize) -> io::Result<usize> {
        assert!(!self.shut, "write after shutdown");
        assert!(self.in_thread == self.lent, "written by the event loop while a thread has the socket");
        assert!(count > 0, "an empty write");
        if self.removed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.inject_fault()?;
        let room = self.room();
        if room == 0 || self.inject_would_block() {
            // The event loop learns when the thread returns the task.
            self.writable &= self.in_thread;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(self.shorten(count.min(room)))
    }
}

impl Sink for Socket<'_> {
    fn write(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        let count = self.ready_to_write(bytes.len())?;
        self.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize> {
        assert!(self.in_thread || self.world.is_in_memory(), "the event loop sends from a file on a disk");
        if self.rng.chance(self.fault_rates.disk_fails) {
            self.disk_failed = true;
            return Err(rustix::io::Errno::IO.into());
        }
        let shrinks = self.rng.chance(self.fault_rates.shrinks);
        if shrinks {
            let size = self.rng.below(self.world.shrunk_to + 1);
            self.world.shrink(size);
        }
        let count = self.ready_to_write(length)?;
        let start = self.written.len();
        self.written.resize(start + count, 0);
        let read = rustix::io::pread(file, &mut self.written[start..], offset)?;
        // The kernel sends zeros for bytes that are truncated while it sends them.
        if shrinks && read < count && self.rng.chance(50) {
            self.zeros = true;
            return Ok(count);
        }
        self.written.truncate(start + read);
        Ok(read)
    }

    fn cork(&mut self, corked: bool) {
        assert!(self.in_thread == self.lent, "corked by the event loop while a thread has the socket");
        assert_ne!(self.corked, corked, "corked or uncorked twice");
        self.corked = corked;
    }
}

impl Transport for Socket<'_> {
    fn is_readable(&self) -> bool {
        self.readable
    }

    fn is_writable(&self) -> bool {
        self.writable
    }

    fn assume_readable(&mut self) {
        self.readable = true;
    }

    fn lend(&mut self) {
        assert!(!self.lent, "lent to two threads");
        (self.lent, self.writable) = (true, false);
    }

    fn sent_by_thread(&self) -> u64 {
        self.written.len() as u64
    }

    fn take_back(&mut self, room: bool) {
        assert!(self.lent, "taken back without a thread");
        self.lent = false;
        self.writable |= room;
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "an empty read buffer");
        assert!(!self.end_read, "read after the end");
        assert!(!self.lent, "read while a thread sends an answer");
        self.inject_fault()?;
        let available = self.arrived - self.read;
        if self.inject_would_block() || (available == 0 && !self.ended) {
            self.readable = false;
            return Err(ErrorKind::WouldBlock.into());
        }
        if available == 0 {
            self.end_read = true;
            return Ok(0);
        }
        let count = self.shorten(available.min(buffer.len()));
        buffer[..count].copy_from_slice(&self.script[self.read..self.read + count]);
        self.read += count;
        self.reads.push((self.read, self.world.snapshot()));
        if count < buffer.len() && self.read == self.arrived && !self.ended {
            self.readable = false;
        }
        Ok(count)
    }

    fn unsent(&self) -> usize {
        self.written.len() - self.taken
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        assert!(!self.shut, "shut twice");
        if self.broken || self.rng.chance(self.fault_rates.shut_fails) {
            return Err(ErrorKind::NotConnected.into());
        }
        self.shut = true;
        Ok(())
    }
}
