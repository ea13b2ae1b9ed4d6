//! Many connections, each with its own luck: what can happen to one happens here in an order that a seed decides.
//!
//! `HFTPD_SIM_SEED=N` runs one seed, which is what a failure prints. `HFTPD_SIM_SEEDS=N` runs so many.

mod sim;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hftpd::connection::CloseReason;
use sim::dice::Dice;
use sim::steps::live;
use sim::world::Store;

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Files on a disk, where reading may have to wait, and in memory, where it never has to.
fn stores() -> Vec<Store> {
    let memory = Path::new("/dev/shm");
    let mut stores = vec![Store::new(None)];
    if memory.is_dir() {
        stores.push(Store::new(Some(memory)));
    }
    stores
}

/// Runs a seed, and says which it was when it fails.
fn run(seed: u64, stores: &[Store]) -> CloseReason {
    struct Said(u64);
    impl Drop for Said {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("HFTPD_SIM_SEED={} cargo test --test simulation", self.0);
            }
        }
    }
    let said = Said(seed);
    let mut dice = Dice::seeded(seed);
    let store = &stores[usize::from(!dice.chance(70)) % stores.len()];
    let ended = live(dice, store);
    drop(said);
    ended
}

#[test]
fn every_seed_is_answered_by_the_protocol() {
    if let Some(seed) = number("HFTPD_SIM_SEED") {
        eprintln!("it ended: {:?}", run(seed, &stores()));
        return;
    }
    let seeds = number("HFTPD_SIM_SEEDS").unwrap_or(10_000);
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let reasons = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let stores = stores();
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &stores)));
                    match outcome {
                        Ok(reason) => {
                            let mut reasons = reasons.lock().expect("nobody panics with it");
                            *reasons.entry(reason.name()).or_insert(0) += 1;
                        }
                        Err(panic) => {
                            failed.store(true, Ordering::Relaxed);
                            std::panic::resume_unwind(panic);
                        }
                    }
                }
            });
        }
    });
    let reasons = reasons.into_inner().expect("nobody panicked with it");
    eprintln!("{seeds} connections ended: {reasons:?}");
    if seeds >= 10_000 {
        // Chance must reach every way to end.
        assert_eq!(reasons.len(), CloseReason::ALL.len(), "{reasons:?}");
    }
}

#[test]
fn a_connection_that_waits_costs_little() {
    let size = size_of::<hftpd::connection::Connection>();
    assert!(size <= 160, "{size} bytes");
}
