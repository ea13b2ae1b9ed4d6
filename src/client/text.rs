//! Bytes that a server chose, as text that a terminal may show.

use std::fmt::Write as _;

/// Printable ASCII as it is, every other byte as `\xNN`: what a terminal would obey, and what it cannot show.
///
/// ```
/// assert_eq!(hftpd::client::printable(b"a b\x1b[2J"), "a b\\x1b[2J");
/// ```
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b' '..=b'~' => text.push(char::from(byte)),
            byte => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}
