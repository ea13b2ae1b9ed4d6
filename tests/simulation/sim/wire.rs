//! A socket that does what dice say: it takes and gives a few bytes or many, is interrupted, is not ready, breaks.

use std::io::{self, ErrorKind};

use hftpd::connection::{Sink, Transport};
use hftpd::handle::OpenFile;

use super::dice::Dice;
use super::world::World;

/// How often things go wrong, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mood {
    pub(crate) interrupted: usize,
    pub(crate) would_block: usize,
    pub(crate) short: usize,
    /// Bytes that the kernel keeps for the client.
    pub(crate) window: usize,
    /// The file becomes shorter just before it is sent from.
    pub(crate) shrinks: usize,
    pub(crate) breaks: usize,
    /// The disk fails under a file that is being sent.
    pub(crate) disk_fails: usize,
    pub(crate) shut_fails: usize,
}

/// The client's end, the kernel in between, and the socket.
pub(crate) struct Wire<'s> {
    pub(crate) dice: Dice,
    pub(crate) mood: Mood,
    pub(crate) world: World<'s>,
    /// What the client says.
    pub(crate) script: Vec<u8>,
    /// How much of it has arrived, and how much of that was read.
    pub(crate) arrived: usize,
    pub(crate) read: usize,
    /// Up to where the script had been read in which era.
    pub(crate) reads: Vec<(usize, usize)>,
    /// The client has shut its side.
    pub(crate) ended: bool,
    /// The end was read.
    pub(crate) end_read: bool,
    /// What was written.
    pub(crate) written: Vec<u8>,
    /// How much of it the client has taken.
    pub(crate) taken: usize,
    pub(crate) broken: bool,
    /// The write side was shut.
    pub(crate) shut: bool,
    /// What the poll has told, until a call says that it is over.
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Zeros were sent where a file had become shorter.
    pub(crate) zeros: bool,
    /// The disk failed under a file that was being sent.
    pub(crate) disk_failed: bool,
    /// The kernel holds back what does not fill a segment.
    pub(crate) corked: bool,
    /// A thread may write: nobody else does.
    pub(crate) lent: bool,
    /// It is a thread that calls.
    pub(crate) in_thread: bool,
    /// The connection was removed, and the socket shut for the thread that still has it.
    pub(crate) removed: bool,
    pub(crate) calls: usize,
}

impl<'s> Wire<'s> {
    pub(crate) fn new(dice: Dice, mood: Mood, world: World<'s>, script: Vec<u8>) -> Wire<'s> {
        Wire {
            dice,
            mood,
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
            // A client that was just accepted is taken for ready.
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

    /// The client takes bytes. Returns how many.
    pub(crate) fn take(&mut self, count: usize) -> usize {
        let count = count.min(self.written.len() - self.taken);
        self.taken += count;
        count
    }

    fn room(&self) -> usize {
        self.mood.window.saturating_sub(self.written.len() - self.taken)
    }

    /// The poll tells what has changed.
    pub(crate) fn poll(&mut self) {
        self.readable |= self.read < self.arrived || (self.ended && !self.end_read) || self.broken;
        // The kernel makes room known only when there is plenty.
        self.writable |= self.room() > self.mood.window / 3 || self.broken;
    }

    /// What comes before every call.
    fn weather(&mut self) -> io::Result<()> {
        self.calls += 1;
        assert!(self.calls < 5_000_000, "this does not end");
        if self.broken || self.dice.chance(self.mood.breaks) {
            self.broken = true;
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.dice.chance(self.mood.interrupted) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    fn not_now(&mut self) -> bool {
        self.dice.chance(self.mood.would_block)
    }

    fn cut(&mut self, count: usize) -> usize {
        if count > 1 && self.dice.chance(self.mood.short) {
            let most = if self.dice.chance(50) { count.min(4) } else { count };
            return self.dice.between(1, most);
        }
        count
    }

    /// How many of `count` bytes can be written now.
    fn ready_to_write(&mut self, count: usize) -> io::Result<usize> {
        assert!(!self.shut, "written to after the write side was shut");
        assert!(self.in_thread == self.lent, "written to by an event loop and by a thread at a time");
        assert!(count > 0, "nothing is written");
        if self.removed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.weather()?;
        let room = self.room();
        if room == 0 || self.not_now() {
            // What a thread meets is told to the event loop when the thread is done.
            self.writable &= self.in_thread;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(self.cut(count.min(room)))
    }
}

impl Sink for Wire<'_> {
    fn write(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        let count = self.ready_to_write(bytes.len())?;
        self.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn send_file(&mut self, file: &OpenFile, offset: u64, length: usize) -> io::Result<usize> {
        assert!(self.in_thread || self.world.is_in_memory(), "an event loop sends from a file on a disk");
        if self.dice.chance(self.mood.disk_fails) {
            self.disk_failed = true;
            return Err(rustix::io::Errno::IO.into());
        }
        let shrinks = self.dice.chance(self.mood.shrinks);
        if shrinks {
            let size = self.dice.below(self.world.shrunk_to + 1);
            self.world.shrink(size);
        }
        let count = self.ready_to_write(length)?;
        let start = self.written.len();
        self.written.resize(start + count, 0);
        let read = rustix::io::pread(file, &mut self.written[start..], offset)?;
        // What is taken off a file while the kernel sends it goes out as zeros.
        if shrinks && read < count && self.dice.chance(50) {
            self.zeros = true;
            return Ok(count);
        }
        self.written.truncate(start + read);
        Ok(read)
    }

    fn cork(&mut self, corked: bool) {
        assert!(self.in_thread == self.lent, "corked by an event loop and by a thread at a time");
        assert_ne!(self.corked, corked, "corked or uncorked twice");
        self.corked = corked;
    }
}

impl Transport for Wire<'_> {
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
        assert!(self.lent, "taken back from no thread");
        self.lent = false;
        self.writable |= room;
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "nothing is read into");
        assert!(!self.end_read, "read after the end");
        assert!(!self.lent, "something was read while a thread sends an answer");
        self.weather()?;
        let there = self.arrived - self.read;
        if self.not_now() || (there == 0 && !self.ended) {
            self.readable = false;
            return Err(ErrorKind::WouldBlock.into());
        }
        if there == 0 {
            self.end_read = true;
            return Ok(0);
        }
        let count = self.cut(there.min(buffer.len()));
        buffer[..count].copy_from_slice(&self.script[self.read..self.read + count]);
        self.read += count;
        self.reads.push((self.read, self.world.era()));
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
        if self.broken || self.dice.chance(self.mood.shut_fails) {
            return Err(ErrorKind::NotConnected.into());
        }
        self.shut = true;
        Ok(())
    }
}
