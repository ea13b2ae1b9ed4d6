//! Simulated connections: a seed decides the order of requests, faults, timers, reloads and drains.
//!
//! `HFTPD_SIM_SEED=N` runs one seed; a failure prints it. `HFTPD_SIM_SEEDS=N` runs N seeds.

mod sim;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hftpd::connection::CloseReason;
use sim::rng::Rng;
use sim::steps::run_connection;
use sim::world::Store;

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Files on a disk, where reads may wait, and in memory, where they never do.
fn stores() -> Vec<Store> {
    let memory = Path::new("/dev/shm");
    let mut stores = vec![Store::new(None)];
    if memory.is_dir() {
        stores.push(Store::new(Some(memory)));
    }
    stores
}

/// Runs a seed, and prints it if the run fails.
fn run(seed: u64, stores: &[Store]) -> CloseReason {
    struct PrintOnPanic(u64);
    impl Drop for PrintOnPanic {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("HFTPD_SIM_SEED={} cargo test --test simulation", self.0);
            }
        }
    }
    let seed_printer = PrintOnPanic(seed);
    let mut rng = Rng::seeded(seed);
    let store = &stores[usize::from(!rng.chance(70)) % stores.len()];
    let reason = run_connection(rng, store);
    drop(seed_printer);
    reason
}

#[test]
fn every_seed_follows_the_protocol() {
    if let Some(seed) = number("HFTPD_SIM_SEED") {
        eprintln!("closed: {:?}", run(seed, &stores()));
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
                            let mut reasons = reasons.lock().expect("no panic while locked");
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
    let reasons = reasons.into_inner().expect("no panic while locked");
    eprintln!("{seeds} connections closed: {reasons:?}");
    if seeds >= 10_000 {
        // Every reason must occur.
        assert_eq!(reasons.len(), CloseReason::ALL.len(), "{reasons:?}");
    }
}

#[test]
fn connection_takes_at_most_160_bytes() {
    let size = size_of::<hftpd::connection::Connection>();
    assert!(size <= 160, "{size} bytes");
}
