use super::*;
use crate::wire::{Names, answer, code};

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

/// What is read of `input` when it comes in these pieces, in words, and how many bytes were taken.
fn read(request: Request<'_>, encoding: Encoding, pieces: &[&[u8]]) -> (Vec<String>, usize) {
    let mut reader = AnswerReader::new(request, encoding);
    let (mut said, mut bytes, mut all) = (Vec::new(), Vec::new(), 0);
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
                Err(malformed) => {
                    assert_eq!(reader.read(b"0 OK\r\n"), Err(malformed), "an error is final");
                    format!("{:?} at {}", malformed.flaw, malformed.at)
                }
            };
            if !bytes.is_empty() {
                said.push(format!("bytes {}", std::mem::take(&mut bytes).escape_ascii()));
            }
            let failed = word.contains(" at ");
            said.push(word);
            if failed {
                break 'pieces;
            }
        }
    }
    if !bytes.is_empty() {
        said.push(format!("bytes {}", bytes.escape_ascii()));
    }
    (said, all)
}

/// Reads `input` whole, byte by byte and cut at each place, which must make no difference.
#[track_caller]
fn assert_reads(request: Request<'_>, encoding: Encoding, input: &[u8], expected: &[&str]) {
    let (said, taken) = read(request, encoding, &[input]);
    assert_eq!(said, expected, "{}", input.escape_ascii());
    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(read(request, encoding, &single).0, expected, "byte by byte: {}", input.escape_ascii());
    for cut in 0..=input.len() {
        let (head, tail) = input.split_at(cut);
        let (said, of_both) = read(request, encoding, &[head, tail]);
        assert_eq!(said, expected, "cut at {cut}: {}", input.escape_ascii());
        let failed = said.last().is_some_and(|word| word.contains(" at "));
        assert!(failed || of_both == taken, "cut at {cut}, {of_both} bytes were taken and not {taken}");
    }
}

#[test]
fn every_answer_of_the_protocol_is_read_however_it_is_cut() {
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
        // What follows belongs to the next answer.
        let (said, taken) = read(*request, *encoding, &[format!("{input}0 OK\r\n").as_bytes()]);
        assert_eq!((said, taken), (expected.iter().map(ToString::to_string).collect(), input.len()), "{input:?}");
        // Nothing less is complete.
        for cut in 0..input.len() {
            let (said, _) = read(*request, *encoding, &[&input.as_bytes()[..cut]]);
            assert!(!said.last().is_some_and(|word| word.starts_with("end")), "{cut} bytes of {input:?}: {said:?}");
        }
    }
}

