//! Attacks on the root: a user with write permission swaps what names lead to, as fast as the machine can. The daemon never
//! serves bytes of a file outside, nor reports its size.
//!
//! Each attack takes five seconds, or `HFTPD_SWAP_SECONDS=N`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::support::content::pattern;
use crate::support::{
    ALL_ENCODINGS, Client, Daemon, Encoding, Fault, Settings, TestDir, in_parallel, meanwhile, put, set_mode,
    switch_link,
};

/// The size of every file outside; none inside has it.
const SECRET: usize = 54_321;

/// What a name is, and how it is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attacked {
    /// A file, swapped for something that must not be served.
    File,
    /// A file, swapped for a link within the root.
    FileAndLink,
    /// A link within the root, whose target is attacked.
    Target,
}

/// A name in the root, the file that may be served by it, and the attack.
const CASES: [(&str, &str, Attacked); 12] = [
    ("relative", "root/relative", Attacked::File),
    ("absolute", "root/absolute", Attacked::File),
    ("magic", "root/magic", Attacked::File),
    ("hard", "root/hard", Attacked::File),
    ("replaced", "stage/original", Attacked::File),
    ("directory", "root/directory", Attacked::File),
    ("fifo", "root/fifo", Attacked::File),
    ("turned", "root/turned", Attacked::FileAndLink),
    ("turned-twice", "root/turned-twice", Attacked::FileAndLink),
    ("through", "root/dir/f", Attacked::Target),
    ("deep", "root/a/b/c/f", Attacked::Target),
    ("door", "root/inner", Attacked::Target),
];

/// The bytes of a case's file, whose size no other file has.
fn inside(case: usize) -> Vec<u8> {
    pattern(case as u64 + 1, 0, 20_000 + 1000 * case)
}

/// The bytes of every file outside.
fn outside(size: usize) -> Vec<u8> {
    pattern(666, 0, size)
}

fn seconds() -> Duration {
    let text = std::env::var("HFTPD_SWAP_SECONDS").unwrap_or_else(|_| "5".to_owned());
    Duration::from_secs(text.parse().unwrap_or_else(|_| panic!("HFTPD_SWAP_SECONDS={text} is no number")))
}

