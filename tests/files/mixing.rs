//! No answer mixes bytes of two roots or files that are switched.

use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::content::pattern;
use crate::support::{
    ALL_ENCODINGS, Client, Daemon, Encoding, Fault, Settings, TestDir, in_parallel, meanwhile, put, switch_link,
};

/// A version of the root. The two have common names, different sizes, and bytes that differ at every offset.
struct Version {
    seed: u64,
    size: usize,
    names: &'static [&'static str],
}

const VERSIONS: [Version; 2] = [
    Version { seed: 1, size: 300_000, names: &["f", "g", "one", "uno"] },
    Version { seed: 2, size: 500_000, names: &["f", "g", "dos", "two", "zwei"] },
];

/// The number of answers of each version after which a test ends.
const ENOUGH: usize = 60;

fn make(path: &Path, version: &Version) {
    for name in version.names {
        put(&path.join(name), &pattern(version.seed, 0, version.size));
    }
}

/// Switches continuously while clients send requests in every encoding, until each has seen both versions often enough.
fn ask_while_switching(daemon: &Daemon, switch: impl Fn() + Sync) {
    meanwhile(1, switch, || {
        in_parallel(5, &ALL_ENCODINGS, |&(listener, encoding)| {
            let counts = ask(&mut daemon.client_of(listener), encoding);
            println!("{encoding:?}: {counts:?} answers of the two versions");
        });
    });
}

/// Checks answers until both versions were seen often enough; returns the numbers of both.
fn ask(client: &mut Client, encoding: Encoding) -> [usize; 2] {
    let mut counts = [0; 2];
    for round in 0.. {
        let version = match round % 3 {
            0 => slice(client, encoding, round),
            1 => metadata(client),
            _ => listing(client),
        };
        counts[version] += 1;
        if counts.iter().all(|&count| count >= ENOUGH) {
            break;
        }
        assert!(round < 200_000, "{encoding:?}: only one version was seen: {counts:?}");
    }
    counts
}

/// Reads a slice that both versions have, or one that only the larger has. Returns the version.
fn slice(client: &mut Client, encoding: Encoding, round: usize) -> usize {
    let [smaller, larger] = &VERSIONS;
    let (offset, size) = if round.is_multiple_of(2) { (round % 1000, smaller.size - 1000) } else { (0, larger.size) };
    match client.slice(encoding, "f", offset as u64, size as u64) {
        Ok(bytes) => {
            let of = |version: &Version| bytes == pattern(version.seed, offset as u64, size);
            let version = VERSIONS.iter().position(of);
            version.unwrap_or_else(|| panic!("{encoding:?}: {size} bytes from {offset} are of neither version"))
        }
        Err(Fault::Refused(line)) if size == larger.size => {
            assert_eq!(line, "203 OFFSET EXCEEDS FILE SIZE");
            0
        }
        Err(fault) => panic!("{encoding:?}: {fault}"),
    }
}

fn metadata(client: &mut Client) -> usize {
    let size = client.size("g").expect("a size");
    let version = VERSIONS.iter().position(|version| version.size as u64 == size);
    version.unwrap_or_else(|| panic!("{size} is the size of neither version"))
}

fn listing(client: &mut Client) -> usize {
    let names = client.listing();
    let of = |version: &Version| {
        let mut wanted = version.names.to_vec();
        wanted.sort_unstable();
        names == wanted
    };
    VERSIONS.iter().position(of).unwrap_or_else(|| panic!("a listing of neither version: {names:?}"))
}

#[test]
fn no_answer_mixes_two_roots_behind_a_link() {
    let dir = TestDir::new();
    make(&dir.create_dir("v1", &[]), &VERSIONS[0]);
    make(&dir.create_dir("v2", &[]), &VERSIONS[1]);
    let current = dir.at("current");
    symlink("v1", &current).expect("a link");
    let daemon = Daemon::start(&dir, &Settings::new(&dir).root(&current).listen_all());
    ask_while_switching(&daemon, || {
        switch_link(&current, "v2");
        std::thread::yield_now();
        switch_link(&current, "v1");
        std::thread::yield_now();
    });
}

#[test]
fn no_answer_mixes_two_roots_that_are_exchanged() {
    let dir = TestDir::new();
    make(&dir.root(), &VERSIONS[0]);
    make(&dir.create_dir("other", &[]), &VERSIONS[1]);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    ask_while_switching(&daemon, || {
        renameat_with(CWD, dir.root(), CWD, dir.at("other"), RenameFlags::EXCHANGE).expect("exchange");
        std::thread::yield_now();
    });
}

#[test]
fn no_answer_mixes_two_files_renamed_over_each_other() {
    let dir = TestDir::new();
    make(&dir.root(), &VERSIONS[0]);
    let [first, second] = VERSIONS.map(|version| pattern(version.seed, 0, version.size));
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let publish = || {
        for bytes in [&second, &first] {
            put(&dir.at("fresh"), bytes);
            std::fs::rename(dir.at("fresh"), dir.root().join("f")).expect("rename");
        }
    };
    meanwhile(1, publish, || {
        in_parallel(5, &ALL_ENCODINGS, |&(listener, encoding)| {
            let mut client = daemon.client_of(listener);
            for round in 0..ENOUGH {
                slice(&mut client, encoding, round);
            }
        });
    });
}

#[test]
fn no_answer_is_wrong_while_the_root_comes_and_goes() {
    let dir = TestDir::new();
    make(&dir.root(), &VERSIONS[0]);
    make(&dir.create_dir("other", &[]), &VERSIONS[1]);
    let daemon = Daemon::start(&dir, &Settings::new(&dir).listen_all());
    let switch = || {
        for (from, to) in [("root", "away"), ("other", "root"), ("away", "other")] {
            std::fs::rename(dir.at(from), dir.at(to)).expect("rename");
            std::thread::yield_now();
        }
    };
    meanwhile(1, switch, || {
        in_parallel(5, &ALL_ENCODINGS, |&(listener, encoding)| {
            let (mut client, mut counts, mut missing) = (daemon.client_of(listener), [0; 2], 0);
            while counts.iter().any(|&count| count < ENOUGH) {
                let answer = client.slice(encoding, "f", 1, VERSIONS[0].size as u64 - 1);
                match answer {
                    Ok(bytes) => {
                        let of = |version: &Version| bytes == pattern(version.seed, 1, bytes.len());
                        let version = VERSIONS.iter().position(of);
                        counts[version.unwrap_or_else(|| panic!("{encoding:?}: bytes of neither version"))] += 1;
                    }
                    Err(fault) => {
                        assert_eq!(fault, Fault::Refused("199 INTERNAL SERVER ERROR".to_owned()), "{encoding:?}");
                        client.expect_close();
                        client = daemon.client_of(listener);
                        missing += 1;
                    }
                }
                assert!(missing < 200_000, "{encoding:?}: {counts:?} answers of the two versions, all others were 199");
            }
            println!("{encoding:?}: {counts:?} answers of the two versions, {missing} while there was no root");
        });
    });
}
