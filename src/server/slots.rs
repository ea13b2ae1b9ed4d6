//! Clients by token.

use mio::Token;
use slab::Slab;

/// Values by token. A token has an index and a generation, so that an event for a removed client does not reach a later
/// client with the same index.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Slab<(u32, T)>,
    generation: u32,
}

/// This bit of a token is set in the tokens of listeners and clear in others.
pub(super) const LISTENER_BIT: usize = 1 << 63;

impl<T> Slots<T> {
    pub(super) fn new() -> Slots<T> {
        Slots { entries: Slab::new(), generation: 0 }
    }

    /// The token that the next [`Slots::insert`] will return.
    pub(super) fn next_token(&self) -> Token {
        token(self.entries.vacant_key(), self.generation)
    }

    pub(super) fn insert(&mut self, value: T) -> Token {
        let generation = self.generation;
        self.generation = (generation + 1) & (u32::MAX >> 1);
        token(self.entries.insert((generation, value)), generation)
    }

    pub(super) fn get(&self, at: Token) -> Option<&T> {
        let (key, generation) = parts(at);
        self.entries.get(key).filter(|(present, _)| *present == generation).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, at: Token) -> Option<&mut T> {
        let (key, generation) = parts(at);
        self.entries.get_mut(key).filter(|(present, _)| *present == generation).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, at: Token) -> Option<T> {
        self.get_mut(at)?;
        let removed = self.entries.remove(parts(at).0).1;
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
        Some(removed)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        self.entries.iter().map(|(key, (generation, _))| token(key, *generation)).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, (_, value))| value)
    }
}

fn token(key: usize, generation: u32) -> Token {
    Token((generation as usize) << 32 | key)
}

fn parts(Token(token): Token) -> (usize, u32) {
    (token & u32::MAX as usize, (token >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_outlives_no_value() {
        let mut slots = Slots::new();
        assert_eq!(slots.next_token(), slots.insert("a"));
        let first = slots.tokens()[0];
        assert_eq!(slots.remove(first), Some("a"));
        let second = slots.insert("b");
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut "b"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn tokens_leave_the_bit_of_listeners_clear() {
        let mut slots = Slots { entries: Slab::new(), generation: u32::MAX >> 1 };
        let last = slots.insert(());
        assert_eq!(last.0 & LISTENER_BIT, 0);
        assert_eq!(slots.insert(()).0 >> 32, 0, "generations begin again");
    }
}
