//! The settings whose value is one of a few words, and their words.

use log::LevelFilter;

use super::{Facility, LogTarget};
use crate::handle::Symlinks;
use crate::wire::{Encoding, Names};

/// A value that is written as one of a few words.
pub(super) trait Keyword {
    /// All words, in the order in which they are listed.
    fn words(&self) -> Vec<&'static str>;
    /// The word of this value.
    fn word(&self) -> &'static str;
    /// Takes the value of a word; false, and nothing changed, if it is none of the words.
    fn set(&mut self, word: &str) -> bool;
}

/// The words of an enum.
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

impl KeywordTable for Names {
    const WORDS: &'static [(&'static str, Names)] = &[("portable", Names::Portable), ("printable", Names::Printable)];
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

    fn each_word_comes_back<T: KeywordTable + std::fmt::Debug>() {
        for (word, value) in T::WORDS {
            assert_eq!(value.word(), *word);
            for (_, other) in T::WORDS {
                let mut read = *other;
                assert!(read.set(word), "{word}");
                assert_eq!(read, *value, "{word}");
                assert!(!read.set(&word.to_uppercase()) && !read.set(""), "{word}");
                assert_eq!(read, *value, "a word that is not known changes nothing");
            }
        }
    }

    #[test]
    fn words_come_back() {
        each_word_comes_back::<Encoding>();
        each_word_comes_back::<Names>();
        each_word_comes_back::<Symlinks>();
        each_word_comes_back::<LogTarget>();
        each_word_comes_back::<Facility>();
        each_word_comes_back::<LevelFilter>();
    }
}
