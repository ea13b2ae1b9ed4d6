//! The names in the root.

use std::sync::Arc;

use rustix::io::Errno;

use super::directory::Directory;
use super::listing_text::Text;
use super::settled::Timestamp;
use super::{Policy, Purpose};
use crate::os::files::{self, Kind, Stat, Wait};

/// The names of the files in a root at one time, sorted by bytes. Shared by all clients that request it.
#[derive(Debug)]
pub struct Listing {
    text: Arc<Text>,
    directory: Stat,
    reusable: bool,
}

impl Listing {
    /// Each name, followed by the policy's separator.
    pub fn text(&self) -> &[u8] {
        self.text.bytes()
    }

    /// Whether the listing can be used for later requests.
    pub(super) fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Whether the listing can be used for the directory with the attributes `now`.
    pub(super) fn is_current(&self, now: &Stat) -> bool {
        self.reusable && self.directory == *now
    }

    /// Reads the directory. [`Errno::NOMEM`] if other listings in use need too much memory.
    pub(super) fn read(directory: &Directory, policy: &Policy) -> Result<Listing, Errno> {
        let entries = files::open_entries(directory)?;
        let (before, began) = (files::stat(&entries, Wait::Allowed)?, Timestamp::now());
        let mut names = NameBuffer::default();
        let mut links = false;
        files::read_entries(&entries, |name, kind| {
            if !(policy.listed)(name) || (!policy.hidden && name.starts_with(b".")) {
                return;
            }
            links |= kind == Some(Kind::Link);
            let is_file = match kind {
                Some(Kind::File) => true,
                Some(Kind::Directory | Kind::Other) => false,
                Some(Kind::Link) | None => directory.find(policy, name, Purpose::Size).is_ok(),
            };
            if is_file {
                names.push(name);
            }
        })?;
        let after = files::stat(&entries, Wait::Allowed)?;
        // The target of a link can change without a change of this directory.
        let reusable = !links && before == after && began.detects_changes_to(&after);
        let text = policy.listings.share(names.into_text(policy.separator))?;
        Ok(Listing { text, directory: after, reusable })
    }
}

/// Names in contiguous memory.
#[derive(Default)]
struct NameBuffer {
    bytes: Vec<u8>,
    /// The offset of the end of each name.
    ends: Vec<usize>,
}

impl NameBuffer {
    fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    fn into_text(self, separator: &[u8]) -> Box<[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut names: Vec<&[u8]> = starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end]).collect();
        names.sort_unstable();
        let mut text = Vec::with_capacity(self.bytes.len() + names.len() * separator.len());
        for name in names {
            text.extend_from_slice(name);
            text.extend_from_slice(separator);
        }
        text.into_boxed_slice()
    }
}
