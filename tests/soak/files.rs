//! Files that are replaced while they are read.

use crate::counters::Kind;
use crate::dice::Dice;
use crate::support::content::pattern;
use crate::support::{Fault, Site, put};
use crate::world::World;

/// The names of the files that are replaced.
pub(crate) const VERSIONED: [&str; 3] = ["news-1", "news-2", "news-3"];

/// The sizes of the versions. Two differ only in their bytes.
const VERSIONS: [usize; 4] = [300_000, 300_000, 180_001, 420_000];

/// Bytes of a version, which differ from those of the others at every offset.
fn contents(version: usize, offset: usize, size: usize) -> Vec<u8> {
    pattern(10 + version as u64, offset as u64, size)
}

/// Replaces a file by this version.
pub(crate) fn publish(site: &Site, name: &str, version: usize) {
    put(&site.at("fresh"), &contents(version, 0, VERSIONS[version]));
    std::fs::rename(site.at("fresh"), site.root().join(name)).expect("rename");
}

pub(crate) fn publisher(world: &World, dice: &mut Dice) {
    let version = dice.below(VERSIONS.len());
    publish(&world.site, VERSIONED[dice.below(VERSIONED.len())], version);
    world.counters.add(Kind::Published, 1);
    world.rest(dice, 0, 20);
}

/// The bytes of an answer are of one version.
pub(crate) fn reader(world: &World, dice: &mut Dice) {
    let (mut client, form) = world.client(dice);
    for _ in 0..dice.between(1, 10) {
        let name = VERSIONED[dice.below(VERSIONED.len())];
        let reported = client.size(name).unwrap_or_else(|fault| panic!("the size of {name}: {fault}"));
        assert!(VERSIONS.iter().any(|&size| size as u64 == reported), "{reported} is the size of no version");
        let size = *dice.pick(&VERSIONS);
        let offset = if dice.chance(50) { 0 } else { dice.below(1000) };
        let size = if dice.chance(50) { size - offset } else { dice.between(0, size - offset) };
        world.counters.answered(2, 0);
        match client.slice(form, name, offset as u64, size as u64) {
            Ok(bytes) => {
                let is_of =
                    |version: usize| offset + size <= VERSIONS[version] && bytes == contents(version, offset, size);
                assert!(
                    (0..VERSIONS.len()).any(is_of),
                    "{form:?}: {size} bytes of {name} from {offset} are of no version"
                );
                world.counters.answered(0, size as u64);
                world.counters.add(Kind::OneVersion, 1);
                world.count(form);
            }
            Err(Fault::Refused(line)) if VERSIONS.iter().any(|&version| offset + size > version) => {
                assert_eq!(line, "203 OFFSET EXCEEDS FILE SIZE");
            }
            Err(fault) => panic!("{form:?}, {size} bytes of {name} from {offset}: {fault}"),
        }
    }
    world.rest(dice, 0, 20);
}
