//! Well-behaved clients.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::counters::Kind;
use crate::dice::Dice;
use crate::files;
use crate::support::{Client, Form, HELP_ANSWER};
use crate::world::{Blob, World};

/// Offset and size of the whole file or of a slice.
fn part(dice: &mut Dice, blob: &Blob) -> (usize, usize) {
    if dice.chance(50) {
        return (0, blob.bytes.len());
    }
    let offset = dice.between(0, blob.bytes.len());
    (offset, dice.between(0, blob.bytes.len() - offset))
}

/// Transfers of a few files over one connection.
pub(crate) fn transfers(world: &World, dice: &mut Dice) {
    let (mut client, form) = world.client(dice);
    for _ in 0..dice.between(1, 8) {
        let blob = world.blob(dice);
        let (offset, size) = part(dice, blob);
        let slow = dice.chance(5) && size < 2_000_000;
        client.send(form.request(&blob.name, offset as u64, size as u64));
        let wait = if slow { Duration::from_millis(dice.between(1, 40) as u64) } else { Duration::ZERO };
        world.verify(&mut client, form, blob, offset, size, wait);
        world.counters.add(Kind::SlowReader, u64::from(slow));
        if world.is_over() {
            return;
        }
    }
    world.rest(dice, 0, 10);
    if dice.chance(30) {
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
fn request<'a>(world: &'a World, dice: &mut Dice, form: Form) -> (String, Wanted<'a>) {
    let exactly = |request: &str, answer: &str| (request.to_owned(), Wanted::Exactly(answer.into()));
    match dice.below(20) {
        0..8 => {
            let blob = world.blob(dice);
            exactly(&format!("get_metadata {}\r\n", blob.name), &format!("0 OK\r\n{}\r\n", blob.bytes.len()))
        }
        8..16 => {
            let blob = world.blob(dice);
            let offset = dice.between(0, blob.bytes.len());
            let size = dice.between(0, 3000).min(blob.bytes.len() - offset);
            (form.request(&blob.name, offset as u64, size as u64), Wanted::Slice(blob, offset, size))
        }
        16 => exactly("help\r\n", HELP_ANSWER),
        17 => exactly("verdura\r\n", "200 NO SUCH COMMAND\r\n"),
        18 if dice.chance(30) => ("get_file_listing\r\n".to_owned(), Wanted::Listing),
        _ => {
            let blob = world.blob(dice);
            let request = format!("get_slice {} {} 1\r\n", blob.name, blob.bytes.len());
            exactly(&request, "203 OFFSET EXCEEDS FILE SIZE\r\n")
        }
    }
}

/// Many requests in random pieces before the first answer is read, then a random end of the connection.
pub(crate) fn pipelines(world: &World, dice: &mut Dice) {
    let (mut client, form) = world.client(dice);
    let count = dice.between(1, 150);
    let (requests, wanted): (Vec<String>, Vec<Wanted<'_>>) = (0..count).map(|_| request(world, dice, form)).unzip();
    let (last, answer, kind) = match dice.below(4) {
        0 => ("", "", Kind::HalfClosed),
        1 => ("get_metadata unfinished", "", Kind::HalfClosed),
        2 => ("quit\r\nhelp\r\n", "0 OK\r\n", Kind::Quit),
        _ => *dice.pick(&[
            ("get_meta\nhelp\r\n", "100 BAD EOL\r\n", Kind::Fatal),
            (" \t \r\n", "101 BAD REQUEST\r\n", Kind::Fatal),
        ]),
    };
    let bytes = (requests.concat() + last).into_bytes();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let most = if dice.chance(30) { 7 } else { 2000 };
        let (piece, after) = rest.split_at(dice.between(1, most).min(rest.len()));
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
                world.verify(&mut client, form, blob, *offset, *size, Duration::ZERO);
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
    world.rest(dice, 0, 20);
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
pub(crate) fn moving_listener(world: &World, dice: &mut Dice) {
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
            for _ in 0..dice.between(1, 3) {
                client.expect_alive();
                world.counters.answered(1, 0);
                world.counters.add(Kind::FromMoving, 1);
                world.rest(dice, 0, 30);
            }
        }
        world.rest(dice, 10, 40);
    }
}
