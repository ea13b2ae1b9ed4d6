//! The stages of a request.

use std::time::Instant;

use crate::wire::{RequestReader, SliceRequest};

/// A request whose line is incomplete. Allocated separately, because most connections are idle.
pub(super) struct Partial {
    pub(super) reader: RequestReader,
    /// When the first byte was parsed.
    pub(super) since: Instant,
}

impl Partial {
    pub(super) fn info(&self, record: bool) -> RequestInfo {
        RequestInfo { since: self.since, request: record.then(|| self.reader.line().into()) }
    }
}

/// The parts of a request that are reported with its answer.
pub(super) struct RequestInfo {
    pub(super) since: Instant,
    pub(super) request: Option<Box<[u8]>>,
}

/// A request that waits for a look-up or a listing by a thread.
pub(super) struct Waiting {
    pub(super) pending: PendingRequest,
    pub(super) info: RequestInfo,
    /// When the job was created.
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) enum PendingRequest {
    Listing,
    Metadata { name: Box<[u8]> },
    Slice { name: Box<[u8]>, slice: SliceRequest },
}
