//! The answers (hftp(7), REQUESTS, CODES and ANSWERS TO GET_SLICE).

use std::ops::Range;
use std::sync::Arc;

use hftpd::wire::{Encoding, Framing};

use super::request::Request;
use super::{Node, Rules, Tree};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) parts: Vec<Part>,
    /// Whether the connection is closed after it.
    pub(crate) last: bool,
    /// The file whose bytes it contains, and their end offset.
    pub(crate) slice: Option<(Vec<u8>, usize)>,
}

/// A piece of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// These bytes.
    Text(Vec<u8>),
    /// These bytes of a file.
    Bytes(Arc<Vec<u8>>, Range<usize>),
    /// These bytes of a file, in fragments of any size.
    Fragments(Arc<Vec<u8>>, Range<usize>),
}

impl Answer {
    /// A status line only.
    pub(crate) fn code(code: u16) -> Answer {
        let text = match code {
            0 => "OK",
            100 => "BAD EOL",
            101 => "BAD REQUEST",
            199 => "INTERNAL SERVER ERROR",
            200 => "NO SUCH COMMAND",
            201 => "INVALID ARGUMENTS FOR COMMAND",
            202 => "FILE NOT FOUND",
            203 => "OFFSET EXCEEDS FILE SIZE",
            other => unreachable!("there is no code {other}"),
        };
        let line = format!("{code} {text}\r\n").into_bytes();
        Answer { code, parts: vec![Part::Text(line)], last: (100..200).contains(&code), slice: None }
    }

    fn ok(text: impl Into<Vec<u8>>) -> Answer {
        let mut answer = Answer::code(0);
        answer.parts.push(Part::Text(text.into()));
        answer
    }

    /// The answer to a request or an invalid line. Without a tree the root is missing.
    pub(crate) fn to(
        request: Result<Request<'_>, u16>,
        rules: &Rules,
        tree: Option<&Tree>,
        framing: Framing,
    ) -> Answer {
        let request = match request {
            Ok(request) => request,
            Err(code) => return Answer::code(code),
        };
        let tree = match (&request, tree) {
            (Request::Help, _) => {
                return Answer::ok("get_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n");
            }
            (Request::Quit, _) => return Answer { last: true, ..Answer::code(0) },
            (_, None) => return Answer::code(199),
            (_, Some(tree)) => tree,
        };
        match request {
            Request::Listing => Answer::listing(rules, tree),
            Request::Metadata { name } => match find(name, rules, tree) {
                Some(Node::File { size, .. } | Node::Link { size, .. } | Node::Unreadable { size }) => {
                    Answer::ok(format!("{size}\r\n"))
                }
                _ => Answer::code(202),
            },
            Request::Slice { name, offset, size, raw } => {
                let (bytes, whole) = match find(name, rules, tree) {
                    Some(Node::File { bytes, size } | Node::Link { bytes, size }) => (Some(bytes), *size),
                    Some(Node::Unreadable { size }) => (None, *size),
                    _ => return Answer::code(202),
                };
                if offset + size > whole as u128 {
                    return Answer::code(203);
                }
                let Some(bytes) = bytes else { return Answer::code(199) };
                let at = |number: u128| usize::try_from(number).expect("it lies within a file");
                let range = at(offset)..at(offset + size);
                let slice = Some((name.to_vec(), range.end));
                Answer {
                    slice,
                    ..Answer::slice(bytes.clone(), range, if raw { Encoding::Raw.into() } else { framing })
                }
            }
            Request::Help | Request::Quit => unreachable!("answered above"),
        }
    }

    fn listing(rules: &Rules, tree: &Tree) -> Answer {
        let mut text = Vec::new();
        // A tree is sorted by bytes.
        for name in tree.keys() {
            let allowed = (1..=255).contains(&name.len()) && name.iter().all(|&byte| rules.allow(byte));
            if allowed && !matches!(find(name, rules, tree), None | Some(Node::Other)) {
                text.extend_from_slice(name);
                text.extend_from_slice(b"\r\n");
            }
        }
        text.extend_from_slice(b"\r\n");
        Answer::ok(text)
    }

    fn slice(bytes: Arc<Vec<u8>>, range: Range<usize>, framing: Framing) -> Answer {
        let mut answer = Answer::code(0);
        match framing.encoding {
            Encoding::Raw => {
                answer.parts.push(Part::Text(format!("Content-Length: {}\r\n\r\n", range.len()).into_bytes()));
                answer.parts.push(Part::Bytes(bytes, range));
            }
            Encoding::Plain => {
                answer.parts.push(Part::Bytes(bytes, range));
                answer.parts.push(Part::Text(b"\r\n".to_vec()));
            }
            Encoding::Fragments => {
                answer.parts.push(Part::Fragments(bytes, range));
                answer.parts.push(Part::Text(b"0 \r\n".to_vec()));
            }
            Encoding::Base64 => {
                let line = framing.base64_line;
                answer.parts.push(Part::Text(base64_lines(&bytes[range], line as usize)));
            }
        }
        answer
    }
}

/// The file of this name, if it is served.
fn find<'t>(name: &[u8], rules: &Rules, tree: &'t Tree) -> Option<&'t Node> {
    let node = tree.get(name)?;
    let served = (rules.hidden || !name.starts_with(b".")) && (rules.links || !matches!(node, Node::Link { .. }));
    served.then_some(node)
}

fn base64_lines(bytes: &[u8], line: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let step = if line == 0 { bytes.len().max(1) } else { line };
    for piece in bytes.chunks(step) {
        base64(piece, &mut text);
        text.extend_from_slice(b"\r\n");
    }
    if bytes.is_empty() {
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8], text: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() as u32 { ALPHABET[value as usize] } else { b'=' });
        }
    }
}
