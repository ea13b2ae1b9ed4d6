//! Rust as a row of words and signs, as far as that takes no grammar.

/// A word or a sign, and its line. What stands in comments is none, and a literal is a `"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, shown) = measure(rest, first);
        let (taken, left) = rest.split_at(length);
        match shown {
            Shown::Nothing => {}
            Shown::Itself => tokens.push(Token { line, text: taken }),
            Shown::Literal => tokens.push(Token { line, text: "\"" }),
        }
        line += taken.matches('\n').count();
        rest = left;
    }
    tokens
}

enum Shown {
    Nothing,
    Itself,
    Literal,
}

/// How long the token is with which `rest` begins, and what becomes of it.
fn measure(rest: &str, first: char) -> (usize, Shown) {
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Shown::Nothing);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Shown::Nothing);
    }
    if first == '"' || ["b", "c"].contains(&&rest[..word]) && rest[word..].starts_with('"') {
        return (word + quoted(&rest[word..], '"'), Shown::Literal);
    }
    if ["r", "br", "cr"].contains(&&rest[..word]) {
        let marks = rest[word..].len() - rest[word..].trim_start_matches('#').len();
        if let Some(inside) = rest[word + marks..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(marks));
            let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return (word + marks + 1 + length, Shown::Literal);
        }
    }
    if first == '\'' || &rest[..word] == "b" && rest[word..].starts_with('\'') {
        let inside: Vec<char> = rest[word + 1..].chars().take(2).collect();
        return match inside.as_slice() {
            // 'a' or '\n', else a lifetime or a label
            ['\\', ..] | [_, '\''] => (word + quoted(&rest[word..], '\''), Shown::Literal),
            _ => (1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0), Shown::Literal),
        };
    }
    match first {
        _ if word > 0 => (word, if is_word(rest) { Shown::Itself } else { Shown::Literal }),
        _ if first.is_whitespace() => (first.len_utf8(), Shown::Nothing),
        _ if rest.starts_with("::") => (2, Shown::Itself),
        _ => (first.len_utf8(), Shown::Itself),
    }
}

/// The length of a literal with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Leaves out every item under `#[cfg(test)]`.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match test_item(&tokens[at..]) {
            Some(length) => at += length,
            None => {
                kept.push(tokens[at]);
                at += 1;
            }
        }
    }
    kept
}

/// The length of the item with which `tokens` begin, if it is there for tests alone.
fn test_item(tokens: &[Token<'_>]) -> Option<usize> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let is_marked = tokens.len() >= MARK.len() && tokens.iter().zip(MARK).all(|(token, mark)| token.text == mark);
    if !is_marked {
        return None;
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(MARK.len()) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            ";" if depth == 0 => return Some(at + 1),
            _ => {}
        }
    }
    Some(tokens.len())
}

pub(crate) fn lines_without_tests(text: &str) -> usize {
    let tokens = tokens(text);
    let mut lines = text.lines().count();
    let mut at = 0;
    while at < tokens.len() {
        match test_item(&tokens[at..]) {
            Some(length) => {
                lines -= tokens[at + length - 1].line - tokens[at].line + 1;
                at += length;
            }
            None => at += 1,
        }
    }
    lines
}
