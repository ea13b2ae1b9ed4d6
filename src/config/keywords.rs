//! Settings whose values are keywords.

use log::LevelFilter;

use super::types::{Facility, LogTarget};
use crate::handle::Symlinks;
use crate::wire::{Encoding, NameCharset};

/// A value written as a keyword.
pub(super) trait Keyword {
    /// All keywords, in the order of the manual page.
    fn words(&self) -> Vec<&'static str>;
    /// The keyword of this value.
    fn word(&self) -> &'static str;
    /// Stores the value of a keyword. Returns false, with the value unchanged, if there is no such keyword.
    fn set(&mut self, word: &str) -> bool;
}

/// The keywords of an enum.
pub(super) trait KeywordTable: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: KeywordTable> Keyword for T {
    fn words(&self) -> Vec<&'static str> {
        T::WORDS.iter().map(|(word, _)| *word).collect()
    }

    fn word(&self) -> &'static str {
        T::WORDS.iter().find(|(_, value)| value == self).map_or("", |(word, _)| word)
    }

    fn set(&mut self, word: &str) -> bool {
        let found = T::WORDS.iter().find(|(known, _)| *known == word);
        if let Some((_, value)) = found {
            *self = *value;
        }
        found.is_some()
    }
}

impl KeywordTable for Encoding {
    const WORDS: &'static [(&'static str, Encoding)] =
        &[("fragments", Encoding::Fragments), ("plain", Encoding::Plain), ("base64", Encoding::Base64)];
}

impl KeywordTable for NameCharset {
    const WORDS: &'static [(&'static str, NameCharset)] =
        &[("portable", NameCharset::Portable), ("printable", NameCharset::Printable)];
}

impl KeywordTable for Symlinks {
    const WORDS: &'static [(&'static str, Symlinks)] = &[("inside", Symlinks::Inside), ("never", Symlinks::Never)];
}

impl KeywordTable for LogTarget {
    const WORDS: &'static [(&'static str, LogTarget)] =
        &[("auto", LogTarget::Auto), ("syslog", LogTarget::Syslog), ("stderr", LogTarget::Stderr)];
}

impl KeywordTable for Facility {
    const WORDS: &'static [(&'static str, Facility)] = &[
        ("daemon", Facility::Daemon),
        ("user", Facility::User),
        ("ftp", Facility::Ftp),
        ("local0", Facility::Local0),
        ("local1", Facility::Local1),
        ("local2", Facility::Local2),
        ("local3", Facility::Local3),
        ("local4", Facility::Local4),
        ("local5", Facility::Local5),
        ("local6", Facility::Local6),
        ("local7", Facility::Local7),
    ];
}

impl KeywordTable for LevelFilter {
    const WORDS: &'static [(&'static str, LevelFilter)] = &[
        ("off", LevelFilter::Off),
        ("error", LevelFilter::Error),
        ("warn", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("trace", LevelFilter::Trace),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_keywords<T: KeywordTable + std::fmt::Debug>() {
        for (word, value) in T::WORDS {
            assert_eq!(value.word(), *word);
            for (_, other) in T::WORDS {
                let mut read = *other;
                assert!(read.set(word), "{word}");
                assert_eq!(read, *value, "{word}");
                assert!(!read.set(&word.to_uppercase()) && !read.set(""), "{word}");
                assert_eq!(read, *value, "an unknown keyword changes nothing");
            }
        }
    }

    #[test]
    fn keywords_are_read_and_written() {
        check_keywords::<Encoding>();
        check_keywords::<NameCharset>();
        check_keywords::<Symlinks>();
        check_keywords::<LogTarget>();
        check_keywords::<Facility>();
        check_keywords::<LevelFilter>();
    }
}
