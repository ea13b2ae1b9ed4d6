//! Hostile clients.

use std::net::Ipv4Addr;

use crate::counters::Kind;
use crate::rng::Rng;
use crate::support::{ALL_ENCODINGS, Client, Encoding, PROBE, slice_request};
use crate::world::{CROWDED, DENIED, LINE, PER_ADDRESS, STALL, World};

/// Resets the connection at a random moment: before, within or after a request, or within an answer.
pub(crate) fn resets(world: &World, rng: &mut Rng) {
    let &(listener, encoding) = rng.pick(&ALL_ENCODINGS);
    let mut client = Client::connect_narrow(world.listeners[listener]);
    let blob = world.largest();
    let requests = slice_request(encoding, &blob.name, 0, blob.bytes.len() as u64).repeat(rng.between(1, 20));
    client.send(&requests[..rng.between(0, requests.len())]);
    match rng.below(3) {
        0 => {}
        1 => world.rest(rng, 0, 30),
        // Whether or not that completes a request, there is an answer.
        _ => {
            client.send("\r\nhelp\r\n");
            client.exactly(rng.between(1, "101 BAD REQUEST\r\n".len()));
        }
    }
    client.reset();
    world.counters.add(Kind::Reset, 1);
    world.rest(rng, 0, 15);
}

/// Sends requests for large answers and reads nothing, until the stall timeout.
pub(crate) fn never_reads(world: &World, rng: &mut Rng) {
    let (name, size) = (&world.largest().name, world.largest().bytes.len() as u64);
    let mut clients: Vec<(Client, Encoding)> = (0..rng.between(2, 6))
        .map(|_| {
            let &(listener, encoding) = rng.pick(&ALL_ENCODINGS);
            let mut client = Client::connect_narrow(world.listeners[listener]);
            client.send(slice_request(encoding, name, 0, size).repeat(rng.between(1, 50)));
            (client, encoding)
        })
        .collect();
    // Bytes that the kernel accepts after a check count as progress at the next one, so this may take twice the timeout.
    let enough = 2 * usize::try_from(STALL.as_millis()).expect("few") + 3000;
    world.rest(rng, enough, enough);
    if world.is_over() {
        return clients.into_iter().for_each(|(client, _)| client.reset());
    }
    for (client, encoding) in &mut clients {
        let came = client.drain();
        assert!(came < size, "{encoding:?}: {came} bytes were sent to a client that took none");
        world.counters.add(Kind::Stalled, 1);
    }
}

/// Many connections at a time that send nothing or part of a request.
pub(crate) fn flood(world: &World, rng: &mut Rng) {
    let source = Ipv4Addr::new(127, 0, 3, u8::try_from(rng.between(1, 250)).expect("a byte"));
    let count = rng.between(1, 40);
    let mut clients: Vec<Client> =
        (0..count).map(|_| Client::connect_from(source, *rng.pick(&world.listeners))).collect();
    for client in &mut clients {
        match rng.below(4) {
            0 => client.send_if_possible(b"get_sl"),
            1 => client.finish(),
            _ => {}
        }
    }
    for client in clients {
        if rng.chance(50) {
            client.reset();
        }
    }
    world.counters.add(Kind::Flooded, count as u64);
    world.rest(rng, 50, 200);
}

/// Lines that are too long, unfinished, or long.
pub(crate) fn endless_lines(world: &World, rng: &mut Rng) {
    let (mut client, _) = world.client(rng);
    let begin = *rng.pick(&["get_metadata ", "get_slice blob 0 ", "", "help ", "get_metadata \0"]);
    match rng.below(3) {
        0 => {
            client.send(begin);
            client.send(vec![b'x'; LINE + 1]);
            client.expect("101 BAD REQUEST\r\n");
            client.expect_close();
            world.counters.answered(1, 0);
            world.counters.add(Kind::EndlessLine, 1);
        }
        1 => {
            client.send(begin);
            client.send(vec![b'y'; rng.between(1, LINE / 2)]);
            client.reset();
            world.counters.add(Kind::EndlessLineGivenUp, 1);
        }
        _ => {
            let name = "z".repeat(rng.between(256, LINE / 2));
            client.ask(format!("get_metadata {name}\r\n"), "202 FILE NOT FOUND\r\n");
            client.expect_alive();
            world.counters.answered(2, 0);
            world.counters.add(Kind::LongName, 1);
        }
    }
    world.rest(rng, 20, 100);
}

/// A client from a denied address.
pub(crate) fn denied(world: &World, rng: &mut Rng) {
    let mut client = Client::connect_from(DENIED, *rng.pick(&world.listeners));
    if rng.chance(50) {
        client.send_if_possible(b"get_file_listing\r\n");
    }
    let line = client.line();
    assert!(line.starts_with("199 "), "{line:?} to a denied address");
    client.expect_close();
    world.counters.add(Kind::Denied, 1);
    world.rest(rng, 20, 100);
}

/// More clients than the limit of an address: those within it are served, the others are answered 199.
pub(crate) fn crowd(world: &World, rng: &mut Rng) {
    let [most, _] = PER_ADDRESS;
    let count = most + rng.between(5, 20);
    let mut clients: Vec<Client> =
        (0..count).map(|_| Client::connect_from(CROWDED, *rng.pick(&world.listeners))).collect();
    clients.iter_mut().for_each(|client| client.send_if_possible(PROBE));
    let mut refused = 0;
    clients.retain_mut(|client| {
        let line = client.line();
        let is_accepted = line == "202 FILE NOT FOUND";
        if !is_accepted {
            assert!(line.starts_with("199 "), "{line:?} to a client over the limit");
            client.expect_close();
            refused += 1;
        }
        is_accepted
    });
    assert!(clients.len() <= most, "{} clients of an address whose limit is {most}", clients.len());
    clients.iter_mut().for_each(Client::expect_alive);
    world.counters.answered(2 * clients.len() as u64, 0);
    world.counters.add(Kind::Crowded, refused);
    world.rest(rng, 200, 600);
}
