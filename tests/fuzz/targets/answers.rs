//! Answers read by a client: from the server's code, and from a hostile server.

use std::cell::OnceCell;
use std::time::Instant;

use hftpd::wire::answer_reader::{Event, LINE_MAX, ParseError};
use hftpd::wire::{AnswerReader, Encoding, Framing, Request, SliceRequest};

use crate::sim::model::answer::{Answer, Part};
use crate::sim::model::request::{self as model, first_line, parse_request};
use crate::sim::model::{Node, Tree};
use crate::sim::rng::Rng;
use crate::sim::run::Run;
use crate::sim::socket::{FaultRates, Socket};
use crate::sim::steps::end;
use crate::sim::world::{Store, World};

/// The seeds of [`answers`].
pub(crate) const ANSWERS: &[&[u8]] = &[
    b"\x00\x02\x050 OK\r\n4 3456\r\n6 789012\r\n0 \r\n",
    b"\x01\x02\x040 OK\r\n3456\r\n",
    b"\x02\x02\x040 OK\r\nMzQ1Ng==\r\n",
    b"\x03\x02\x050 OK\r\nMzQ1\r\nNjc4\r\nMzQ1Ng==\r\n",
    b"\x00\x03\x040 OK\r\nContent-Length: 4\r\n\r\n3456",
    b"\x00\x00\x000 OK\r\na10\r\nempty\r\n\r\n",
    b"\x00\x01\x000 OK\r\n18446744073709551615\r\n",
    b"\x00\x05\x00199 TOO MANY CONNECTIONS\r\n",
    b"\x04\x01ask the server for something",
    b"\x05\x02ask the server for something else",
    b"\x06\x03\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"\x07\x04",
];

const SIZES: [u64; 8] = [0, 1, 3, 4, 10, 1000, 1 << 40, u64::MAX];

/// The events of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decoded {
    status: Option<(u16, Vec<u8>)>,
    size: Option<u64>,
    names: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    /// The length of the answer, and whether the server then closes.
    end: Option<(usize, bool)>,
    error: Option<ParseError>,
}

/// Reads an answer in one piece and in many, with the same result. The first byte selects the encoding and the kind of
/// input: an answer, after a byte for the request and a byte for its size, or random choices for a request that the
/// server answers. That answer must be valid, and is then read again with random changes.
pub(crate) fn answers(input: &[u8]) {
    let [flags, kind, rest @ ..] = input else { return };
    let place = usize::from(flags & 3);
    if flags & 4 == 0 {
        let [size, stream @ ..] = rest else { return };
        let size = SIZES[usize::from(size & 7)];
        let request = match kind % 6 {
            0 => Request::GetFileListing,
            1 => Request::GetMetadata { name: b"a" },
            2 => Request::GetSlice { name: b"a", slice: SliceRequest { offset: 0, size, raw: false } },
            3 => Request::GetSlice { name: b"a", slice: SliceRequest { offset: 0, size, raw: true } },
            4 => Request::Help,
            _ => Request::Quit,
        };
        let most = usize::try_from(size).unwrap_or(usize::MAX);
        decode(request, FRAMINGS[place].0, stream, most, &mut Rng::from_bytes(stream));
    } else {
        thread_local! {
            static STORE: OnceCell<Store> = const { OnceCell::new() };
        }
        STORE.with(|store| {
            check_server(place, store.get_or_init(|| Store::new(None)), &mut Rng::from_bytes(&input[1..]))
        });
    }
}

/// The encodings, and the bytes of a slice in each line of base64.
const FRAMINGS: [(Encoding, u32); 4] =
    [(Encoding::Fragments, 0), (Encoding::Plain, 0), (Encoding::Base64, 0), (Encoding::Base64, 999)];

/// Reads the server's answer to a random request: unchanged, and with a few bytes changed.
fn check_server(place: usize, store: &Store, rng: &mut Rng) {
    let rules = store.rules();
    let script = store.catalogue.request(rng, 10);
    let Some((line, _)) = first_line(&script, rules.request_line) else { return };
    let wanted_request = parse_request(line, &rules);
    let (request, most) = match &wanted_request {
        Ok(model::Request::Slice { size, .. }) if *size > 200_000 => return,
        Ok(model::Request::Slice { name, size, raw, .. }) => {
            let size = usize::try_from(*size).expect("a small size");
            (Request::GetSlice { name, slice: SliceRequest { offset: 0, size: size as u64, raw: *raw } }, size)
        }
        Ok(model::Request::Metadata { name }) => (Request::GetMetadata { name }, 0),
        Ok(model::Request::Help) => (Request::Help, 0),
        Ok(model::Request::Quit) => (Request::Quit, 0),
        Ok(model::Request::Listing) | Err(_) => (Request::GetFileListing, 0),
    };
    let world = World::new(store, rules);
    let tree = world.now().tree.clone().expect("the root is there");
    let (encoding, base64_line) = FRAMINGS[place];
    let framing = Framing { encoding, base64_line };
    let mut written = serve(world, &script, framing);
    let wanted = Answer::to(wanted_request.clone(), &rules, Some(&tree), framing);
    let mut decoded = decode(request, encoding, &written, most, rng);
    let what = || format!("{} answered with {}", script.escape_ascii(), written.escape_ascii());
    assert_eq!(decoded.error, None, "{}", what());
    assert_eq!(decoded.status.take().map(|(code, _)| code), Some(wanted.code), "{}", what());
    assert_eq!(decoded.end.map(|(_, closes)| closes), Some(wanted.last), "{}", what());
    if wanted.code == 0 {
        check_content(&decoded, &wanted_request.expect("it was answered with 0"), &wanted, &tree);
    }
    for _ in 0..rng.between(1, 4) {
        let at = rng.below(written.len());
        match rng.below(3) {
            0 => written[at] = rng.below(256) as u8,
            1 => drop(written.remove(at)),
            _ => written.insert(at, *rng.pick(b"\r\n 0=A")),
        }
    }
    decode(request, encoding, &written, most, rng);
}

