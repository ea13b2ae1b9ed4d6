//! The bytes of a slice as they come.

use std::io::{self, Read};

use super::channel::{Channel, Item, Part};
use super::error::Error;

/// A slice that is being received. It has as many bytes as were asked for, or ends with an error. Dropped before its end,
/// it closes the connection.
#[derive(Debug)]
pub struct Slice<'a> {
    /// None after an error.
    channel: &'a mut Option<Channel>,
    /// What [`Read`] has not taken yet.
    rest: Option<Part>,
    ended: bool,
}

impl<'a> Slice<'a> {
    /// The answer has begun.
    pub(super) fn new(channel: &'a mut Option<Channel>) -> Slice<'a> {
        Slice { channel, rest: None, ended: false }
    }

    /// The next bytes, where they were received; none at the end. This saves the copy that [`Read`] makes.
    pub fn chunk(&mut self) -> Result<Option<&[u8]>, Error> {
        let part = match self.rest.take().filter(|rest| !rest.is_empty()) {
            Some(rest) => Some(rest),
            None => self.part()?,
        };
        Ok(part.and_then(|part| self.channel.as_ref().map(|channel| channel.bytes(&part))))
    }

    fn part(&mut self) -> Result<Option<Part>, Error> {
        let Some(channel) = self.channel.as_mut().filter(|_| !self.ended) else { return Ok(None) };
        match channel.item() {
            Ok(Item::Bytes(part)) => Ok(Some(part)),
            Ok(_) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => {
                *self.channel = None;
                self.ended = true;
                Err(error)
            }
        }
    }
}

impl Read for Slice<'_> {
    /// An error of the server is an [`io::Error`] with the [`Error`] in it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let next = match self.rest.take().filter(|rest| !rest.is_empty()) {
            Some(rest) => Some(rest),
            None => self.part().map_err(io::Error::other)?,
        };
        let (Some(mut rest), Some(channel)) = (next, self.channel.as_ref()) else { return Ok(0) };
        let part = rest.take(buffer.len());
        let bytes = channel.bytes(&part);
        buffer[..bytes.len()].copy_from_slice(bytes);
        let count = bytes.len();
        self.rest = Some(rest);
        Ok(count)
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        // What is left of the answer would be taken for the next one.
        if !self.ended {
            *self.channel = None;
        }
    }
}
