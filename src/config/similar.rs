//! "Did you mean": the known word that a mistyped word resembles.

/// The candidate most similar to `word`: equal but for case and the kind of dash, or at most a third of its letters (at
/// least one) inserted, removed, replaced or swapped with the next.
pub(crate) fn most_similar<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = normalized(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &normalized(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1) && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer words are cut. The distance takes time in proportion to the length, and no candidate is this long.
const MAX_LENGTH: usize = 64;

fn normalized(word: &str) -> String {
    word.chars().take(MAX_LENGTH).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_words_are_found() {
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
            assert_eq!(most_similar(word, known), meant, "{word:?}");
        }
    }
}
