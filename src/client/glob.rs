//! Patterns of names.

/// A pattern as in a shell: `*` stands for any bytes, `?` for one, `[a-z]` for one of these, `[!a-z]` for one other; a
/// backslash takes the next character as it is.
///
/// ```
/// use hftpd::client::Glob;
///
/// let glob = Glob::new("*.t[xy]t");
/// assert!(glob.matches(b"notes.txt"));
/// assert!(!glob.matches(b"notes.pdf"));
/// assert_eq!(Glob::new("notes.txt").name(), Some(&b"notes.txt"[..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    items: Vec<Item>,
    /// The name, if the pattern stands for one name only.
    name: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Any,
    Many,
    OneOf { ranges: Vec<(u8, u8)>, other: bool },
}

impl Glob {
    /// Every text is a pattern. A bracket that is not closed stands for itself. An empty pattern is `*`.
    pub fn new(pattern: &str) -> Glob {
        let mut rest = pattern.as_bytes();
        let mut items = Vec::new();
        while let [byte, after @ ..] = rest {
            rest = after;
            items.push(match byte {
                b'*' => Item::Many,
                b'?' => Item::Any,
                b'[' => match class(after) {
                    Some((item, after)) => {
                        rest = after;
                        item
                    }
                    None => Item::Byte(b'['),
                },
                b'\\' if !after.is_empty() => {
                    rest = &after[1..];
                    Item::Byte(after[0])
                }
                byte => Item::Byte(*byte),
            });
        }
        if items.is_empty() {
            items.push(Item::Many);
        }
        let byte = |item: &Item| if let Item::Byte(byte) = item { Some(*byte) } else { None };
        let name = items.iter().map(byte).collect();
        Glob { items, name }
    }

    /// The name, if the pattern stands for one name only.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// Whether the name is one of those that the pattern stands for. The cost is at most the product of both lengths.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (mut at, mut in_name) = (0, 0);
        // Where the last `*` stands, and how far into the name it reaches.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match self.items.get(at) {
                Some(Item::Many) => {
                    star = Some((at, in_name));
                    at += 1;
                    continue;
                }
                Some(item) if name.get(in_name).is_some_and(|&byte| item.takes(byte)) => {
                    (at, in_name) = (at + 1, in_name + 1);
                    continue;
                }
                None if in_name == name.len() => return true,
                _ => {}
            }
            match star {
                Some((place, reach)) if reach < name.len() => {
                    star = Some((place, reach + 1));
                    (at, in_name) = (place + 1, reach + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Item {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Item::Byte(own) => *own == byte,
            Item::Any | Item::Many => true,
            Item::OneOf { ranges, other } => {
                ranges.iter().any(|&(first, last)| (first..=last).contains(&byte)) != *other
            }
        }
    }
}

/// Reads a class after its bracket. A `]` at its beginning belongs to it.
fn class(text: &[u8]) -> Option<(Item, &[u8])> {
    let (other, mut rest) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        match rest {
            [] => return None,
            [b']', after @ ..] if !ranges.is_empty() => return Some((Item::OneOf { ranges, other }, after)),
            [first, b'-', last, after @ ..] if *last != b']' => {
                ranges.push((*first, *last));
                rest = after;
            }
            [byte, after @ ..] => {
                ranges.push((*byte, *byte));
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let table: [(&str, &[&str], &[&str]); 10] = [
            ("", &["a", ""], &[]),
            ("a", &["a"], &["", "b", "ab"]),
            ("*", &["", "a", "a.b"], &[]),
            ("*.txt", &["a.txt", ".txt", "a.txt.txt"], &["a.txt.", "txt"]),
            ("a*b*c", &["abc", "axbxc", "abcbc"], &["ab", "acb", "abcd"]),
            ("a?c", &["abc"], &["ac", "abbc"]),
            ("[a-c]x[!0-9]", &["axy", "cx."], &["dxy", "ax1", "ax"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[ab", &["[ab"], &["a"]),
            ("\\*\\[", &["*["], &["a["]),
        ];
        for (pattern, matching, others) in table {
            let glob = Glob::new(pattern);
            matching.iter().for_each(|name| assert!(glob.matches(name.as_bytes()), "{pattern} and {name}"));
            others.iter().for_each(|name| assert!(!glob.matches(name.as_bytes()), "{pattern} and {name}"));
        }
        assert_eq!(Glob::new("\\*").name(), Some(&b"*"[..]));
        assert_eq!(Glob::new("a*").name(), None);
    }

    #[test]
    fn hostile_patterns_end() {
        let glob = Glob::new(&"*a".repeat(200));
        assert!(!glob.matches(&[b'a'; 199]));
        assert!(!glob.matches(&b"a".repeat(10_000).into_iter().chain([b'b']).collect::<Vec<_>>()));
    }
}
