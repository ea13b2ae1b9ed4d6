//! Files that are replaced while they are read.

use crate::counters::Kind;
use crate::rng::Rng;
use crate::support::content::pattern;
use crate::support::{Fault, TestDir, put};
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
pub(crate) fn publish(dir: &TestDir, name: &str, version: usize) {
    put(&dir.at("fresh"), &contents(version, 0, VERSIONS[version]));
    std::fs::rename(dir.at("fresh"), dir.root().join(name)).expect("rename");
}

pub(crate) fn publisher(world: &World, rng: &mut Rng) {
    let version = rng.below(VERSIONS.len());
    publish(&world.dir, VERSIONED[rng.below(VERSIONED.len())], version);
    world.counters.add(Kind::Published, 1);
    world.rest(rng, 0, 20);
}

/// The bytes of an answer are of one version.
pub(crate) fn reader(world: &World, rng: &mut Rng) {
    let (mut client, encoding) = world.client(rng);
    for _ in 0..rng.between(1, 10) {
        let name = VERSIONED[rng.below(VERSIONED.len())];
        let reported = client.size(name).unwrap_or_else(|fault| panic!("the size of {name}: {fault}"));
        assert!(VERSIONS.iter().any(|&size| size as u64 == reported), "{reported} is the size of no version");
        let size = *rng.pick(&VERSIONS);
        let offset = if rng.chance(50) { 0 } else { rng.below(1000) };
        let size = if rng.chance(50) { size - offset } else { rng.between(0, size - offset) };
        world.counters.answered(2, 0);
        match client.slice(encoding, name, offset as u64, size as u64) {
            Ok(bytes) => {
                let is_of =
                    |version: usize| offset + size <= VERSIONS[version] && bytes == contents(version, offset, size);
                assert!(
                    (0..VERSIONS.len()).any(is_of),
                    "{encoding:?}: {size} bytes of {name} from {offset} are of no version"
                );
                world.counters.answered(0, size as u64);
                world.counters.add(Kind::OneVersion, 1);
                world.count(encoding);
            }
            Err(Fault::Refused(line)) if VERSIONS.iter().any(|&version| offset + size > version) => {
                assert_eq!(line, "203 OFFSET EXCEEDS FILE SIZE");
            }
            Err(fault) => panic!("{encoding:?}, {size} bytes of {name} from {offset}: {fault}"),
        }
    }
    world.rest(rng, 0, 20);
}
