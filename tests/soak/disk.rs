//! A disk that hangs at times, and fails.

use crate::counters::Kind;
use crate::rng::Rng;
use crate::support::slowfs::{BYTE, Hang, SIZE};
use crate::support::{Fault, slice_request};
use crate::world::World;

/// Lets the disk hang for a random time.
pub(crate) fn breaker(world: &World, rng: &mut Rng) {
    world.rest(rng, 300, 1000);
    let Some(disk) = &world.disk else { return };
    let hanging = disk.hang(*rng.pick(&[Hang::Lookups, Hang::Reads]));
    world.rest(rng, 50, 600);
    drop(hanging);
    world.counters.add(Kind::DiskHung, 1);
}

/// Reads files of the disk, and sometimes leaves before the answer.
pub(crate) fn reader(world: &World, rng: &mut Rng) {
    world.rest(rng, 5, 50);
    if world.disk.is_none() {
        return;
    }
    let (mut client, encoding) = world.client(rng);
    let name = *rng.pick(&["slow", "slow", "fast", "eio"]);
    let offset = if name == "eio" { 0 } else { rng.between(0, SIZE) };
    let size = SIZE - offset;
    if rng.chance(25) {
        client.send(slice_request(encoding, name, offset as u64, size as u64));
        world.rest(rng, 0, 20);
        client.reset();
        world.counters.add(Kind::SlowFileGivenUp, 1);
        return;
    }
    client.ask(format!("get_metadata {name}\r\n"), format!("0 OK\r\n{SIZE}\r\n"));
    world.counters.answered(1, 0);
    let answer = client.slice(encoding, name, offset as u64, size as u64);
    if name == "eio" {
        assert!(matches!(answer, Err(Fault::Ended { .. })), "{encoding:?}: a file that cannot be read is complete");
        world.counters.add(Kind::DiskError, 1);
        return;
    }
    let bytes = answer.unwrap_or_else(|fault| panic!("{encoding:?}, {name} from {offset}: {fault}"));
    assert!(bytes.len() == size && bytes.iter().all(|&byte| byte == BYTE), "{encoding:?}: wrong bytes of {name}");
    world.counters.answered(1, size as u64);
    world.counters.add(Kind::SlowFile, 1);
}
