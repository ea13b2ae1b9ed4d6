//! What follows the head of an answer, made a piece at a time.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::Simd;
use rustix::io::Errno;

use super::buffer::Buffer;
use crate::handle::{Job, Listing, OpenFile};
use crate::wire::answer::{self, CRLF, LAST_FRAGMENT};

/// Up to this many bytes are copied; beyond it the kernel sends them from the file.
pub(super) const COPIED: usize = 32 * 1024;

/// The least that is made at a time of a slice: a client that takes its time gets fragments of this length.
pub(super) const CHUNK: usize = 64 * 1024;

/// The most that the kernel is asked to send at a time, and the longest fragment.
pub(super) const LARGEST_CHUNK: usize = 1024 * 1024;

/// The most that is encoded at a time: what was made of it stays in the processor's cache until it is sent, and a client
/// that does not take it keeps that much memory.
///
/// It becomes 56 KiB. From 64 KiB on, a write is more than the largest segment of the loopback device takes, and what is
/// left over is sent by itself: that costs a third of the rate.
const ENCODED: usize = 3 * 14 * 1024;

/// The most that a thread reads at a time. A client that does not take it keeps that much memory.
const FETCHED: usize = 3 * 32 * 1024;

/// What is left of an answer's body.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing.
    Nothing,
    /// The text of a listing from `at` on, and its empty line.
    Listing { listing: Arc<Listing>, at: usize },
    /// A slice.
    Slice(Slice),
}

/// The next piece of a body.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// It was appended.
    Made,
    /// These bytes, of which [`Body::advance`] tells how many were sent.
    Text(&'a [u8]),
    /// These bytes of the file; likewise.
    File { file: &'a OpenFile, offset: u64, length: usize },
    /// A thread has to get them: [`Body::take_fetched`] brings them.
    Fetch(Job),
    /// There are none: everything was made.
    End,
    /// There are fewer than were promised.
    Shrank,
    /// They cannot be read.
    Failed(Errno),
}

/// What a body is encoded with.
pub(super) struct Coder<'a> {
    pub(super) plain: &'a mut Buffer,
    pub(super) base64: &'a Simd,
}

