//! Clients as one does not wish them.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::dice::Dice;
use crate::support::client::{Client, PROBE};
use crate::support::decode::Form;
use crate::tally::Kind;
use crate::world::{CROWDED, DENIED, LINE, PER_ADDRESS, STALL, World};

/// Closes the connection with a reset.
pub(crate) fn reset(client: Client) {
    let socket = socket2::SockRef::from(client.stream());
    socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

/// Goes at any moment: before, within or after a request, or in the middle of an answer.
pub(crate) fn resets(world: &World, dice: &mut Dice) {
    let &(listener, form) = dice.pick(&Form::ALL);
    let mut client = Client::connect_narrow(world.listeners[listener]);
    let blob = world.largest();
    let requests = form.request(&blob.name, 0, blob.bytes.len() as u64).repeat(dice.between(1, 20));
    client.send(&requests[..dice.between(0, requests.len())]);
    match dice.below(3) {
        0 => {}
        1 => world.rest(dice, 0, 30),
        // Whatever that makes of it, it is answered.
        _ => {
            client.send("\r\nhelp\r\n");
            client.exactly(dice.between(1, "101 BAD REQUEST\r\n".len()));
        }
    }
    reset(client);
    world.tally.add(Kind::Reset, 1);
    world.rest(dice, 0, 15);
}

/// Asks for much and takes nothing, until the daemon has enough of it.
pub(crate) fn never_reads(world: &World, dice: &mut Dice) {
    let (name, size) = (&world.largest().name, world.largest().bytes.len() as u64);
    let mut clients: Vec<(Client, Form)> = (0..dice.between(2, 6))
        .map(|_| {
            let &(listener, form) = dice.pick(&Form::ALL);
            let mut client = Client::connect_narrow(world.listeners[listener]);
            client.send(form.request(name, 0, size).repeat(dice.between(1, 50)));
            (client, form)
        })
        .collect();
    // What the kernel took for a client after the daemon looked counts at the next look, so it may take twice the time.
    let enough = 2 * usize::try_from(STALL.as_millis()).expect("few") + 3000;
    world.rest(dice, enough, enough);
    if world.is_over() {
        return clients.into_iter().for_each(|(client, _)| reset(client));
    }
    for (client, form) in &mut clients {
        let came = client.drain();
        assert!(came < size, "{form:?}: {came} bytes were sent to a client that took none");
        world.tally.add(Kind::Stalled, 1);
    }
}

/// Many at a time who say nothing, or half a word.
pub(crate) fn flood(world: &World, dice: &mut Dice) {
    let source = Ipv4Addr::new(127, 0, 3, u8::try_from(dice.between(1, 250)).expect("a byte"));
    let count = dice.between(1, 40);
    let mut clients: Vec<Client> =
        (0..count).map(|_| Client::connect_from(source, *dice.pick(&world.listeners))).collect();
    for client in &mut clients {
        match dice.below(4) {
            0 => client.send_if_possible(b"get_sl"),
            1 => client.finish(),
            _ => {}
        }
    }
    for client in clients {
        if dice.chance(50) {
            reset(client);
        }
    }
    world.tally.add(Kind::Flooded, count as u64);
    world.rest(dice, 50, 200);
}

/// Lines that do not end, or late.
pub(crate) fn endless_lines(world: &World, dice: &mut Dice) {
    let (mut client, _) = world.client(dice);
    let begin = *dice.pick(&["get_metadata ", "get_slice blob 0 ", "", "help ", "get_metadata \0"]);
    match dice.below(3) {
        0 => {
            client.send(begin);
            client.send(vec![b'x'; LINE + 1]);
            client.expect("101 BAD REQUEST\r\n");
            client.expect_close();
            world.tally.answered(1, 0);
            world.tally.add(Kind::EndlessLine, 1);
        }
        1 => {
            client.send(begin);
            client.send(vec![b'y'; dice.between(1, LINE / 2)]);
            reset(client);
            world.tally.add(Kind::EndlessLineGivenUp, 1);
        }
        _ => {
            let name = "z".repeat(dice.between(256, LINE / 2));
            client.ask(format!("get_metadata {name}\r\n"), "202 FILE NOT FOUND\r\n");
            client.expect_alive();
            world.tally.answered(2, 0);
            world.tally.add(Kind::LongName, 1);
        }
    }
    world.rest(dice, 20, 100);
}

/// Somebody whose address is not welcome.
pub(crate) fn unwelcome(world: &World, dice: &mut Dice) {
    let mut client = Client::connect_from(DENIED, *dice.pick(&world.listeners));
    if dice.chance(50) {
        client.send_if_possible(b"get_file_listing\r\n");
    }
    let line = client.line();
    assert!(line.starts_with("199 "), "{line:?} to an address that is not welcome");
    client.expect_close();
    world.tally.add(Kind::Unwelcome, 1);
    world.rest(dice, 20, 100);
}

/// More than may come from one address: those who may are served, the others told.
pub(crate) fn crowd(world: &World, dice: &mut Dice) {
    let [most, _] = PER_ADDRESS;
    let count = most + dice.between(5, 20);
    let mut clients: Vec<Client> =
        (0..count).map(|_| Client::connect_from(CROWDED, *dice.pick(&world.listeners))).collect();
    clients.iter_mut().for_each(|client| client.send_if_possible(PROBE));
    let mut told = 0;
    clients.retain_mut(|client| {
        let line = client.line();
        let is_in = line == "202 FILE NOT FOUND";
        if !is_in {
            assert!(line.starts_with("199 "), "{line:?} to one of too many");
            client.expect_close();
            told += 1;
        }
        is_in
    });
    assert!(clients.len() <= most, "{} are in from an address that may have {most}", clients.len());
    clients.iter_mut().for_each(Client::expect_alive);
    world.tally.answered(2 * clients.len() as u64, 0);
    world.tally.add(Kind::Crowded, told);
    world.rest(dice, 200, 600);
}