fn check_content(decoded: &Decoded, wanted_request: &model::Request<'_>, wanted: &Answer, tree: &Tree) {
    match wanted_request {
        model::Request::Slice { name, offset, size, .. } => {
            let Some(Node::File { bytes, .. } | Node::Link { bytes, .. }) = tree.get(*name) else {
                panic!("not a file")
            };
            let range = *offset as usize..(offset + size) as usize;
            assert!(decoded.bytes == bytes[range], "other bytes than the file's");
        }
        _ => {
            let mut text = decoded.size.map_or_else(String::new, |size| format!("{size}\r\n")).into_bytes();
            let empty = matches!(wanted_request, model::Request::Listing | model::Request::Help).then_some(&b""[..]);
            for name in decoded.names.iter().map(Vec::as_slice).chain(empty) {
                text.extend_from_slice(name);
                text.extend_from_slice(b"\r\n");
            }
            let of_model = wanted.parts[1..].iter().flat_map(|part| match part {
                Part::Text(text) => text.iter().copied(),
                Part::Bytes(..) | Part::Fragments(..) => unreachable!("only slices have bytes"),
            });
            assert_eq!(text, of_model.collect::<Vec<u8>>());
        }
    }
}

/// The server's answers to a client that sends this, shuts down its write side and reads everything.
fn serve(world: World<'_>, script: &[u8], framing: Framing) -> Vec<u8> {
    let fault_rates = FaultRates { window: 1 << 30, ..FaultRates::default() };
    let socket = Socket::new(Rng::seeded(0), fault_rates, world, script.to_vec());
    let mut run = Run::start(socket, framing, Instant::now());
    end(&mut run);
    run.socket.written
}

/// Reads a stream in one piece, and in pieces of which some bypass the reader.
fn decode(request: Request<'_>, encoding: Encoding, stream: &[u8], most: usize, rng: &mut Rng) -> Decoded {
    let mut reader = AnswerReader::new(request, encoding);
    let mut decoded = Decoded::default();
    take(&mut reader, &mut decoded, stream, 0);
    assert!(decoded.bytes.len() <= most, "{} bytes of {most}", decoded.bytes.len());

    let mut reader = AnswerReader::new(request, encoding);
    let (mut pieces, mut at) = (Decoded::default(), 0);
    while at < stream.len() && pieces.end.is_none() && pieces.error.is_none() {
        let length = *rng.pick(&[1, 3, 50, 100_000]);
        let length = rng.between(1, length).min(stream.len() - at);
        let run = usize::try_from(reader.contiguous()).unwrap_or(usize::MAX).min(length);
        if run > 0 && rng.chance(50) {
            pieces.bytes.extend_from_slice(&stream[at..at + run]);
            reader.skip(run as u64);
            at += run;
            // The end may follow without further bytes.
            take(&mut reader, &mut pieces, b"", at);
        } else {
            take(&mut reader, &mut pieces, &stream[at..at + length], at);
            at += length;
        }
    }
    assert_eq!(pieces, decoded, "{}", stream.escape_ascii());
    decoded
}

/// Takes all events of `input`, which begins at offset `base` of the answer.
fn take(reader: &mut AnswerReader, decoded: &mut Decoded, input: &[u8], base: usize) {
    let mut at = 0;
    loop {
        match reader.read(&input[at..]) {
            Err(error) => {
                assert!(error.at < (base + input.len()) as u64, "the error is at a byte that has not arrived");
                decoded.error = Some(error);
                return;
            }
            Ok((taken, event)) => {
                at += taken;
                assert!(decoded.end.is_none() || event.is_none(), "{event:?} after the end");
                let status = matches!(event, Some(Event::Status { .. }));
                assert!(event.is_none() || status == decoded.status.is_none(), "{event:?}, after {decoded:?}");
                match event {
                    None => {
                        assert!(at == input.len() || decoded.end.is_some(), "bytes were left");
                        return;
                    }
                    Some(Event::Status { code, text }) => decoded.status = Some((code, text.to_vec())),
                    Some(Event::Size(size)) => decoded.size = Some(size),
                    Some(Event::Name(name)) => {
                        assert!((1..=LINE_MAX).contains(&name.len()), "a name of {} bytes", name.len());
                        decoded.names.push(name.to_vec());
                    }
                    Some(Event::Bytes(bytes)) => {
                        assert!(!bytes.is_empty(), "no bytes");
                        decoded.bytes.extend_from_slice(bytes);
                    }
                    Some(Event::End { closes }) => decoded.end = Some((base + at, closes)),
                }
            }
        }
    }
}
