//! A disk that hangs at times, and fails.

use crate::counters::Kind;
use crate::dice::Dice;
use crate::support::Fault;
use crate::support::slowfs::{BYTE, Hang, SIZE};
use crate::world::World;

/// Lets the disk hang for a random time.
pub(crate) fn breaker(world: &World, dice: &mut Dice) {
    world.rest(dice, 300, 1000);
    let Some(disk) = &world.disk else { return };
    let hanging = disk.hang(*dice.pick(&[Hang::Lookups, Hang::Reads]));
    world.rest(dice, 50, 600);
    drop(hanging);
    world.counters.add(Kind::DiskHung, 1);
}

/// Reads files of the disk, and sometimes leaves before the answer.
pub(crate) fn reader(world: &World, dice: &mut Dice) {
    world.rest(dice, 5, 50);
    if world.disk.is_none() {
        return;
    }
    let (mut client, form) = world.client(dice);
    let name = *dice.pick(&["slow", "slow", "fast", "eio"]);
    let offset = if name == "eio" { 0 } else { dice.between(0, SIZE) };
    let size = SIZE - offset;
    if dice.chance(25) {
        client.send(form.request(name, offset as u64, size as u64));
        world.rest(dice, 0, 20);
        client.reset();
        world.counters.add(Kind::SlowFileGivenUp, 1);
        return;
    }
    client.ask(format!("get_metadata {name}\r\n"), format!("0 OK\r\n{SIZE}\r\n"));
    world.counters.answered(1, 0);
    let answer = client.slice(form, name, offset as u64, size as u64);
    if name == "eio" {
        assert!(matches!(answer, Err(Fault::Ended { .. })), "{form:?}: a file that cannot be read is complete");
        world.counters.add(Kind::DiskError, 1);
        return;
    }
    let bytes = answer.unwrap_or_else(|fault| panic!("{form:?}, {name} from {offset}: {fault}"));
    assert!(bytes.len() == size && bytes.iter().all(|&byte| byte == BYTE), "{form:?}: wrong bytes of {name}");
    world.counters.answered(1, size as u64);
    world.counters.add(Kind::SlowFile, 1);
}
