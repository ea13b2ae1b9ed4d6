//! Names that a server chose, as names of local files.

/// Devices of Windows, which a name reaches with any extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// The name of a file in the target directory, or why there can be none. The rules are the same on every system, so that
/// a tree that was fetched on one can be copied to another.
pub(super) fn local_name(name: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(name).map_err(|_| "its name is not ASCII")?;
    let stem = text.split('.').next().unwrap_or_default();
    let is_device = DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) || is_port(stem);
    match text {
        "" | "." | ".." => Err("its name is that of a directory"),
        _ if text.contains(['/', '\\']) => Err("its name leaves the directory"),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err("its name has bytes that no request can hold"),
        _ if is_device => Err("its name is reserved by Windows"),
        _ if text.contains(['<', '>', ':', '"', '|', '?', '*']) || text.ends_with('.') => {
            Err("its name is not allowed by Windows")
        }
        _ => Ok(text),
    }
}

/// `COM1` to `COM9` and `LPT1` to `LPT9`.
fn is_port(stem: &str) -> bool {
    let (Some(kind), Some(number)) = (stem.get(..3), stem.get(3..)) else { return false };
    (kind.eq_ignore_ascii_case("COM") || kind.eq_ignore_ascii_case("LPT")) && matches!(number.as_bytes(), [b'1'..=b'9'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_directory() {
        for name in ["a", ".a", "a..b", "...a", "COM", "com10", "console", "aux-1", "a.aux", "~!@#$%^&()=+"] {
            assert_eq!(local_name(name.as_bytes()), Ok(name));
        }
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "..\\x",
            "a b",
            "a\x1b[2J",
            "a\u{7f}",
            "\u{e9}",
            "CON",
            "nul.txt",
            "Com1",
            "lpt9.tar.gz",
            "aux",
            "c:x",
            "a*",
            "a?",
            "a.",
            "...",
            "a\nb",
            "a\0",
        ] {
            assert!(local_name(name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(local_name(b"\xff").is_err());
    }
}
