//! A server, and what its clients know of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::wire::Encoding;

use super::address::Address;

/// How clients talk to a server.
#[derive(Clone)]
pub struct Options {
    /// The longest time to find the host's addresses, and again to connect to one of them.
    pub connect_timeout: Duration,
    /// The longest wait for an answer, and for the next part of one. A server that sends less than 100 bytes a second
    /// over this time is taken for silent.
    pub timeout: Duration,
    /// The encoding of slices, if it is not to be found out. With [`Encoding::Raw`], every slice is asked for raw.
    pub encoding: Option<Encoding>,
    /// Is called with every step of the conversation.
    pub trace: Option<Tracer>,
    /// How many bytes are received at a time, at most. Fewer make a slow reader steadier.
    pub piece: usize,
}

/// Is called with every step of a conversation, from the threads of the clients.
pub type Tracer = Arc<dyn Fn(Trace<'_>) + Send + Sync>;

/// A step of the conversation with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace<'a> {
    /// A note of the client.
    Note(&'a str),
    /// A line that the client sends, without CR LF.
    Sent(&'a str),
    /// The first line of an answer, with escapes in place of bytes that a terminal would obey.
    Received(&'a str),
}

impl Default for Options {
    /// 10 seconds to connect, 30 seconds of silence, the encoding found out, no trace, 256 KiB at a time.
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            encoding: None,
            trace: None,
            piece: 256 << 10,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("encoding", &self.encoding)
            .field("piece", &self.piece)
            .finish_non_exhaustive()
    }
}

/// A server: its address, the options of its clients, and its encoding once that is known. A copy is the same server.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: Address,
    options: Options,
    encoding: Mutex<Option<Encoding>>,
    has_answered: AtomicBool,
}

impl Server {
    /// Nothing is sent before a [`Client`](super::Client) makes a request.
    pub fn new(address: Address, options: Options) -> Server {
        let encoding = Mutex::new(options.encoding);
        Server { shared: Arc::new(Shared { address, options, encoding, has_answered: AtomicBool::new(false) }) }
    }

    /// Its address.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// The options of its clients.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// How it sends slices, as far as that is known.
    pub fn encoding(&self) -> Option<Encoding> {
        *self.shared.encoding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ever sent an answer. One that has may be about to come back when it is gone.
    pub fn has_answered(&self) -> bool {
        self.shared.has_answered.load(Ordering::Relaxed)
    }

    pub(super) fn set_encoding(&self, encoding: Encoding) {
        *self.shared.encoding.lock().unwrap_or_else(PoisonError::into_inner) = Some(encoding);
    }

    pub(super) fn answered(&self) {
        self.shared.has_answered.store(true, Ordering::Relaxed);
    }

    pub(super) fn trace(&self, step: Trace<'_>) {
        if let Some(trace) = &self.shared.options.trace {
            trace(step);
        }
    }

    pub(super) fn is_traced(&self) -> bool {
        self.shared.options.trace.is_some()
    }
}
