//! A client of one server.

use crate::wire::{Encoding, NameCharset, Request, SliceRequest};

use super::channel::{Channel, Item};
use super::error::Error;
use super::listing::Listing;
use super::server::{Server, Trace};
use super::slice::Slice;

/// A client: at most one connection, which is opened when a request needs it, and again after an error.
#[derive(Debug)]
pub struct Client {
    server: Server,
    channel: Option<Channel>,
}

impl Client {
    /// Connects when the first request is made.
    pub fn new(server: &Server) -> Client {
        Client { server: server.clone(), channel: None }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The names of the files.
    pub fn list(&mut self) -> Result<Listing, Error> {
        self.idle()?.request(&Request::GetFileListing)?;
        let mut listing = Listing::default();
        self.answer(Encoding::Raw, |channel, server| {
            loop {
                match channel.item()? {
                    Item::Name if listing.push(channel.name()) => {}
                    Item::Name => return Err(Error::LongListing { server: server.address().clone() }),
                    _ => return Ok(()),
                }
            }
        })?;
        Ok(listing)
    }

    /// The size of a file.
    pub fn size(&mut self, name: impl AsRef<[u8]>) -> Result<u64, Error> {
        self.idle()?;
        self.queue_size(name)?;
        self.next_size()
    }

    /// Bytes of a file, as a stream. The answers to queued requests are given up, as by [`Client::list`] and
    /// [`Client::size`].
    pub fn slice(&mut self, name: impl AsRef<[u8]>, offset: u64, size: u64) -> Result<Slice<'_>, Error> {
        self.idle()?;
        self.queue_slice(name, offset, size)?;
        self.next_slice()
    }

    /// Whether another request can be queued. An answer has to be read first if not.
    pub fn has_room(&self) -> bool {
        self.channel.as_ref().is_none_or(Channel::has_room)
    }

    /// How many queued requests have no answer yet. An error that closes the connection takes all of them with it.
    pub fn pending(&self) -> usize {
        self.channel.as_ref().map_or(0, Channel::pending)
    }

    /// Queues the request for the size of a file. Its answer is read by [`Client::next_size`].
    pub fn queue_size(&mut self, name: impl AsRef<[u8]>) -> Result<(), Error> {
        let name = checked(name.as_ref())?;
        self.request(&Request::GetMetadata { name })
    }

    /// Queues the request for bytes of a file. Its answer is read by [`Client::next_slice`].
    pub fn queue_slice(&mut self, name: impl AsRef<[u8]>, offset: u64, size: u64) -> Result<(), Error> {
        let name = checked(name.as_ref())?;
        let raw = self.encoding(name, offset, size)? == Some(Encoding::Raw);
        self.request(&Request::GetSlice { name, slice: SliceRequest { offset, size, raw } })
    }

    /// The answer to the oldest request, which was for a size.
    pub fn next_size(&mut self) -> Result<u64, Error> {
        self.answer(Encoding::Raw, |channel, server| {
            let mut size = None;
            loop {
                match channel.item()? {
                    Item::Size(found) => size = Some(found),
                    Item::End => break,
                    _ => {}
                }
            }
            size.ok_or_else(|| Error::Closed { server: server.address().clone() })
        })
    }

    /// The answer to the oldest request, which was for a slice.
    pub fn next_slice(&mut self) -> Result<Slice<'_>, Error> {
        // Without bytes, base64 is the same as plain.
        let encoding = self.server.encoding().unwrap_or(Encoding::Plain);
        self.answer(encoding, |_, _| Ok(()))?;
        Ok(Slice::new(&mut self.channel))
    }

    /// The encoding of the server; found out with the first byte of this slice, if it is not known. None if that is
    /// without bytes, and plain or base64.
    fn encoding(&mut self, name: &[u8], offset: u64, size: u64) -> Result<Option<Encoding>, Error> {
        if let Some(encoding) = self.server.encoding() {
            return Ok(Some(encoding));
        }
        if self.pending() > 0 {
            return Client::new(&self.server).encoding(name, offset, size);
        }
        let encoding = match self.probe(name, offset, size.min(1), true) {
            Ok(encoding) => encoding,
            Err(error) if may_be_older(&error) => self.probe(name, offset, size.min(1), false)?,
            Err(error) => return Err(error),
        };
        if size == 0 && encoding == Encoding::Plain {
            return Ok(None);
        }
        self.server.set_encoding(encoding);
        let name = encoding.name();
        self.server.trace(Trace::Note(&format!("{} sends slices as {name}", self.server.address())));
        Ok(Some(encoding))
    }

    /// Asks for one byte.
    fn probe(&mut self, name: &[u8], offset: u64, size: u64, raw: bool) -> Result<Encoding, Error> {
        let channel = self.idle()?;
        channel.request(&Request::GetSlice { name, slice: SliceRequest { offset, size, raw } })?;
        let encoding = match channel.sniff(size > 0) {
            Ok(encoding) => encoding,
            Err(error) => {
                self.channel = None;
                return Err(error);
            }
        };
        self.answer(encoding.unwrap_or(Encoding::Raw), |channel, _| {
            while !matches!(channel.item()?, Item::End) {}
            Ok(())
        })?;
        encoding.ok_or_else(|| Error::UnknownEncoding { server: self.server.address().clone() })
    }

    fn request(&mut self, request: &Request<'_>) -> Result<(), Error> {
        let outcome = self.open().and_then(|channel| channel.request(request));
        self.keep_unless_broken(outcome)
    }

    /// Begins the answer to the oldest request and reads it.
    fn answer<T>(
        &mut self,
        encoding: Encoding,
        read: impl FnOnce(&mut Channel, &Server) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let server = &self.server;
        let Some(channel) = self.channel.as_mut().filter(|channel| channel.pending() > 0) else {
            return Err(Error::Closed { server: server.address().clone() });
        };
        let outcome = channel.begin(encoding).and_then(|()| read(channel, server));
        self.keep_unless_broken(outcome)
    }

    /// After an error the connection is closed, unless a whole answer came and the server goes on.
    fn keep_unless_broken<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome
            && error.code().is_none_or(|code| code < 200)
        {
            self.channel = None;
        }
        outcome
    }

    fn open(&mut self) -> Result<&mut Channel, Error> {
        match self.channel {
            Some(ref mut channel) => Ok(channel),
            None => Ok(self.channel.insert(Channel::open(&self.server)?)),
        }
    }

    /// A connection on which no request is without an answer.
    fn idle(&mut self) -> Result<&mut Channel, Error> {
        if self.pending() > 0 {
            self.channel = None;
        }
        self.open()
    }
}

/// Whether a server that knows no raw slices may answer a request for one like this.
fn may_be_older(error: &Error) -> bool {
    match error {
        Error::Answer { code: 199, text, .. } => !text.contains("NOT WELCOME") && !text.contains("TOO MANY"),
        Error::Answer { code, .. } => matches!(code, 100 | 101 | 200 | 201),
        Error::Closed { .. } | Error::UnknownEncoding { .. } | Error::Malformed { .. } => true,
        _ => false,
    }
}

/// A name that makes no other request of the line.
fn checked(name: &[u8]) -> Result<&[u8], Error> {
    if NameCharset::Printable.allow_name(name) { Ok(name) } else { Err(Error::Name(name.to_vec())) }
}
