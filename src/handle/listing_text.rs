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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn text(bytes: usize) -> Box<[u8]> {
        vec![0; bytes].into_boxed_slice()
    }

    #[test]
    fn different_listings_take_64_mib_at_most() {
        let listings = Listings::default();
        let first = listings.share(text(40 * MIB)).expect("40 MiB");
        assert_eq!(listings.share(text(24 * MIB + 1)).err(), Some(Errno::NOMEM));
        let second = listings.share(text(24 * MIB)).expect("64 MiB in all");
        assert_eq!(listings.share(text(1)).err(), Some(Errno::NOMEM));
        drop(second);
        let third = listings.share(text(1)).expect("24 MiB were given back");
        drop(first);
        let fourth = listings.share(text(64 * MIB - 1)).expect("64 MiB in all");
        assert_eq!(listings.share(text(2)).err(), Some(Errno::NOMEM));
        drop((third, fourth));
        assert_eq!(listings.bytes_in_use.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_listing_may_be_larger() {
        let listings = Listings::default();
        let large = listings.share(text(65 * MIB)).expect("the only one");
        assert_eq!(listings.share(text(1)).err(), Some(Errno::NOMEM));
        drop(large);
        assert!(listings.share(text(1)).is_ok());
    }

    #[test]
    fn equal_listings_are_held_once() {
        let listings = Listings::default();
        let texts: Vec<Arc<Text>> = (0..3).map(|_| listings.share(text(40 * MIB)).expect("the same")).collect();
        assert!(texts.iter().all(|text| Arc::ptr_eq(text, &texts[0])));
        assert_eq!(listings.bytes_in_use.load(Ordering::Relaxed), 40 * MIB);
        drop(texts);
        assert_eq!(listings.bytes_in_use.load(Ordering::Relaxed), 0);
    }
}
