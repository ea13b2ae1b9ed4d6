//! A request on its way through a connection.

use std::time::Instant;

use crate::wire::{RequestReader, SliceRequest};

/// A request whose line is not complete. It has memory of its own, for most connections have none.
pub(super) struct Partial {
    pub(super) reader: RequestReader,
    /// When its first byte was received.
    pub(super) since: Instant,
}

impl Partial {
    pub(super) fn info(&self, record: bool) -> RequestInfo {
        RequestInfo { since: self.since, request: record.then(|| self.reader.line().into()) }
    }
}

/// What is reported of a request when it has been answered.
pub(super) struct RequestInfo {
    pub(super) since: Instant,
    pub(super) request: Option<Box<[u8]>>,
}

/// A request whose file or directory is being looked up by a thread.
pub(super) struct Waiting {
    pub(super) pending: PendingRequest,
    pub(super) info: RequestInfo,
    /// When the thread was asked.
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) enum PendingRequest {
    Listing,
    Metadata { name: Box<[u8]> },
    Slice { name: Box<[u8]>, slice: SliceRequest },
}
