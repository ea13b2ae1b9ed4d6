//! Somebody who may write into the root attacks: what a name leads to is swapped for what leads outside, as fast as the
//! machine can. Nothing from outside is ever served, nor is its size told.
//!
//! Each attack goes on for five seconds, or for `HFTPD_SWAP_SECONDS=N`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::support::content::pattern;
use crate::support::{Client, Daemon, Fault, Form, Settings, Site, in_parallel, meanwhile, put, set_mode};

/// The size of every file outside; none inside has it.
const SECRET: usize = 54_321;

/// How a name is attacked, and hence what may come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is a file, and swapped for what may not be served.
    Swapped,
    /// It is a file, and swapped for a link that stays in the root.
    Turned,
    /// It is a link that stays in the root, until something on its way is swapped.
    Led,
}

/// A name in the root, and the file that may be served under it.
struct Case {
    name: &'static str,
    file: &'static str,
    way: Way,
}

const CASES: [Case; 12] = [
    Case { name: "relative", file: "root/relative", way: Way::Swapped },
    Case { name: "absolute", file: "root/absolute", way: Way::Swapped },
    Case { name: "magic", file: "root/magic", way: Way::Swapped },
    Case { name: "hard", file: "root/hard", way: Way::Swapped },
    Case { name: "replaced", file: "stage/original", way: Way::Swapped },
    Case { name: "directory", file: "root/directory", way: Way::Swapped },
    Case { name: "fifo", file: "root/fifo", way: Way::Swapped },
    Case { name: "turned", file: "root/turned", way: Way::Turned },
    Case { name: "turned-twice", file: "root/turned-twice", way: Way::Turned },
    Case { name: "through", file: "root/dir/f", way: Way::Led },
    Case { name: "deep", file: "root/a/b/c/f", way: Way::Led },
    Case { name: "door", file: "root/inner", way: Way::Led },
];

/// The bytes of a case's file, of a size that no other has.
fn inside(case: usize) -> Vec<u8> {
    pattern(case as u64 + 1, 0, 20_000 + 1000 * case)
}

fn seconds() -> Duration {
    let text = std::env::var("HFTPD_SWAP_SECONDS").unwrap_or_else(|_| "5".to_owned());
    Duration::from_secs(text.parse().unwrap_or_else(|_| panic!("HFTPD_SWAP_SECONDS={text} is no number")))
}

/// What is published, `root`, what takes turns with it, `stage`, and what must not be seen: the rest.
struct Ground {
    site: Site,
    swaps: AtomicU64,
}

