use super::*;
use crate::wire::{NameCharset, answer, code};

const NAME: &[u8] = b"a10";
const LISTING: Request<'_> = Request::GetFileListing;
const METADATA: Request<'_> = Request::GetMetadata { name: NAME };
const FRAGMENTS: Encoding = Encoding::Fragments;
const PLAIN: Encoding = Encoding::Plain;
const BASE64: Encoding = Encoding::Base64;

fn slice(size: u64) -> Request<'static> {
    Request::GetSlice { name: NAME, slice: SliceRequest { offset: 0, size, raw: false } }
}

fn raw(size: u64) -> Request<'static> {
    Request::GetSlice { name: NAME, slice: SliceRequest { offset: 0, size, raw: true } }
}

/// The events of an answer that arrives in these pieces, as text, and the number of bytes consumed.
fn read(request: Request<'_>, encoding: Encoding, pieces: &[&[u8]]) -> (Vec<String>, usize) {
    let mut reader = AnswerReader::new(request, encoding);
    let (mut events, mut bytes, mut all) = (Vec::new(), Vec::new(), 0);
    'pieces: for piece in pieces {
        let mut at = 0;
        loop {
            let word = match reader.read(&piece[at..]) {
                Ok((taken, event)) => {
                    at += taken;
                    all += taken;
                    let Some(event) = event else { break };
                    match event {
                        Event::Status { code, text } => format!("{code} {}", text.escape_ascii()),
                        Event::Size(size) => format!("size {size}"),
                        Event::Name(name) => format!("name {}", name.escape_ascii()),
                        Event::Bytes(more) => {
                            assert!(!more.is_empty());
                            bytes.extend_from_slice(more);
                            continue;
                        }
                        Event::End { closes } => format!("end{}", if closes { ", closes" } else { "" }),
                    }
                }
                Err(error) => {
                    assert_eq!(reader.read(b"0 OK\r\n"), Err(error), "an error is final");
                    format!("{:?} at {}", error.kind, error.at)
                }
            };
            if !bytes.is_empty() {
                events.push(format!("bytes {}", std::mem::take(&mut bytes).escape_ascii()));
            }
            let failed = word.contains(" at ");
            events.push(word);
            if failed {
                break 'pieces;
            }
        }
    }
    if !bytes.is_empty() {
        events.push(format!("bytes {}", bytes.escape_ascii()));
    }
    (events, all)
}

/// Reads `input` whole, byte by byte, and split at each byte. The events must be the same.
#[track_caller]
fn assert_reads(request: Request<'_>, encoding: Encoding, input: &[u8], expected: &[&str]) {
    let (events, taken) = read(request, encoding, &[input]);
    assert_eq!(events, expected, "{}", input.escape_ascii());
    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(request, encoding, &single).0, expected, "byte by byte: {}", input.escape_ascii());
    for cut in 0..=input.len() {
        let (head, tail) = input.split_at(cut);
        let (events, taken_in_two) = read(request, encoding, &[head, tail]);
        assert_eq!(events, expected, "cut at {cut}: {}", input.escape_ascii());
        let failed = events.last().is_some_and(|word| word.contains(" at "));
        assert!(failed || taken_in_two == taken, "cut at {cut}, {taken_in_two} bytes were taken and not {taken}");
    }
}

