//! Requests (hftp(7), REQUESTS and CODES).

use super::Rules;

/// A line, by its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line<'a> {
    /// Ends with CR LF, which are not included.
    Whole(&'a [u8]),
    /// Ends with an LF without a CR.
    BadEol,
    /// Exceeds the limit.
    TooLong,
}

/// The first line of a stream and its length in the stream. None while it is incomplete.
pub(crate) fn first_line(stream: &[u8], limit: usize) -> Option<(Line<'_>, usize)> {
    for (at, &byte) in stream.iter().enumerate() {
        if byte == b'\n' {
            let line = match stream[..at].strip_suffix(b"\r") {
                Some(line) => Line::Whole(line),
                None => Line::BadEol,
            };
            return Some((line, at + 1));
        }
        // A CR belongs to the line only if no LF follows.
        let length = if byte == b'\r' { at } else { at + 1 };
        if length > limit {
            return Some((Line::TooLong, at + 1));
        }
    }
    None
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request<'a> {
    Listing,
    Metadata { name: &'a [u8] },
    Slice { name: &'a [u8], offset: u128, size: u128, raw: bool },
    Help,
    Quit,
}

/// The request in a line, or the code of its first error.
pub(crate) fn parse_request<'a>(line: Line<'a>, rules: &Rules) -> Result<Request<'a>, u16> {
    let line = match line {
        Line::BadEol => return Err(100),
        Line::TooLong => return Err(101),
        Line::Whole(line) => line,
    };
    if line.iter().all(|byte| b" \t".contains(byte)) {
        return Err(101);
    }
    let elements: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let arguments = &elements[1..];
    match (elements[0], arguments) {
        (b"get_file_listing", []) => Ok(Request::Listing),
        (b"help", []) => Ok(Request::Help),
        (b"quit", []) => Ok(Request::Quit),
        (b"get_metadata", [name]) => Ok(Request::Metadata { name: file_name(name, rules)? }),
        (b"get_slice", [_, _, _]) => slice(arguments, false, rules),
        (b"get_slice", [_, _, _, b"raw"]) => slice(arguments, true, rules),
        (b"get_file_listing" | b"get_metadata" | b"get_slice" | b"help" | b"quit", _) => Err(201),
        _ => Err(200),
    }
}

fn slice<'a>(arguments: &[&'a [u8]], raw: bool, rules: &Rules) -> Result<Request<'a>, u16> {
    let (offset, size) = (number(arguments[1])?, number(arguments[2])?);
    Ok(Request::Slice { name: file_name(arguments[0], rules)?, offset, size, raw })
}

/// One or more digits. A number beyond 64 bits becomes the largest of 64 bits: both exceed every file.
fn number(text: &[u8]) -> Result<u128, u16> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(201);
    }
    let text = std::str::from_utf8(text).expect("digits are text").trim_start_matches('0');
    if text.len() > 20 { Ok(u128::from(u64::MAX)) } else { Ok(format!("0{text}").parse().expect("up to 21 digits")) }
}

fn file_name<'a>(name: &'a [u8], rules: &Rules) -> Result<&'a [u8], u16> {
    const NAME_MAX: usize = 255;
    if name.is_empty() || !name.iter().all(|&byte| rules.allow(byte)) {
        Err(201)
    } else if name.len() > NAME_MAX {
        Err(202)
    } else {
        Ok(name)
    }
}
