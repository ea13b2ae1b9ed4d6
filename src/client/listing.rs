//! The names of the files of a server.

/// Names in the order in which the server sent them. The server chose these bytes; a name that cannot be asked for may be
/// among them ([`NameCharset::allow_name`](crate::wire::NameCharset::allow_name)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// All names without anything between them, because a million names would cost several times as much one by one.
    bytes: Vec<u8>,
    /// Where each name ends.
    ends: Vec<usize>,
}

impl Listing {
    /// The most memory that the names of a listing may take, in bytes.
    pub const MAX: usize = 64 << 20;

    /// Adds a name, if the memory suffices.
    #[must_use]
    pub(super) fn push(&mut self, name: &[u8]) -> bool {
        let cost = self.bytes.len() + name.len() + (self.ends.len() + 1) * size_of::<usize>();
        if cost > Listing::MAX {
            return false;
        }
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
        true
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The names.
    pub fn iter(&self) -> Iter<'_> {
        Iter { listing: self, at: 0 }
    }
}

/// The names of a [`Listing`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    listing: &'a Listing,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = *self.listing.ends.get(self.at)?;
        let start = self.at.checked_sub(1).map_or(0, |before| self.listing.ends[before]);
        self.at += 1;
        Some(&self.listing.bytes[start..end])
    }
}

impl<'a> IntoIterator for &'a Listing {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_their_order() {
        let mut listing = Listing::default();
        assert!(["b", "a", "ccc"].iter().all(|name| listing.push(name.as_bytes())));
        assert_eq!(listing.iter().collect::<Vec<_>>(), [&b"b"[..], b"a", b"ccc"]);
        assert_eq!((listing.len(), listing.is_empty()), (3, false));
    }

    #[test]
    fn memory_is_bounded() {
        let mut listing = Listing::default();
        let name = [b'n'; 512];
        let count = (0..1_000_000).take_while(|_| listing.push(&name)).count();
        assert_eq!(count, Listing::MAX / 520);
    }
}