impl Ground {
    fn new() -> Ground {
        let ground = Ground { site: Site::new(), swaps: AtomicU64::new(0) };
        for name in ["outside", "outside/c", "away", "stage", "stage/directory"] {
            ground.site.dir(name, &[]);
        }
        for name in ["root/dir", "root/a", "root/a/b", "root/a/b/c", "root/sub", "root/hill"] {
            ground.site.dir(name, &[]);
        }
        for name in ["outside/secret", "outside/f", "outside/c/f", "away/inner", "inner"] {
            put(&ground.at(name), &pattern(666, 0, SECRET));
        }
        for (at, case) in CASES.iter().enumerate() {
            put(&ground.at(case.file), &inside(at));
        }
        let outside = ground.at("outside");
        ground.link("../outside/secret", "stage/relative");
        ground.link(outside.join("secret"), "stage/absolute");
        ground.link(
            Path::new("/proc/self/root").join(outside.strip_prefix("/").expect("absolute")).join("secret"),
            "stage/magic",
        );
        // The same link stays inside where it is, and leaves where its other name is.
        ground.link("../inner", "root/hill/link");
        fs::hard_link(ground.at("root/hill/link"), ground.at("stage/hard")).expect("a hard link");
        fs::hard_link(ground.at("stage/original"), ground.at("root/replaced")).expect("a hard link");
        mknodat(CWD, ground.at("stage/fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("mkfifo");
        set_mode(&ground.at("stage/fifo"), 0o666);
        ground.link("inner", "stage/turned");
        ground.link("hill/link", "stage/turned-twice");
        ground.link("dir/f", "root/through");
        ground.link("../outside", "stage/dir");
        ground.link("a/b/c/f", "root/deep");
        ground.link(&outside, "stage/b");
        ground.link("sub/../inner", "root/door");
        ground
    }

    fn at(&self, path: &str) -> PathBuf {
        self.site.at(path)
    }

    fn link(&self, target: impl AsRef<Path>, path: &str) {
        symlink(target, self.at(path)).expect("a symbolic link");
    }

    fn exchange(&self, one: &str, other: &str) {
        renameat_with(CWD, self.at(one), CWD, self.at(other), RenameFlags::EXCHANGE).expect("exchange");
        self.swaps.fetch_add(1, Ordering::Relaxed);
    }

    /// A name in the root and in `stage`.
    fn swap(&self, name: &str) {
        self.exchange(&format!("root/{name}"), &format!("stage/{name}"));
    }

    /// Names that are swapped themselves.
    fn attack_names(&self) {
        for name in ["relative", "absolute", "magic", "hard", "fifo", "directory", "turned", "turned-twice"] {
            self.swap(name);
        }
    }

    /// The way of links.
    fn attack_ways(&self) {
        self.swap("dir");
        self.exchange("root/a/b", "stage/b");
    }

    /// A directory leaves the root while somebody is on the way back from it.
    fn attack_door(&self) {
        for (from, to) in [("root/sub", "away/sub"), ("away/sub", "root/sub")] {
            fs::rename(self.at(from), self.at(to)).expect("rename");
            self.swaps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A name is removed and made anew, as a link and as a second name of a file.
    fn attack_replaced(&self) {
        let name = self.at("root/replaced");
        fs::remove_file(&name).expect("rm");
        symlink(self.at("outside/secret"), &name).expect("a symbolic link");
        fs::remove_file(&name).expect("rm");
        fs::hard_link(self.at("stage/original"), &name).expect("a hard link");
        self.swaps.fetch_add(2, Ordering::Relaxed);
    }
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    /// A file that may be served.
    Inside,
    /// No such file, or it has no such bytes.
    Refused,
    /// It cannot be told; the connection is closed.
    Unreadable,
}

/// What came of a request that was refused, whatever for.
#[track_caller]
fn refused(what: &str, fault: &Fault) -> Came {
    let Fault::Refused(line) = fault else { panic!("{what}: {fault}") };
    match line.get(..3) {
        Some("202" | "203") => Came::Refused,
        Some("199") => Came::Unreadable,
        _ => panic!("{what}: {line:?}"),
    }
}

/// Asks for the size of a name, or for bytes under it. Whatever comes is of one of these files.
fn ask(client: &mut Client, form: Form, name: &str, files: &[Vec<u8>], round: usize) -> Came {
    let what = format!("{form:?}, {name}");
    if round.is_multiple_of(3) {
        return match client.size(name) {
            Ok(size) => {
                assert!(
                    files.iter().any(|file| file.len() as u64 == size),
                    "{what}: {size} is the size of no such file"
                );
                Came::Inside
            }
            Err(fault) => refused(&what, &fault),
        };
    }
    // All of a file, the first bytes of any, or as many as only those outside have.
    let size = match round % 9 {
        1 | 2 | 4 => files.first().map_or(SECRET, Vec::len),
        5 | 7 => 1 + round % 20_000,
        _ => SECRET,
    };
    match client.slice(form, name, 0, size as u64) {
        Ok(bytes) => {
            let from = if bytes == pattern(666, 0, size) { "FROM OUTSIDE THE ROOT" } else { "of no such file" };
            assert!(files.iter().any(|file| file.get(..size) == Some(&bytes)), "{what}: {size} bytes {from}");
            Came::Inside
        }
        Err(fault) => refused(&what, &fault),
    }
}

/// The names in a listing: only those in the root.
fn expect_own_names(client: &mut Client, names: &[&str]) -> bool {
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

/// Asks in every form, for all names in turn, until the time is up. How often each came out how is returned.
fn ask_for(daemon: &Daemon, names: &[(&'static str, Vec<Vec<u8>>)], listed: &[&str]) -> Counts {
    let counts = Mutex::new(Counts::new());
    let end = Instant::now() + seconds();
    in_parallel(5, &Form::ALL, |&(listener, form)| {
        let (mut client, mut own) = (daemon.client_of(listener), Counts::new());
        for round in 0.. {
            if Instant::now() >= end {
                break;
            }
            for (name, files) in names {
                let came = ask(&mut client, form, name, files, round);
                *own.entry((name, came)).or_default() += 1;
                if came == Came::Unreadable {
                    client.expect_close();
                    client = daemon.client_of(listener);
                }
            }
            if round.is_multiple_of(10) && !expect_own_names(&mut client, listed) {
                client = daemon.client_of(listener);
            }
        }
        let mut counts = counts.lock().expect("nobody panics with it");
        own.into_iter().for_each(|(key, count)| *counts.entry(key).or_default() += count);
    });
    counts.into_inner().expect("nobody panicked with it")
}

/// What is done again and again.
type Attack<'a> = &'a (dyn Fn() + Sync);

/// Does something while each attack goes on in a thread of its own.
fn under<T>(attacks: &[Attack<'_>], work: &dyn Fn() -> T) -> T {
    match attacks {
        [] => work(),
        [attack, others @ ..] => meanwhile(1, attack, || under(others, work)),
    }
}

type Counts = BTreeMap<(&'static str, Came), u64>;

/// Clients ask while all names are attacked.
fn withstand(symlinks: &str) {
    let ground = Ground::new();
    let follows = symlinks == "inside";
    let settings = Settings::new(&ground.site).set("files.symlinks", &format!("{symlinks:?}")).listen_all();
    let daemon = Daemon::start(&ground.site, &settings);
    let inner = inside(CASES.iter().position(|case| case.file == "root/inner").expect("a case"));
    let names = CASES.each_ref().map(|case| {
        let own = || fs::read(ground.at(case.file)).expect("a file");
        let files = match case.way {
            Way::Swapped => vec![own()],
            Way::Turned if follows => vec![own(), inner.clone()],
            Way::Turned => vec![own()],
            Way::Led if follows => vec![own()],
            Way::Led => Vec::new(),
        };
        (case.name, files)
    });
    let listed: Vec<&str> = CASES.iter().map(|case| case.name).chain(["inner"]).collect();
    let attacks: [Attack<'_>; 4] =
        [&|| ground.attack_names(), &|| ground.attack_ways(), &|| ground.attack_door(), &|| ground.attack_replaced()];
    let counts = under(&attacks, &|| ask_for(&daemon, &names, &listed));
    println!("{} swaps: {counts:?}", ground.swaps.load(Ordering::Relaxed));
    for case in &CASES {
        let saw = |came| counts.contains_key(&(case.name, came));
        // Otherwise there were no swaps, or nobody saw them.
        assert_eq!(saw(Came::Inside), follows || case.way != Way::Led, "{}", case.name);
        assert!(saw(Came::Refused), "{}", case.name);
    }
}

#[test]
fn swapped_names_never_leave_the_root() {
    withstand("inside");
}

#[test]
fn swapped_names_follow_no_link_with_symlinks_never() {
    withstand("never");
}

#[test]
fn swapped_parents_never_expose_files_outside_the_root() {
    let site = Site::new();
    // Two places that take turns above the root, and one without a root. In each, what lies beside the root is secret.
    for place in ["here", "there", "nowhere"] {
        site.dir(place, &[("f", &pattern(666, 0, SECRET)), ("secret", &pattern(666, 0, SECRET))]);
    }
    let files = [pattern(1, 0, 20_000), pattern(2, 0, 30_000)];
    for (place, bytes) in ["here", "there"].iter().zip(&files) {
        let root = site.dir(&format!("{place}/public"), &[("f", bytes)]);
        site.dir(&format!("{place}/public/sub"), &[]);
        for (name, target) in [("leaves", "../secret"), ("returns", "../public/f"), ("door", "sub/../f")] {
            symlink(target, root.join(name)).expect("a symbolic link");
        }
    }
    symlink("here", site.at("link")).expect("a symbolic link");
    let settings = Settings::new(&site).root(&site.at("link/public")).listen_all();
    let daemon = Daemon::start(&site, &settings);
    let swaps = AtomicU64::new(0);
    let exchange = |one: &str, other: &str| {
        renameat_with(CWD, site.at(one), CWD, site.at(other), RenameFlags::EXCHANGE).expect("exchange");
        swaps.fetch_add(1, Ordering::Relaxed);
    };
    let attack_links = || {
        for place in ["there", "nowhere", "here"] {
            crate::support::site::switch_link(&site.at("link"), place);
            swaps.fetch_add(1, Ordering::Relaxed);
        }
    };
    // `sub` is where the other's secrets are for a moment.
    let attack_places = || {
        exchange("here", "there");
        exchange("here", "nowhere");
        exchange("nowhere", "here");
        for (from, to) in [("here/public/sub", "here/sub"), ("here/sub", "here/public/sub")] {
            fs::rename(site.at(from), site.at(to)).expect("rename");
            swaps.fetch_add(1, Ordering::Relaxed);
        }
    };
    let names = [("f", files.to_vec()), ("door", files.to_vec()), ("leaves", Vec::new()), ("returns", Vec::new())];
    let attacks: [Attack<'_>; 2] = [&attack_links, &attack_places];
    let counts = under(&attacks, &|| ask_for(&daemon, &names, &["f", "door"]));
    println!("{} swaps: {counts:?}", swaps.load(Ordering::Relaxed));
    for (name, files) in &names {
        let saw = |came| counts.contains_key(&(*name, came));
        assert_eq!(saw(Came::Inside), !files.is_empty(), "{name}");
        assert!(saw(Came::Unreadable), "{name}: the root was never missing");
        assert!(saw(Came::Refused), "{name}");
    }
}
