//! Writes the headers of answers, and answers without a payload (hftp(7), ANSWERS).
//!
//! Each function appends to `out`, which must be in memory. It panics if `out` returns an error.

use std::io::Write;

use super::CRLF;
use super::code::Code;
use super::request::Command;

/// The answer to `get_metadata` of a file of `size` bytes.
pub fn metadata(out: &mut impl Write, size: u64) {
    put(out, Code::Ok.line().as_bytes());
    decimal(out, size);
    put(out, CRLF);
}

/// The answer to `help`.
pub fn help(out: &mut impl Write) {
    put(out, Code::Ok.line().as_bytes());
    for command in Command::ALL {
        put(out, command.name().as_bytes());
        put(out, CRLF);
    }
    put(out, CRLF);
}

/// The header of a raw slice of `size` bytes.
pub fn raw_head(out: &mut impl Write, size: u64) {
    put(out, Code::Ok.line().as_bytes());
    put(out, b"Content-Length: ");
    decimal(out, size);
    put(out, b"\r\n\r\n");
}

/// The header of a fragment of `length` bytes, at least 1.
pub fn fragment_head(out: &mut impl Write, length: u64) {
    debug_assert!(length > 0, "a fragment is never empty");
    decimal(out, length);
    put(out, b" ");
}

fn put(out: &mut impl Write, bytes: &[u8]) {
    out.write_all(bytes).expect("writing to memory does not fail");
}

fn decimal(out: &mut impl Write, mut number: u64) {
    // Several times faster than the formatter of the standard library.
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return put(out, &digits[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("headers are ASCII")
    }

    #[test]
    fn answers_match_the_protocol() {
        assert_eq!(written(|out| metadata(out, 10)), "0 OK\r\n10\r\n");
        assert_eq!(written(|out| raw_head(out, u64::MAX)), "0 OK\r\nContent-Length: 18446744073709551615\r\n\r\n");
        assert_eq!(written(|out| fragment_head(out, 65536)), "65536 ");
        assert_eq!(written(help), "0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n");
    }
}