#[test]
fn what_the_protocol_does_not_allow_is_told_with_its_place() {
    let table: &[(Request<'_>, Encoding, &str, &[&str])] = &[
        (LISTING, PLAIN, "HTTP/1.1 200 OK\r\n", &["Status at 16"]),
        (LISTING, PLAIN, "\r\n", &["Status at 1"]),
        (LISTING, PLAIN, "0\r\n", &["Status at 2"]),
        (LISTING, PLAIN, "0 \r\n", &["Status at 3"]),
        (LISTING, PLAIN, "00 OK\r\n", &["Status at 6"]),
        (LISTING, PLAIN, "-1 OK\r\n", &["Status at 6"]),
        (LISTING, PLAIN, "99 OK\r\n", &["Status at 6"]),
        (LISTING, PLAIN, "300 OK\r\n", &["Status at 7"]),
        (LISTING, PLAIN, "1000 OK\r\n", &["Status at 8"]),
        (LISTING, PLAIN, "0 OK\n", &["LineEnd at 4"]),
        (LISTING, PLAIN, "0 OK\r\r\n", &["LineEnd at 5"]),
        (LISTING, PLAIN, "0 OK\r\na\rb\r\n\r\n", &["0 OK", "LineEnd at 8"]),
        (METADATA, PLAIN, "0 OK\r\n\r\n", &["0 OK", "Number at 7"]),
        (METADATA, PLAIN, "0 OK\r\n-1\r\n", &["0 OK", "Number at 9"]),
        (METADATA, PLAIN, "0 OK\r\n1 \r\n", &["0 OK", "Number at 9"]),
        (METADATA, PLAIN, "0 OK\r\n18446744073709551615\r\n", &["0 OK", "size 18446744073709551615", "end"]),
        (METADATA, PLAIN, "0 OK\r\n18446744073709551616\r\n", &["0 OK", "Number at 27"]),
        (METADATA, PLAIN, "0 OK\r\n99999999999999999999\r\n", &["0 OK", "Number at 27"]),
        (slice(4), FRAGMENTS, "0 OK\r\n5 34567\r\n", &["0 OK", "TooMany at 7"]),
        (slice(4), FRAGMENTS, "0 OK\r\n3 345\r\n2 67", &["0 OK", "bytes 345", "TooMany at 14"]),
        (slice(4), FRAGMENTS, "0 OK\r\n3 345\r\n0 \r\n", &["0 OK", "bytes 345", "TooFew at 14"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 34567\r\n", &["0 OK", "bytes 3456", "LineEnd at 12"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 3456\r\n0\r\n", &["0 OK", "bytes 3456", "Number at 15"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 3456\r\n0 a", &["0 OK", "bytes 3456", "LineEnd at 16"]),
        (slice(4), FRAGMENTS, "0 OK\r\n4 3456\r\n1 7", &["0 OK", "bytes 3456", "TooMany at 15"]),
        (slice(4), FRAGMENTS, "0 OK\r\n 3456", &["0 OK", "Number at 6"]),
        (slice(4), FRAGMENTS, "0 OK\r\n04 3456", &["0 OK", "Number at 7"]),
        (slice(u64::MAX), FRAGMENTS, "0 OK\r\n18446744073709551616 ", &["0 OK", "Number at 25"]),
        (slice(4), PLAIN, "0 OK\r\n34567\r\n", &["0 OK", "bytes 3456", "LineEnd at 10"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1NTU=\r\n", &["0 OK", "bytes 345", "TooMany at 13"]),
        (slice(3), BASE64, "0 OK\r\nMzQ1M", &["0 OK", "bytes 345", "TooMany at 10"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1N===\r\n", &["0 OK", "bytes 345", "NotBase64 at 11"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1Ng\r\n", &["0 OK", "bytes 345", "NotBase64 at 13"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1 g==\r\n", &["0 OK", "bytes 345", "NotBase64 at 10"]),
        (slice(4), BASE64, "0 OK\r\nMzQ1\r\n\r\n", &["0 OK", "bytes 345", "TooFew at 13"]),
        (slice(4), BASE64, "0 OK\r\n\r\n", &["0 OK", "TooFew at 7"]),
        (slice(0), BASE64, "0 OK\r\nMzQ1\r\n", &["0 OK", "TooMany at 6"]),
        (raw(4), PLAIN, "0 OK\r\nContent-Length: 5\r\n", &["0 OK", "Head at 24"]),
        (raw(4), PLAIN, "0 OK\r\nContent-Length: 4\r\nA: b\r\n", &["0 OK", "Head at 30"]),
        (raw(4), PLAIN, "0 OK\r\nContent-Length: +4\r\n", &["0 OK", "Number at 25"]),
        (raw(4), PLAIN, "0 OK\r\n4 3456\r\n", &["0 OK", "Head at 13"]),
    ];
    for (request, encoding, input, expected) in table {
        assert_reads(*request, *encoding, input.as_bytes(), expected);
    }
}

#[test]
fn a_line_without_an_end_ends_the_reading() {
    let longest = "n".repeat(LINE);
    assert_reads(
        LISTING,
        PLAIN,
        format!("0 OK\r\n{longest}\r\n\r\n").as_bytes(),
        &["0 OK", &format!("name {longest}"), "end"],
    );
    assert_reads(LISTING, PLAIN, format!("0 OK\r\n{longest}n\r\n").as_bytes(), &["0 OK", "LongLine at 518"]);
    assert_reads(LISTING, PLAIN, "0".repeat(600).as_bytes(), &["LongLine at 512"]);
    assert_reads(slice(9), FRAGMENTS, format!("0 OK\r\n{}", "0".repeat(600)).as_bytes(), &["0 OK", "Number at 7"]);
}

#[test]
fn what_the_server_writes_is_read() {
    let mut written = Vec::new();
    answer::metadata(&mut written, 1 << 40);
    assert_reads(METADATA, PLAIN, &written, &["0 OK", "size 1099511627776", "end"]);
    written.clear();
    answer::raw_head(&mut written, 2);
    written.extend_from_slice(b"\r\n");
    assert_reads(raw(2), PLAIN, &written, &["0 OK", "bytes \\r\\n", "end"]);
    for code in super::super::Code::ALL {
        let (said, _) = read(Request::Quit, PLAIN, &[code.line().as_bytes()]);
        assert_eq!(format!("{}\r\n", said[0]), code.line());
        assert_eq!(said[1].ends_with("closes"), code.is_fatal() || code.number() == 0, "{code:?}");
    }
}

#[test]
fn bytes_of_a_run_may_be_taken_elsewhere() {
    let mut reader = AnswerReader::new(slice(10), FRAGMENTS);
    let read = |reader: &mut AnswerReader, input: &[u8]| {
        let (taken, event) = reader.read(input).expect("a right answer");
        (taken, format!("{event:?}"))
    };
    assert_eq!(reader.run(), 0);
    read(&mut reader, b"0 OK\r\n");
    assert_eq!(read(&mut reader, b"8 "), (2, "None".to_owned()));
    assert_eq!(reader.run(), 8);
    reader.pass(5);
    assert_eq!(reader.run(), 3);
    assert_eq!(read(&mut reader, b"678\r\n2 9"), (3, "Some(Bytes([54, 55, 56]))".to_owned()));
    assert_eq!(read(&mut reader, b"\r\n2 9").0, 5);
    reader.pass(1);
    assert_eq!(read(&mut reader, b"\r\n0 \r\n"), (6, "Some(End { closes: false })".to_owned()));
    reader.pass(7);
    assert_eq!(read(&mut reader, b"0 OK"), (0, "None".to_owned()));
}

#[test]
fn an_answer_of_any_length_costs_the_same() {
    assert!(std::mem::size_of::<AnswerReader>() < 4096, "{}", std::mem::size_of::<AnswerReader>());
    assert!(!std::mem::needs_drop::<AnswerReader>(), "it owns memory beside itself");
}

#[test]
fn a_name_that_cannot_be_asked_for_is_told_all_the_same() {
    let input = b"0 OK\r\n../../etc\r\na b\r\n\xff\r\n\r\n";
    assert_reads(LISTING, PLAIN, input, &["0 OK", "name ../../etc", "name a b", "name \\xff", "end"]);
    assert!(!Names::Printable.allow_name(b"../../etc"));
}