/// A directory in which names are swapped, and the number of swaps.
struct Fixture {
    dir: TestDir,
    swaps: AtomicU64,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture { dir: TestDir::new(), swaps: AtomicU64::new(0) }
    }

    /// Publishes all cases in `root`. `stage` holds what is swapped with them; everything else must not be served.
    fn with_cases() -> Fixture {
        let fixture = Fixture::new();
        for name in ["outside", "outside/c", "away", "stage", "stage/directory"] {
            fixture.dir.create_dir(name, &[]);
        }
        for name in ["root/dir", "root/a", "root/a/b", "root/a/b/c", "root/sub", "root/hill"] {
            fixture.dir.create_dir(name, &[]);
        }
        for name in ["outside/secret", "outside/f", "outside/c/f", "away/inner", "inner"] {
            put(&fixture.at(name), &outside(SECRET));
        }
        for (case, (_, file, _)) in CASES.iter().enumerate() {
            put(&fixture.at(file), &inside(case));
        }
        let outside = fixture.at("outside");
        let magic = Path::new("/proc/self/root").join(outside.strip_prefix("/").expect("absolute")).join("secret");
        fixture.link("../outside/secret", "stage/relative");
        fixture.link(outside.join("secret"), "stage/absolute");
        fixture.link(magic, "stage/magic");
        // The target of this link is within the root by one of its names, and outside by the other.
        fixture.link("../inner", "root/hill/link");
        fs::hard_link(fixture.at("root/hill/link"), fixture.at("stage/hard")).expect("a hard link");
        fs::hard_link(fixture.at("stage/original"), fixture.at("root/replaced")).expect("a hard link");
        mknodat(CWD, fixture.at("stage/fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("mkfifo");
        set_mode(&fixture.at("stage/fifo"), 0o666);
        fixture.link("inner", "stage/turned");
        fixture.link("hill/link", "stage/turned-twice");
        fixture.link("dir/f", "root/through");
        fixture.link("../outside", "stage/dir");
        fixture.link("a/b/c/f", "root/deep");
        fixture.link(&outside, "stage/b");
        fixture.link("sub/../inner", "root/door");
        fixture
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.at(path)
    }

    fn link(&self, target: impl AsRef<Path>, path: &str) {
        symlink(target, self.at(path)).expect("a symbolic link");
    }

    fn exchange(&self, one: &str, other: &str) {
        renameat_with(CWD, self.at(one), CWD, self.at(other), RenameFlags::EXCHANGE).expect("exchange");
        self.swaps.fetch_add(1, Ordering::Relaxed);
    }

    /// Renames a directory and back. A look-up that goes up from it meanwhile leaves the root.
    fn move_and_return(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).expect("rename");
        fs::rename(self.at(to), self.at(from)).expect("rename");
        self.swaps.fetch_add(2, Ordering::Relaxed);
    }

    /// Swaps the names themselves.
    fn attack_names(&self) {
        for name in ["relative", "absolute", "magic", "hard", "fifo", "directory", "turned", "turned-twice"] {
            self.exchange(&format!("root/{name}"), &format!("stage/{name}"));
        }
    }

    /// Swaps directories in the targets of links.
    fn attack_targets(&self) {
        self.exchange("root/dir", "stage/dir");
        self.exchange("root/a/b", "stage/b");
    }

    /// Removes a name and creates it again, as a link and as a second name of a file.
    fn attack_replaced(&self) {
        let name = self.at("root/replaced");
        fs::remove_file(&name).expect("rm");
        symlink(self.at("outside/secret"), &name).expect("a symbolic link");
        fs::remove_file(&name).expect("rm");
        fs::hard_link(self.at("stage/original"), &name).expect("a hard link");
        self.swaps.fetch_add(2, Ordering::Relaxed);
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Bytes or the size of a file that may be served.
    Served,
    /// 202 or 203.
    Refused,
    /// 199; the connection is closed.
    Failed,
}

#[track_caller]
fn refused(what: &str, fault: &Fault) -> Outcome {
    let Fault::Refused(line) = fault else { panic!("{what}: {fault}") };
    match line.get(..3) {
        Some("202" | "203") => Outcome::Refused,
        Some("199") => Outcome::Failed,
        _ => panic!("{what}: {line:?}"),
    }
}

/// Requests the size of a name, or bytes of it. An answer must be of one of these files.
fn ask(client: &mut Client, encoding: Encoding, name: &str, files: &[Vec<u8>], round: usize) -> Outcome {
    let what = format!("{encoding:?}, {name}");
    if round.is_multiple_of(3) {
        return match client.size(name) {
            Ok(size) => {
                assert!(files.iter().any(|file| file.len() as u64 == size), "{what}: the size {size} of no such file");
                Outcome::Served
            }
            Err(fault) => refused(&what, &fault),
        };
    }
    // A whole file, the first bytes of any, or more bytes than a file inside has.
    let size = match round % 9 {
        1 | 2 | 4 => files.first().map_or(SECRET, Vec::len),
        5 | 7 => 1 + round % 20_000,
        _ => SECRET,
    };
    match client.slice(encoding, name, 0, size as u64) {
        Ok(bytes) => {
            let from = if bytes == outside(size) { "FROM OUTSIDE THE ROOT" } else { "of no such file" };
            assert!(files.iter().any(|file| file.get(..size) == Some(&bytes)), "{what}: {size} bytes {from}");
            Outcome::Served
        }
        Err(fault) => refused(&what, &fault),
    }
}

/// Whether there is a listing. It must contain no other names than these.
fn check_listing(client: &mut Client, names: &[&str]) -> bool {
    client.send("get_file_listing\r\n");
    let line = client.line();
    if line.starts_with("199 ") {
        return false;
    }
    assert_eq!(line, "0 OK");
    let listed = std::iter::from_fn(|| Some(client.line()).filter(|name| !name.is_empty()));
    listed.for_each(|name| assert!(names.contains(&&*name), "{name} is not in the root"));
    true
}

type Counts = BTreeMap<(&'static str, Outcome), u64>;

/// Something that is repeated during a test.
type Attack<'a> = &'a (dyn Fn() + Sync);

/// Works while a thread for each attack repeats it.
fn under<T>(attacks: &[Attack<'_>], work: &dyn Fn() -> T) -> T {
    match attacks {
        [] => work(),
        [attack, others @ ..] => meanwhile(1, attack, || under(others, work)),
    }
}

/// Sends requests in every encoding for all names until the time is over, under these attacks. Returns the outcomes.
fn attack(
    fixture: &Fixture,
    settings: Settings,
    attacks: &[Attack<'_>],
    names: &[(&'static str, Vec<Vec<u8>>)],
    listed: &[&str],
) -> Counts {
    let daemon = Daemon::start(&fixture.dir, &settings.listen_all());
    let counts = Mutex::new(Counts::new());
    let end = Instant::now() + seconds();
    let request_all = |&(listener, encoding): &(usize, Encoding)| {
        let (mut client, mut own) = (daemon.client_of(listener), Counts::new());
        for round in (0..).take_while(|_| Instant::now() < end) {
            for (name, files) in names {
                let outcome = ask(&mut client, encoding, name, files, round);
                *own.entry((name, outcome)).or_default() += 1;
                if outcome == Outcome::Failed {
                    client.expect_close();
                    client = daemon.client_of(listener);
                }
            }
            if round.is_multiple_of(10) && !check_listing(&mut client, listed) {
                client = daemon.client_of(listener);
            }
        }
        let mut counts = counts.lock().expect("no panic");
        own.into_iter().for_each(|(key, count)| *counts.entry(key).or_default() += count);
    };
    under(attacks, &|| in_parallel(5, &ALL_ENCODINGS, request_all));
    let counts = counts.into_inner().expect("no panic");
    println!("{} swaps: {counts:?}", fixture.swaps.load(Ordering::Relaxed));
    counts
}

/// Attacks all cases.
fn attack_cases(symlinks: &str) {
    let fixture = Fixture::with_cases();
    let follows = symlinks == "inside";
    let inner = inside(CASES.iter().position(|case| case.1 == "root/inner").expect("a case"));
    let names = CASES.map(|(name, file, attacked)| {
        let own = fs::read(fixture.at(file)).expect("a file");
        let files = match attacked {
            Attacked::FileAndLink if follows => vec![own, inner.clone()],
            Attacked::Target if !follows => Vec::new(),
            _ => vec![own],
        };
        (name, files)
    });
    let listed: Vec<&str> = CASES.iter().map(|case| case.0).chain(["inner"]).collect();
    let settings = Settings::new(&fixture.dir).set("files.symlinks", &format!("{symlinks:?}"));
    let attacks: [Attack<'_>; 4] = [
        &|| fixture.attack_names(),
        &|| fixture.attack_targets(),
        &|| fixture.move_and_return("root/sub", "away/sub"),
        &|| fixture.attack_replaced(),
    ];
    let counts = attack(&fixture, settings, &attacks, &names, &listed);
    for (name, _, attacked) in CASES {
        let seen = |outcome| counts.contains_key(&(name, outcome));
        // Otherwise there were no swaps, or no request saw them.
        assert_eq!(seen(Outcome::Served), follows || attacked != Attacked::Target, "{name}");
        assert!(seen(Outcome::Refused), "{name}");
    }
}

#[test]
fn swapped_names_never_leave_the_root() {
    attack_cases("inside");
}

#[test]
fn swapped_names_follow_no_link_with_symlinks_never() {
    attack_cases("never");
}

#[test]
fn swapped_parents_never_expose_files_outside_the_root() {
    let fixture = Fixture::new();
    // Two parents of a root that are swapped, and one without a root. Their other files must not be served.
    for parent in ["here", "there", "nowhere"] {
        fixture.dir.create_dir(parent, &[("f", &outside(SECRET)), ("secret", &outside(SECRET))]);
    }
    let files = [pattern(1, 0, 20_000), pattern(2, 0, 30_000)];
    for (parent, bytes) in ["here", "there"].iter().zip(&files) {
        fixture.dir.create_dir(&format!("{parent}/public"), &[("f", bytes)]);
        fixture.dir.create_dir(&format!("{parent}/public/sub"), &[]);
        for (name, target) in [("leaves", "../secret"), ("returns", "../public/f"), ("door", "sub/../f")] {
            fixture.link(target, &format!("{parent}/public/{name}"));
        }
    }
    fixture.link("here", "link");
    let attack_link = || {
        for parent in ["there", "nowhere", "here"] {
            switch_link(&fixture.at("link"), parent);
            fixture.swaps.fetch_add(1, Ordering::Relaxed);
        }
    };
    let attack_parents = || {
        fixture.exchange("here", "there");
        fixture.exchange("here", "nowhere");
        fixture.exchange("nowhere", "here");
        // Meanwhile `sub/..` is the parent.
        fixture.move_and_return("here/public/sub", "here/sub");
    };
    let names = [("f", files.to_vec()), ("door", files.to_vec()), ("leaves", Vec::new()), ("returns", Vec::new())];
    let settings = Settings::new(&fixture.dir).root(&fixture.at("link/public"));
    let counts = attack(&fixture, settings, &[&attack_link, &attack_parents], &names, &["f", "door"]);
    for (name, files) in &names {
        let seen = |outcome| counts.contains_key(&(*name, outcome));
        assert_eq!(seen(Outcome::Served), !files.is_empty(), "{name}");
        assert!(seen(Outcome::Failed), "{name}: the root was never missing");
        assert!(seen(Outcome::Refused), "{name}");
    }
}
