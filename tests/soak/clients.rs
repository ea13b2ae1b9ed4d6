//! Well-behaved clients.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::counters::Kind;
use crate::files;
use crate::rng::Rng;
use crate::support::{Client, Encoding, HELP_ANSWER, slice_request};
use crate::world::{Blob, World};

/// Offset and size of the whole file or of a slice.
fn part(rng: &mut Rng, blob: &Blob) -> (usize, usize) {
    if rng.chance(50) {
        return (0, blob.bytes.len());
    }
    let offset = rng.between(0, blob.bytes.len());
    (offset, rng.between(0, blob.bytes.len() - offset))
}

/// Transfers of a few files over one connection.
pub(crate) fn transfers(world: &World, rng: &mut Rng) {
    let (mut client, encoding) = world.client(rng);
    for _ in 0..rng.between(1, 8) {
        let blob = world.blob(rng);
        let (offset, size) = part(rng, blob);
        let slow = rng.chance(5) && size < 2_000_000;
        client.send(slice_request(encoding, &blob.name, offset as u64, size as u64));
        let wait = if slow { Duration::from_millis(rng.between(1, 40) as u64) } else { Duration::ZERO };
        world.verify(&mut client, encoding, blob, offset, size, wait);
        world.counters.add(Kind::SlowReader, u64::from(slow));
        if world.is_over() {
            return;
        }
    }
    world.rest(rng, 0, 10);
    if rng.chance(30) {
        client.ask("quit\r\n", "0 OK\r\n");
        client.expect_close();
        world.counters.answered(1, 0);
        world.counters.add(Kind::Quit, 1);
    }
}

/// The answer that a request must get.
enum Wanted<'a> {
    Exactly(Vec<u8>),
    Slice(&'a Blob, usize, usize),
    Listing,
}

/// A random small request.
fn request<'a>(world: &'a World, rng: &mut Rng, encoding: Encoding) -> (String, Wanted<'a>) {
    let exactly = |request: &str, answer: &str| (request.to_owned(), Wanted::Exactly(answer.into()));
    match rng.below(20) {
        0..8 => {
            let blob = world.blob(rng);
            exactly(&format!("get_metadata {}\r\n", blob.name), &format!("0 OK\r\n{}\r\n", blob.bytes.len()))
        }
        8..16 => {
            let blob = world.blob(rng);
            let offset = rng.between(0, blob.bytes.len());
            let size = rng.between(0, 3000).min(blob.bytes.len() - offset);
            (slice_request(encoding, &blob.name, offset as u64, size as u64), Wanted::Slice(blob, offset, size))
        }
        16 => exactly("help\r\n", HELP_ANSWER),
        17 => exactly("verdura\r\n", "200 NO SUCH COMMAND\r\n"),
        18 if rng.chance(30) => ("get_file_listing\r\n".to_owned(), Wanted::Listing),
        _ => {
            let blob = world.blob(rng);
            let request = format!("get_slice {} {} 1\r\n", blob.name, blob.bytes.len());
            exactly(&request, "203 OFFSET EXCEEDS FILE SIZE\r\n")
        }
    }
}

/// Many requests in random pieces before the first answer is read, then a random end of the connection.
pub(crate) fn pipelines(world: &World, rng: &mut Rng) {
    let (mut client, encoding) = world.client(rng);
    let count = rng.between(1, 150);
    let (requests, wanted): (Vec<String>, Vec<Wanted<'_>>) = (0..count).map(|_| request(world, rng, encoding)).unzip();
    let (last, answer, kind) = match rng.below(4) {
        0 => ("", "", Kind::HalfClosed),
        1 => ("get_metadata unfinished", "", Kind::HalfClosed),
        2 => ("quit\r\nhelp\r\n", "0 OK\r\n", Kind::Quit),
        _ => *rng.pick(&[
            ("get_meta\nhelp\r\n", "100 BAD EOL\r\n", Kind::Fatal),
            (" \t \r\n", "101 BAD REQUEST\r\n", Kind::Fatal),
        ]),
    };
    let bytes = (requests.concat() + last).into_bytes();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let most = if rng.chance(30) { 7 } else { 2000 };
        let (piece, after) = rest.split_at(rng.between(1, most).min(rest.len()));
        client.send(piece);
        rest = after;
    }
    if kind == Kind::HalfClosed {
        client.finish();
    }
    for wanted in &wanted {
        match wanted {
            Wanted::Exactly(answer) => {
                client.expect(answer);
                world.counters.answered(1, 0);
            }
            Wanted::Slice(blob, offset, size) => {
                world.verify(&mut client, encoding, blob, *offset, *size, Duration::ZERO);
            }
            Wanted::Listing => {
                client.expect("0 OK\r\n");
                expect_names(world, &mut client);
                world.counters.answered(1, 0);
                world.counters.add(Kind::Listing, 1);
            }
        }
    }
    client.expect(answer);
    client.expect_close();
    world.counters.answered(u64::from(!answer.is_empty()), 0);
    world.counters.add(kind, 1);
    world.counters.add(Kind::Pipelined, wanted.len() as u64);
    world.rest(rng, 0, 20);
}

/// The sorted names of all files. A file that is being replaced may be missing.
fn expect_names(world: &World, client: &mut Client) {
    let mut got: Vec<String> = std::iter::from_fn(|| Some(client.line()).filter(|name| !name.is_empty())).collect();
    assert!(got.is_sorted(), "not sorted: {got:?}");
    got.retain(|name| !files::VERSIONED.contains(&name.as_str()));
    let mut wanted: Vec<&str> = world.blobs.iter().map(|blob| blob.name.as_str()).collect();
    if world.disk.is_some() {
        wanted.extend(["eio", "fast", "slow"]);
    }
    assert_eq!(got, wanted);
}

/// A client of the listener that reloads move. It changes to the new address as soon as that accepts, and tries the old one
/// only when it has long been closed.
pub(crate) fn moving_listener(world: &World, rng: &mut Rng) {
    let (mut place, mut since) = (0, None::<Instant>);
    while !world.is_over() {
        let mut stream = None;
        if since.is_none_or(|since| since.elapsed() > Duration::from_secs(1)) {
            stream = TcpStream::connect(world.moving[1 - place]).ok();
        }
        if stream.is_some() {
            (place, since) = (1 - place, Some(Instant::now()));
            world.counters.add(Kind::Moved, 1);
        }
        // The listener may move between the two attempts.
        if let Some(stream) = stream.or_else(|| TcpStream::connect(world.moving[place]).ok()) {
            let mut client = Client::from_stream(stream);
            for _ in 0..rng.between(1, 3) {
                client.expect_alive();
                world.counters.answered(1, 0);
                world.counters.add(Kind::FromMoving, 1);
                world.rest(rng, 0, 30);
            }
        }
        world.rest(rng, 10, 40);
    }
}
