//! Fuzz targets on the stable toolchain.
//!
//! `cargo test` runs each target for a second, or `HFTPD_FUZZ_SECONDS`. Inputs in `tests/fuzz/findings`, which failed
//! before, are run first. The same targets run with coverage under cargo-fuzz:
//! `cargo fuzz run --fuzz-dir tests/fuzz/coverage --sanitizer none requests`.

mod mutation;
mod targets;

#[path = "../simulation/sim/mod.rs"]
mod sim;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sim::rng::Rng;

fn seconds() -> Duration {
    let text = std::env::var("HFTPD_FUZZ_SECONDS").unwrap_or_else(|_| "1".to_owned());
    Duration::from_secs(text.parse().unwrap_or_else(|_| panic!("HFTPD_FUZZ_SECONDS={text} is not a number")))
}

/// Inputs that failed before.
fn findings(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/findings").join(target);
    let Ok(entries) = std::fs::read_dir(&directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a finding"))).collect()
}

/// Runs a target on the findings, then on random changes of the seeds, until the time is over.
fn fuzz(name: &str, seeds: &[&[u8]], target: impl Fn(&[u8])) {
    let mut corpus: Vec<Vec<u8>> = seeds.iter().map(|&bytes| bytes.to_vec()).collect();
    for (path, input) in findings(name) {
        eprintln!("{}", path.display());
        attempt(name, &input, &target);
        corpus.push(input);
    }
    let seed = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    let mut rng = Rng::seeded(seed);
    let end = Instant::now() + seconds();
    let mut count = 0_u64;
    while Instant::now() < end {
        let input = mutation::mutate(&mut rng, &corpus);
        attempt(name, &input, &target);
        count += 1;
        // A few are kept, so that changes accumulate.
        if rng.chance(2) {
            let place = rng.below(corpus.len().max(200));
            if place < corpus.len() && place >= seeds.len() {
                corpus[place] = input;
            } else if corpus.len() < 200 {
                corpus.push(input);
            }
        }
    }
    eprintln!("{name}: {count} inputs");
}

/// Runs a target, and saves the input if it fails.
fn attempt(name: &str, input: &[u8], target: &impl Fn(&[u8])) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(input)));
    if let Err(panic) = outcome {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-finding"));
        let kept = std::fs::write(&path, input);
        eprintln!("{name} fails with \"{}\", kept in {} ({kept:?})", input.escape_ascii(), path.display());
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn requests() {
    fuzz("requests", targets::REQUESTS, targets::requests);
}

#[test]
fn answers() {
    fuzz("answers", targets::answers::ANSWERS, targets::answers::answers);
}

#[test]
fn configuration() {
    fuzz("configuration", targets::CONFIGURATIONS, targets::configuration);
}

#[test]
fn schedule() {
    fuzz("schedule", &[b"", &[0; 200], &[128; 1000]], targets::schedule);
}
