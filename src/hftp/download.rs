//! What to fetch, and where to.

use std::path::PathBuf;

use super::sums::Sum;

/// A file to fetch.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) target: PathBuf,
    /// The places of the servers that have it.
    pub(super) servers: Vec<usize>,
    pub(super) sum: Option<Sum>,
    /// Whether the target may be replaced.
    pub(super) force: bool,
    /// Whether to go on with `NAME.part`.
    pub(super) resume: bool,
}
