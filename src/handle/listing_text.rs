//! The memory of listings, which clients share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::io::Errno;

/// Bytes of all listings of a root together that clients still wait for; a further one that differs is refused. One may
/// always be made, however large.
const BUDGET: usize = 64 << 20;

/// What the listings of one root share.
#[derive(Debug, Default)]
pub struct Listings {
    /// Bytes in their texts.
    live: Arc<AtomicUsize>,
    /// The text that was made last. A listing that cannot be reused, as where a link may lead elsewhere at any time, has
    /// most often the same text, and clients that do not read then hold one text and not one each.
    latest: Mutex<Weak<Text>>,
}

#[derive(Debug)]
pub(super) struct Text {
    bytes: Box<[u8]>,
    live: Arc<AtomicUsize>,
}

impl Listings {
    /// The text to hold. [`Errno::NOMEM`] when clients already hold too many that differ.
    pub(super) fn share(&self, bytes: Box<[u8]>) -> Result<Arc<Text>, Errno> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = latest.upgrade().filter(|text| text.bytes == bytes) {
            return Ok(text);
        }
        let live = self.live.load(Ordering::Relaxed);
        if live > 0 && live + bytes.len() > BUDGET {
            return Err(Errno::NOMEM);
        }
        self.live.fetch_add(bytes.len(), Ordering::Relaxed);
        let text = Arc::new(Text { bytes, live: self.live.clone() });
        *latest = Arc::downgrade(&text);
        Ok(text)
    }
}

impl Text {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.live.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}
