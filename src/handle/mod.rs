//! Files.

/// Whether symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// Followed while they stay within the root.
    Inside,
    /// Never.
    Never,
}
