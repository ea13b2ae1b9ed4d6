//! The memory of listings. Clients share it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::io::Errno;

/// The maximum total size in bytes of the different listings of a root that are in use. The first listing may exceed it.
const BUDGET: usize = 64 << 20;

/// The listings of one root that are in use.
#[derive(Debug, Default)]
pub struct Listings {
    /// The total size of their texts.
    bytes_in_use: Arc<AtomicUsize>,
    /// The latest text. Listings that cannot be reused, for example of a root with links, usually have equal texts.
    /// Clients that do not read then share one text.
    latest: Mutex<Weak<Text>>,
}

#[derive(Debug)]
pub(super) struct Text {
    bytes: Box<[u8]>,
    bytes_in_use: Arc<AtomicUsize>,
}

impl Listings {
    /// Returns the latest text if it is equal, otherwise a new one. [`Errno::NOMEM`] beyond [`BUDGET`].
    pub(super) fn share(&self, bytes: Box<[u8]>) -> Result<Arc<Text>, Errno> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = latest.upgrade().filter(|text| text.bytes == bytes) {
            return Ok(text);
        }
        let bytes_in_use = self.bytes_in_use.load(Ordering::Relaxed);
        if bytes_in_use > 0 && bytes_in_use + bytes.len() > BUDGET {
            return Err(Errno::NOMEM);
        }
        self.bytes_in_use.fetch_add(bytes.len(), Ordering::Relaxed);
        let text = Arc::new(Text { bytes, bytes_in_use: self.bytes_in_use.clone() });
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
        self.bytes_in_use.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}