#[test]
fn valid_answers_are_read_at_every_split() {
    let help =
        ["0 OK", "name get_file_listing", "name get_metadata", "name get_slice", "name help", "name quit", "end"];
    let table: &[(Request<'_>, Encoding, &str, &[&str])] = &[
        (LISTING, PLAIN, "0 OK\r\na10\r\nempty\r\n\r\n", &["0 OK", "name a10", "name empty", "end"]),
        (LISTING, PLAIN, "0 OK\r\n\r\n", &["0 OK", "end"]),
        (METADATA, PLAIN, "0 OK\r\n10\r\n", &["0 OK", "size 10", "end"]),
        (METADATA, PLAIN, "0 OK\r\n0\r\n", &["0 OK", "size 0", "end"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 3456\r\n0 \r\n", &["0 OK", "bytes 3456", "end"]),
        (slice(4), FRAGMENTS, "0 OK\r\n1 3\r\n3 \r\n6\r\n0 \r\n", &["0 OK", "bytes 3\\r\\n6", "end"]),
        (slice(0), FRAGMENTS, "0 OK\r\n0 \r\n", &["0 OK", "end"]),
        (slice(4), PLAIN, "0 OK\r\n3456\r\n", &["0 OK", "bytes 3456", "end"]),
        (slice(0), PLAIN, "0 OK\r\n\r\n", &["0 OK", "end"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1Ng==\r\n", &["0 OK", "bytes 3456", "end"]),
        (slice(9), BASE64, "0 OK\r\nMzQ1\r\nNg==\r\nMzQ1Ng==\r\nMg==\r\n", &["0 OK", "bytes 345634562", "end"]),
        (slice(0), BASE64, "0 OK\r\n\r\n", &["0 OK", "end"]),
        (raw(4), BASE64, "0 OK\r\nContent-Length: 4\r\n\r\n3456", &["0 OK", "bytes 3456", "end"]),
        (raw(0), PLAIN, "0 OK\r\nContent-Length: 0\r\n\r\n", &["0 OK", "end"]),
        (Request::Help, PLAIN, "0 OK\r\nget_file_listing\r\nget_metadata\r\nget_slice\r\nhelp\r\nquit\r\n\r\n", &help),
        (Request::Quit, PLAIN, "0 OK\r\n", &["0 OK", "end, closes"]),
        (METADATA, PLAIN, "202 FILE NOT FOUND\r\n", &["202 FILE NOT FOUND", "end"]),
        (raw(4), PLAIN, "201 INVALID ARGUMENTS FOR COMMAND\r\n", &["201 INVALID ARGUMENTS FOR COMMAND", "end"]),
        (slice(4), PLAIN, "100 BAD EOL\r\n", &["100 BAD EOL", "end, closes"]),
        (LISTING, PLAIN, code::TOO_MANY_CONNECTIONS, &["199 TOO MANY CONNECTIONS", "end, closes"]),
        (LISTING, PLAIN, "0 A  text of any kind\r\n\r\n", &["0 A  text of any kind", "end"]),
    ];
    for (request, encoding, input, expected) in table {
        assert_reads(*request, *encoding, input.as_bytes(), expected);
        // Bytes after the end belong to the next answer.
        let (events, taken) = read(*request, *encoding, &[format!("{input}0 OK\r\n").as_bytes()]);
        assert_eq!((events, taken), (expected.iter().map(ToString::to_string).collect(), input.len()), "{input:?}");
        // No prefix is complete.
        for cut in 0..input.len() {
            let (events, _) = read(*request, *encoding, &[&input.as_bytes()[..cut]]);
            assert!(!events.last().is_some_and(|word| word.starts_with("end")), "{cut} bytes of {input:?}: {events:?}");
        }
    }
}

#[test]
fn invalid_answers_are_errors_with_an_offset() {
    let table: &[(Request<'_>, Encoding, &str, &[&str])] = &[
        (LISTING, PLAIN, "HTTP/1.1 200 OK\r\n", &["InvalidStatus at 16"]),
        (LISTING, PLAIN, "\r\n", &["InvalidStatus at 1"]),
        (LISTING, PLAIN, "0\r\n", &["InvalidStatus at 2"]),
        (LISTING, PLAIN, "0 \r\n", &["InvalidStatus at 3"]),
        (LISTING, PLAIN, "00 OK\r\n", &["InvalidStatus at 6"]),
        (LISTING, PLAIN, "-1 OK\r\n", &["InvalidStatus at 6"]),
        (LISTING, PLAIN, "99 OK\r\n", &["InvalidStatus at 6"]),
        (LISTING, PLAIN, "300 OK\r\n", &["InvalidStatus at 7"]),
        (LISTING, PLAIN, "1000 OK\r\n", &["InvalidStatus at 8"]),
        (LISTING, PLAIN, "0 OK\n", &["InvalidLineEnd at 4"]),
        (LISTING, PLAIN, "0 OK\r\r\n", &["InvalidLineEnd at 5"]),
        (LISTING, PLAIN, "0 OK\r\na\rb\r\n\r\n", &["0 OK", "InvalidLineEnd at 8"]),
        (METADATA, PLAIN, "0 OK\r\n\r\n", &["0 OK", "InvalidNumber at 7"]),
        (METADATA, PLAIN, "0 OK\r\n-1\r\n", &["0 OK", "InvalidNumber at 9"]),
        (METADATA, PLAIN, "0 OK\r\n1 \r\n", &["0 OK", "InvalidNumber at 9"]),
        (METADATA, PLAIN, "0 OK\r\n18446744073709551615\r\n", &["0 OK", "size 18446744073709551615", "end"]),
        (METADATA, PLAIN, "0 OK\r\n18446744073709551616\r\n", &["0 OK", "InvalidNumber at 27"]),
        (METADATA, PLAIN, "0 OK\r\n99999999999999999999\r\n", &["0 OK", "InvalidNumber at 27"]),
        (slice(4), FRAGMENTS, "0 OK\r\n5 34567\r\n", &["0 OK", "TooManyBytes at 7"]),
        (slice(4), FRAGMENTS, "0 OK\r\n3 345\r\n2 67", &["0 OK", "bytes 345", "TooManyBytes at 14"]),
        (slice(4), FRAGMENTS, "0 OK\r\n3 345\r\n0 \r\n", &["0 OK", "bytes 345", "TooFewBytes at 14"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 34567\r\n", &["0 OK", "bytes 3456", "InvalidLineEnd at 12"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 3456\r\n0\r\n", &["0 OK", "bytes 3456", "InvalidNumber at 15"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 3456\r\n0 a", &["0 OK", "bytes 3456", "InvalidLineEnd at 16"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 3456\r\n1 7", &["0 OK", "bytes 3456", "TooManyBytes at 15"]),
        (slice(4), FRAGMENTS, "0 OK\r\n 3456", &["0 OK", "InvalidNumber at 6"]),
        (slice(4), FRAGMENTS, "0 OK\r\n04 3456", &["0 OK", "InvalidNumber at 7"]),
        (slice(u64::MAX), FRAGMENTS, "0 OK\r\n18446744073709551616 ", &["0 OK", "InvalidNumber at 25"]),
        (slice(4), PLAIN, "0 OK\r\n34567\r\n", &["0 OK", "bytes 3456", "InvalidLineEnd at 10"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1NTU=\r\n", &["0 OK", "bytes 345", "TooManyBytes at 13"]),
        (slice(3), BASE64, "0 OK\r\nMzQ1M", &["0 OK", "bytes 345", "TooManyBytes at 10"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1N===\r\n", &["0 OK", "bytes 345", "InvalidBase64 at 11"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1Ng\r\n", &["0 OK", "bytes 345", "InvalidBase64 at 13"]),
        (slice(4), BASE64, "0 OK\r\nMg==MzQ1\r\n", &["0 OK", "bytes 2", "InvalidBase64 at 10"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1 g==\r\n", &["0 OK", "bytes 345", "InvalidBase64 at 10"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1\r\n\r\n", &["0 OK", "bytes 345", "TooFewBytes at 13"]),
        (slice(4), BASE64, "0 OK\r\n\r\n", &["0 OK", "TooFewBytes at 7"]),
        (slice(0), BASE64, "0 OK\r\nMzQ1\r\n", &["0 OK", "TooManyBytes at 6"]),
        (raw(4), PLAIN, "0 OK\r\nContent-Length: 5\r\n", &["0 OK", "WrongContentLength at 24"]),
        (raw(4), PLAIN, "0 OK\r\nContent-Length: 4\r\nA: b\r\n", &["0 OK", "WrongContentLength at 30"]),
        (raw(4), PLAIN, "0 OK\r\nContent-Length: +4\r\n", &["0 OK", "InvalidNumber at 25"]),
        (raw(4), PLAIN, "0 OK\r\n4 3456\r\n", &["0 OK", "WrongContentLength at 13"]),
    ];
    for (request, encoding, input, expected) in table {
        assert_reads(*request, *encoding, input.as_bytes(), expected);
    }
}

#[test]
fn too_long_lines_are_errors() {
    let longest = "n".repeat(LINE_MAX);
    assert_reads(
        LISTING,
        PLAIN,
        format!("0 OK\r\n{longest}\r\n\r\n").as_bytes(),
        &["0 OK", &format!("name {longest}"), "end"],
    );
    assert_reads(LISTING, PLAIN, format!("0 OK\r\n{longest}n\r\n").as_bytes(), &["0 OK", "LineTooLong at 518"]);
    assert_reads(LISTING, PLAIN, "0".repeat(600).as_bytes(), &["LineTooLong at 512"]);
    assert_reads(
        slice(9),
        FRAGMENTS,
        format!("0 OK\r\n{}", "0".repeat(600)).as_bytes(),
        &["0 OK", "InvalidNumber at 7"],
    );
}

#[test]
fn answers_written_by_the_server_are_read() {
    let mut written = Vec::new();
    answer::metadata(&mut written, 1 << 40);
    assert_reads(METADATA, PLAIN, &written, &["0 OK", "size 1099511627776", "end"]);
    written.clear();
    answer::raw_head(&mut written, 2);
    written.extend_from_slice(b"\r\n");
    assert_reads(raw(2), PLAIN, &written, &["0 OK", "bytes \\r\\n", "end"]);
    for code in super::super::Code::ALL {
        let (events, _) = read(Request::Quit, PLAIN, &[code.line().as_bytes()]);
        assert_eq!(format!("{}\r\n", events[0]), code.line());
        assert_eq!(events[1].ends_with("closes"), code.is_fatal() || code.number() == 0, "{code:?}");
    }
}

#[test]
fn contiguous_bytes_can_bypass_the_reader() {
    let mut reader = AnswerReader::new(slice(10), FRAGMENTS);
    let read = |reader: &mut AnswerReader, input: &[u8]| {
        let (taken, event) = reader.read(input).expect("a valid answer");
        (taken, format!("{event:?}"))
    };
    assert_eq!(reader.contiguous(), 0);
    read(&mut reader, b"0 OK\r\n");
    assert_eq!(read(&mut reader, b"8 "), (2, "None".to_owned()));
    assert_eq!(reader.contiguous(), 8);
    reader.skip(5);
    assert_eq!(reader.contiguous(), 3);
    assert_eq!(read(&mut reader, b"678\r\n2 9"), (3, "Some(Bytes([54, 55, 56]))".to_owned()));
    assert_eq!(read(&mut reader, b"\r\n2 9").0, 5);
    reader.skip(1);
    assert_eq!(read(&mut reader, b"\r\n0 \r\n"), (6, "Some(End { closes: false })".to_owned()));
    reader.skip(7);
    assert_eq!(read(&mut reader, b"0 OK"), (0, "None".to_owned()));
}

#[test]
fn error_after_skipped_bytes_has_its_position() {
    let mut reader = AnswerReader::new(slice(10), FRAGMENTS);
    assert!(reader.read(b"0 OK\r\n").is_ok_and(|(taken, _)| taken == 6));
    assert_eq!(reader.read(b"8 "), Ok((2, None)));
    reader.skip(5);
    reader.skip(3);
    assert_eq!(reader.read(b"\r\nx"), Err(ParseError { at: 18, kind: ParseErrorKind::InvalidNumber }));
}

#[test]
fn a_reader_allocates_no_memory() {
    assert!(std::mem::size_of::<AnswerReader>() < 4096, "{}", std::mem::size_of::<AnswerReader>());
    assert!(!std::mem::needs_drop::<AnswerReader>(), "it owns allocated memory");
}

#[test]
fn invalid_names_are_returned_unchecked() {
    let input = b"0 OK\r\n../../etc\r\na b\r\n\xff\r\n\r\n";
    assert_reads(LISTING, PLAIN, input, &["0 OK", "name ../../etc", "name a b", "name \\xff", "end"]);
    assert!(!NameCharset::Printable.allow_name(b"../../etc"));
}
