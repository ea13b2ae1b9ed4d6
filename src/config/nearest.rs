//! "Did you mean": the known word that is nearest to one that was mistyped.

/// The candidate that `word` was probably meant to be: equal but for case and the kind of dash, or else at most a third
/// of its letters (but at least one) dropped, added, changed or swapped with the next.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = folded(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1) && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer words are cut here, so that a silly key costs nothing; no candidate is nearly as long.
const LONGEST: usize = 64;

fn folded(word: &str) -> Vec<char> {
    word.chars().take(LONGEST).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Edits from `a` to `b`, a swap of neighbours counting as one (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut edits = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                edits = edits.min(before[j - 2] + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let known = ["root", "port", "user", "group", "connections", "base64-line", "idle"];
        for (word, meant) in [
            ("conections", Some("connections")),
            ("connection", Some("connections")),
            ("prot", Some("port")),
            ("Root", Some("root")),
            ("base64_line", Some("base64-line")),
            ("idel", Some("idle")),
            ("users", Some("user")),
            ("verdura", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word:?}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, edits) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("ab", "ba", 1),
            ("abc", "adc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(&folded(a), &folded(b)), edits, "{a} {b}");
            assert_eq!(distance(&folded(b), &folded(a)), edits, "{b} {a}");
        }
    }
}