impl Body {
    /// Makes the next piece, of about `chunk` bytes.
    pub(super) fn step(&mut self, chunk: usize, out: &mut Buffer, coder: Coder<'_>) -> Step<'_> {
        let ended = match self {
            Body::Nothing => return Step::End,
            Body::Listing { listing, at } if listing.text().len() - *at <= COPIED => {
                out.append(&listing.text()[*at..]);
                out.append(CRLF);
                true
            }
            Body::Listing { .. } => false,
            Body::Slice(slice) => slice.end(out),
        };
        if ended {
            *self = Body::Nothing;
            return Step::Made;
        }
        if let Body::Slice(slice) = self
            && slice.is_copied()
        {
            let made = match slice.copy(chunk, out, coder) {
                Ok(()) => Step::Made,
                Err(Lack::Wait) => Step::Fetch(slice.fetch(chunk)),
                Err(Lack::Shrank) => Step::Shrank,
                Err(Lack::Failed(errno)) => Step::Failed(errno),
            };
            // The end follows at once, so that the last bytes leave with what comes after them.
            if matches!(made, Step::Made) && slice.end(out) {
                *self = Body::Nothing;
            }
            return made;
        }
        match self {
            Body::Nothing => Step::End,
            Body::Listing { listing, at } => Step::Text(&listing.text()[*at..]),
            Body::Slice(slice) => slice.send(chunk),
        }
    }

    /// Of the bytes of the last step, `count` were sent.
    pub(super) fn advance(&mut self, count: usize) {
        match self {
            Body::Nothing => {}
            Body::Listing { at, .. } => *at += count,
            Body::Slice(slice) => {
                slice.sent_by_kernel = true;
                slice.advance(count as u64);
            }
        }
    }

    /// What a thread has read for [`Step::Fetch`], of `asked` bytes. Returns whether that is all of them; if not, the
    /// file has become shorter.
    pub(super) fn take_fetched(&mut self, bytes: Vec<u8>, asked: usize) -> bool {
        match self {
            Body::Slice(slice) => slice.take_fetched(bytes, asked),
            Body::Nothing | Body::Listing { .. } => true,
        }
    }

    /// Whether all of it fits into a buffer with the answers before it.
    pub(super) fn is_small(&self) -> bool {
        match self {
            Body::Nothing => true,
            Body::Listing { listing, at } => listing.text().len() - at <= COPIED,
            Body::Slice(slice) => slice.left <= COPIED as u64,
        }
    }
}

/// What is left of a slice.
#[derive(Debug)]
pub(super) struct Slice {
    file: Arc<OpenFile>,
    offset: u64,
    left: u64,
    form: Form,
    /// Bytes from `offset` on that a thread has read.
    fetched: Fetched,
    /// Whether bytes of it were sent from the file by the kernel.
    sent_by_kernel: bool,
}

/// How a slice is framed. A unit is a fragment or a line; `left` bytes of the present one are still to come, if one was
/// begun.
#[derive(Debug)]
pub(super) enum Form {
    /// Not at all.
    Raw,
    /// With CR LF at the end.
    Plain,
    /// In fragments.
    Fragments { left: Option<u64> },
    /// In lines of base64 of `line` bytes of the slice each, or in one if that is 0.
    Base64 { line: u64, left: Option<u64> },
}

/// Bytes that a thread has read, from `start` on.
#[derive(Debug, Default)]
struct Fetched {
    start: u64,
    bytes: Vec<u8>,
}

impl Fetched {
    /// Those from `offset` on.
    fn from(&self, offset: u64) -> &[u8] {
        let at = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.get(at..).unwrap_or_default()
    }
}

/// Why there are no bytes of the file.
enum Lack {
    /// They are not in memory.
    Wait,
    /// The file ends before them.
    Shrank,
    Failed(Errno),
}

impl Slice {
    pub(super) fn new(file: Arc<OpenFile>, offset: u64, size: u64, form: Form) -> Slice {
        let form = match form {
            // The line of an empty slice is empty, but it is there.
            Form::Base64 { line, .. } if size == 0 => Form::Base64 { line, left: Some(0) },
            form => form,
        };
        Slice { file, offset, left: size, form, fetched: Fetched::default(), sent_by_kernel: false }
    }

    /// Ends the present unit if it is complete, and the answer if that is. Returns whether it is.
    fn end(&mut self, out: &mut Buffer) -> bool {
        self.end_unit(out);
        if self.left > 0 {
            return false;
        }
        match self.form {
            Form::Raw | Form::Base64 { .. } => {}
            Form::Plain => out.append(CRLF),
            Form::Fragments { .. } => out.append(LAST_FRAGMENT),
        }
        true
    }

    fn end_unit(&mut self, out: &mut Buffer) {
        if let Form::Fragments { left } | Form::Base64 { left, .. } = &mut self.form
            && *left == Some(0)
        {
            out.append(CRLF);
            *left = None;
        }
    }

    /// How many bytes follow each other on the wire from here on; none where a fragment begins.
    fn run(&self) -> u64 {
        match self.form {
            Form::Raw | Form::Plain | Form::Base64 { .. } => self.left,
            Form::Fragments { left } => left.unwrap_or(0),
        }
    }

    /// Whether the next piece is made in a buffer, rather than sent from the file by the kernel.
    ///
    /// The last bytes of a slice always are: they are held back until it is known that the file is still as long as it
    /// was, for of what the kernel sends from a file that was cut short meanwhile, the end is zeros.
    fn is_copied(&self) -> bool {
        let run = self.run();
        let encoded = matches!(self.form, Form::Base64 { .. });
        encoded || run <= COPIED as u64 || self.left <= COPIED as u64 || !self.fetched.from(self.offset).is_empty()
    }

