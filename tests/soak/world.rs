//! What the participants share: files, addresses, counters and the time.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::counters::{Counters, Kind};
use crate::files;
use crate::rng::Rng;
use crate::support::content::pattern;
use crate::support::slowfs::SlowFs;
use crate::support::{ALL_ENCODINGS, Client, Encoding, Settings, TestDir, own_address, put};

/// The sizes of the files that do not change: around buffer sizes, and some large ones.
const SIZES: [usize; 15] =
    [0, 1, 2, 3, 57, 1459, 4096, 65_535, 65_536, 65_537, 147_456, 1 << 20, 3_000_001, 12 << 20, 32 << 20];

/// A denied address.
pub(crate) const DENIED: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
/// An address with more clients than its limit.
pub(crate) const CROWDED: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 2);
/// The limit of connections per address; reloads switch between the two.
pub(crate) const PER_ADDRESS: [usize; 2] = [100, 80];
/// The limit of a request line.
pub(crate) const LINE: usize = 1 << 20;
/// The stall timeout.
pub(crate) const STALL: Duration = Duration::from_secs(3);

/// A file that does not change.
pub(crate) struct Blob {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct World {
    /// Dropped before the directory in which it is mounted.
    pub(crate) disk: Option<SlowFs>,
    pub(crate) dir: TestDir,
    pub(crate) blobs: Vec<Blob>,
    /// As in `Settings::listen_all`.
    pub(crate) listeners: [SocketAddr; 4],
    /// The two addresses of the listener that moves.
    pub(crate) moving: [SocketAddr; 2],
    /// An address on which the test listens.
    pub(crate) taken: std::net::TcpListener,
    pub(crate) counters: Counters,
    until: Mutex<Instant>,
    failed: AtomicBool,
}

/// See [`World::stop_on_panic`].
pub(crate) struct StopOnPanic<'a>(&'a World);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
    }
}

impl World {
    pub(crate) fn new() -> World {
        let dir = TestDir::new();
        let blobs: Vec<Blob> = (100_u64..)
            .zip(SIZES)
            .map(|(seed, size)| {
                let blob = Blob { name: format!("blob-{size:08}"), seed, bytes: pattern(seed, 0, size) };
                dir.file(&blob.name, &blob.bytes);
                blob
            })
            .collect();
        files::VERSIONED.iter().for_each(|name| files::publish(&dir, name, 0));
        symlink("root", dir.at("alias")).expect("a link");
        let disk = SlowFs::mount_on(&dir.create_dir("root/disk", &[]));
        if disk.is_some() {
            for name in ["slow", "fast", "eio"] {
                dir.link(name, format!("disk/{name}"));
            }
        }
        World {
            disk,
            dir,
            blobs,
            listeners: [(); 4].map(|()| own_address()),
            moving: [(); 2].map(|()| own_address()),
            taken: std::net::TcpListener::bind(own_address()).expect("an address of our own"),
            counters: Counters::new(),
            until: Mutex::new(Instant::now()),
            failed: AtomicBool::new(false),
        }
    }

    /// The configuration at the begin and the end.
    pub(crate) fn settings(&self) -> Settings {
        self.settings_at(0)
    }

    /// The same with the moving listener at this one of its addresses.
    pub(crate) fn settings_at(&self, place: usize) -> Settings {
        let [fragments, plain, base64, lines] = self.listeners;
        Settings::new(&self.dir)
            .listen_on(fragments, "fragments")
            .listen_on(plain, "plain")
            .listen_on(base64, "base64")
            .listen_base64_line_on(lines, "\"48 KiB\"")
            .listen_on(self.moving[place], "fragments")
            .set("limits.connections-per-address", &PER_ADDRESS[0].to_string())
            .set("limits.deny", &format!("[\"{DENIED}/32\"]"))
            .set("limits.request-line", &LINE.to_string())
            .set("timeouts.idle", "\"2h\"")
            .set("timeouts.stall", &format!("\"{}s\"", STALL.as_secs()))
            .set("timeouts.drain", "\"2m\"")
            // The test keeps all lines of standard error in memory.
            .set("log.access", "false")
    }

    pub(crate) fn largest(&self) -> &Blob {
        self.blobs.last().expect("there are files")
    }

    /// Renames another file over the largest.
    pub(crate) fn publish_over_largest(&self) {
        put(&self.dir.at("over"), b"another file");
        std::fs::rename(self.dir.at("over"), self.dir.root().join(&self.largest().name)).expect("rename");
    }

    /// Lets the participants run until then.
    pub(crate) fn run_until(&self, until: Instant) {
        *self.until.lock().expect("nobody panics with it") = until;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.has_failed() || Instant::now() >= *self.until.lock().expect("nobody panics with it")
    }

    /// Stops all participants when this thread panics.
    pub(crate) fn stop_on_panic(&self) -> StopOnPanic<'_> {
        StopOnPanic(self)
    }

    /// Sleeps for so many milliseconds, so that no participant uses all processor time.
    pub(crate) fn rest(&self, rng: &mut Rng, low: usize, high: usize) {
        let end = Instant::now() + Duration::from_millis(rng.between(low, high) as u64);
        while !self.is_over() {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// A client of a random listener, and an encoding that it has.
    pub(crate) fn client(&self, rng: &mut Rng) -> (Client, Encoding) {
        let &(listener, encoding) = rng.pick(&ALL_ENCODINGS);
        (Client::connect(self.listeners[listener]), encoding)
    }

    /// A random file, more often a small one.
    pub(crate) fn blob(&self, rng: &mut Rng) -> &Blob {
        let many = match rng.below(10) {
            0..5 => 7,
            5..8 => 12,
            _ => self.blobs.len(),
        };
        rng.pick(&self.blobs[..many])
    }

    /// Reads the answer with a slice and compares every byte with the file.
    #[track_caller]
    pub(crate) fn verify(
        &self,
        client: &mut Client,
        encoding: Encoding,
        blob: &Blob,
        offset: usize,
        size: usize,
        wait: Duration,
    ) {
        let wanted = &blob.bytes[offset..offset + size];
        let mut taken = 0;
        let outcome = client.answer(encoding, size as u64, &mut |bytes| {
            let right = wanted.get(taken..taken + bytes.len()) == Some(bytes);
            assert!(right, "{encoding:?}: wrong bytes of {} after {taken} from {offset}", blob.name);
            taken += bytes.len();
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
        });
        let Blob { name, .. } = blob;
        outcome.unwrap_or_else(|fault| {
            panic!("{encoding:?}, {size} bytes of {name} from {offset}, after {taken}: {fault}")
        });
        assert_eq!(taken, size, "{encoding:?}: bytes of {name} from {offset}");
        self.counters.answered(1, size as u64);
        self.count(encoding);
    }

    /// Counts a verified slice.
    pub(crate) fn count(&self, encoding: Encoding) {
        let kind = match encoding {
            Encoding::Fragments => Kind::Fragments,
            Encoding::Plain => Kind::Plain,
            Encoding::Base64 => Kind::Base64,
            Encoding::Raw => Kind::Raw,
        };
        self.counters.add(kind, 1);
    }
}
