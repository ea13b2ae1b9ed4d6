//! `hftp://HOST[:PORT]/NAME`

use std::fmt;
use std::str::FromStr;

use super::address::Address;

/// The URL of files on a server. What follows the slash is a name, a pattern for [`Glob`](super::Glob), or nothing.
/// It is taken as it is: there is no percent-encoding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// The server.
    pub address: Address,
    /// The name or the pattern.
    pub path: String,
}

/// A text that is no URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError(String);

impl FromStr for Url {
    type Err = UrlError;

    /// The scheme may be missing: `localhost/LICENSE`.
    fn from_str(text: &str) -> Result<Url, UrlError> {
        let wrong = |why: String| UrlError(format!("{text:?} is no URL (hftp://HOST[:PORT]/NAME): {why}"));
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("hftp") => rest,
            Some((scheme, _)) => return Err(wrong(format!("{scheme:?} is not hftp"))),
            None => text,
        };
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = address.parse().map_err(|error: super::address::AddressError| wrong(error.to_string()))?;
        if path.contains('/') {
            return Err(wrong("a server has no directories, so a name has no slash".to_owned()));
        }
        Ok(Url { address, path: path.to_owned() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hftp://{}/{}", self.address, self.path)
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        let table = [
            ("hftp://localhost", "hftp://localhost:19500/"),
            ("HFTP://localhost/", "hftp://localhost:19500/"),
            ("hftp://[::1]:7/a*.txt", "hftp://[::1]:7/a*.txt"),
            ("localhost:7/100%", "hftp://localhost:7/100%"),
        ];
        for (text, shown) in table {
            assert_eq!(text.parse::<Url>().expect(text).to_string(), shown);
        }
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        for (text, reason) in [("http://a/b", "not hftp"), ("hftp:///a", "host"), ("hftp://a/b/c", "no directories")] {
            let error = text.parse::<Url>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