    /// The next piece, from the file, up to where the last bytes begin.
    fn send(&self, chunk: usize) -> Step<'_> {
        let length = self.run().min(LARGEST_CHUNK as u64).min(self.left - COPIED as u64 / 2);
        if self.file.is_in_memory(self.offset, length) {
            Step::File { file: &self.file, offset: self.offset, length: length as usize }
        } else {
            Step::Fetch(self.fetch(chunk))
        }
    }

    /// Appends the next piece.
    fn copy(&mut self, chunk: usize, out: &mut Buffer, coder: Coder<'_>) -> Result<(), Lack> {
        match self.form {
            Form::Base64 { .. } => return self.encode(out, coder),
            Form::Fragments { left: None } => {
                let length = self.left.min(chunk as u64);
                answer::fragment_head(out, length);
                self.form = Form::Fragments { left: Some(length) };
                return Ok(());
            }
            Form::Raw | Form::Plain | Form::Fragments { .. } => {}
        }
        let length = self.run().min(COPIED as u64) as usize;
        if length as u64 == self.left && self.sent_by_kernel && self.file.is_shorter_than(self.offset + self.left) {
            return Err(Lack::Shrank);
        }
        let count = self.read(length, out)?;
        self.advance(count as u64);
        Ok(())
    }

    /// Encodes a piece, in whole groups of 3 bytes but for the end of the slice.
    fn encode(&mut self, out: &mut Buffer, coder: Coder<'_>) -> Result<(), Lack> {
        let Coder { plain, base64 } = coder;
        plain.clear();
        let want = self.left.min(ENCODED as u64) as usize;
        let mut have = self.read(want, plain)?;
        if (have as u64) < self.left {
            have -= have % 3;
            if have == 0 {
                return Err(Lack::Wait);
            }
        }
        let mut bytes = &plain.bytes()[..have];
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.line_left()));
            let room = out.room(now.len().div_ceil(3) * 4);
            let count = base64.encode_slice(now, room).expect("there is room for four bytes for every three");
            out.filled(count);
            self.advance(now.len() as u64);
            self.end_unit(out);
            bytes = later;
        }
        Ok(())
    }

    /// How many bytes of the slice the present line still takes.
    fn line_left(&mut self) -> usize {
        let Form::Base64 { line, left } = &mut self.form else { return 0 };
        let whole = if *line == 0 { self.left } else { self.left.min(*line) };
        usize::try_from(*left.get_or_insert(whole)).unwrap_or(usize::MAX)
    }

    /// `count` bytes of the slice are behind us.
    fn advance(&mut self, count: u64) {
        self.offset += count;
        self.left -= count;
        if let Form::Fragments { left: Some(left) } | Form::Base64 { left: Some(left), .. } = &mut self.form {
            *left -= count;
        }
        if self.fetched.from(self.offset).is_empty() {
            self.fetched = Fetched::default();
        }
    }

    /// Appends up to `length` bytes from the present place on, without waiting for a disk. Returns how many, at least 1.
    fn read(&self, length: usize, out: &mut Buffer) -> Result<usize, Lack> {
        let fetched = self.fetched.from(self.offset);
        if !fetched.is_empty() {
            let count = fetched.len().min(length);
            out.append(&fetched[..count]);
            return Ok(count);
        }
        match self.file.read_now(out.room(length), self.offset) {
            Ok(Some(0)) => Err(Lack::Shrank),
            Ok(Some(count)) => {
                out.filled(count);
                Ok(count)
            }
            Ok(None) => Err(Lack::Wait),
            Err(errno) => Err(Lack::Failed(errno)),
        }
    }

    /// A piece for a thread to read: in whole groups of 3 bytes, so that nothing of it is left over when it is encoded.
    fn fetch(&self, chunk: usize) -> Job {
        let length = self.left.min((chunk / 3 * 3).min(FETCHED) as u64) as usize;
        Job::Read { file: self.file.clone(), offset: self.offset, length }
    }

    /// A thread has read `bytes`. Returns whether they are all that were asked for.
    fn take_fetched(&mut self, bytes: Vec<u8>, asked: usize) -> bool {
        let whole = bytes.len() == asked;
        self.fetched = Fetched { start: self.offset, bytes };
        whole
    }
}
