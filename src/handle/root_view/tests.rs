//! What an event loop does for a name: what is known and kept, and when that is given up.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::handle::{Listings, ReadError, Symlinks};

struct Root {
    dir: TempDir,
    files: RootView,
}

/// A root with the files a, b and c, and a view of it.
fn root(symlinks: Symlinks) -> Root {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("root");
    fs::create_dir(&root).expect("mkdir");
    for name in ["a", "b", "c"] {
        fs::write(root.join(name), name).expect("a file");
    }
    let policy =
        Policy { root, symlinks, hidden: false, listed: |_| true, separator: b"\n", listings: Listings::default() };
    Root { dir, files: RootView::new(Arc::new(policy)) }
}

/// The same, and as long unchanged as it takes for names to be known.
fn settled_root(symlinks: Symlinks) -> Root {
    let mut root = root(symlinks);
    while root.files.known.version().is_none() {
        assert_eq!(root.read("none"), Err(Fault::NotFound));
        std::thread::sleep(Duration::from_millis(10));
    }
    root
}

impl Root {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name)
    }

    /// Asks for a file as a request does that has just come, and reads it.
    fn read(&mut self, name: &str) -> Result<String, Fault> {
        self.files.begin_epoch();
        self.read_too(name)
    }

    /// The same for a request that came with the last.
    fn read_too(&mut self, name: &str) -> Result<String, Fault> {
        let file = self.ask(name, Purpose::Read)?.file?;
        let mut bytes = [0; 100];
        let count = match file.read(0, &mut bytes, Wait::Allowed) {
            Ok(count) => count,
            // It is empty.
            Err(ReadError::Shrank) => 0,
            Err(ReadError::Failed(errno)) => return Err(Fault::Unreadable(errno)),
            Err(error) => panic!("{error:?} though it may wait"),
        };
        Ok(String::from_utf8(bytes[..count].to_vec()).expect("text"))
    }

    fn ask(&mut self, name: &str, purpose: Purpose) -> Result<FoundFile, Fault> {
        let job = match self.files.find(name.as_bytes(), purpose) {
            Lookup::Ready(found) => return found,
            Lookup::Pending(job) => job,
        };
        let done = job.run();
        let policy = self.files.policy.clone();
        self.files.update_from(&policy, &done);
        match done {
            JobResult::Found(found, _) => found,
            other => panic!("{other:?}"),
        }
    }

    fn hash(&self, name: &str) -> u64 {
        self.files.hasher.hash_one(name.as_bytes())
    }

    fn knows(&self, name: &str) -> bool {
        self.files.known.holds(self.hash(name))
    }

    fn keeps(&mut self, name: &str) -> bool {
        let hash = self.hash(name);
        self.files.cache.get(hash, name.as_bytes()).is_some()
    }

    /// Puts something in the place of a name in one step.
    fn replace(&self, name: &str, make: impl FnOnce(&std::path::Path)) {
        let fresh = self.dir.path().join("fresh");
        make(&fresh);
        fs::rename(fresh, self.at(name)).expect("rename");
    }
}

#[test]
fn a_name_is_known_once_the_directory_has_settled() {
    let mut root = settled_root(Symlinks::Inside);
    assert!(!root.knows("a"));
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert_eq!(root.ask("b", Purpose::Size).map(|found| found.size), Ok(1));
    assert!(root.knows("a") && root.knows("b") && !root.knows("c") && !root.knows("none"));
    for name in ["a", "b", "c"] {
        assert_eq!(root.read(name).as_deref(), Ok(name));
    }
    fs::write(root.at("d"), "d").expect("a file");
    assert_eq!(root.read("d").as_deref(), Ok("d"));
    assert!(!root.knows("a") && !root.knows("d"), "known in a directory that has just changed");
}

#[test]
fn nothing_is_known_of_a_directory_that_has_just_changed() {
    let mut root = root(Symlinks::Inside);
    for _ in 0..10 {
        fs::write(root.at("d"), "d").expect("a file");
        assert_eq!(root.read("d").as_deref(), Ok("d"));
        assert_eq!(root.read("a").as_deref(), Ok("a"));
        assert!(!root.knows("a") && root.files.known.version().is_none());
        fs::remove_file(root.at("d")).expect("rm");
        assert_eq!(root.read("d"), Err(Fault::NotFound));
    }
}

#[test]
fn a_known_name_is_what_has_become_of_it() {
    for symlinks in [Symlinks::Inside, Symlinks::Never] {
        let mut root = settled_root(symlinks);
        for name in ["a", "b", "c"] {
            assert_eq!(root.read(name).as_deref(), Ok(name));
            assert!(root.knows(name));
        }
        root.replace("a", |fresh| symlink("c", fresh).expect("a link"));
        let through_the_link = if symlinks == Symlinks::Inside { Ok("c") } else { Err(&Fault::NotFound) };
        assert_eq!(root.read("a").as_ref().map(String::as_str), through_the_link);
        fs::remove_file(root.at("b")).expect("rm");
        fs::create_dir(root.at("b")).expect("mkdir");
        assert_eq!(root.read("b"), Err(Fault::NotFound));
        root.replace("c", |fresh| fs::write(fresh, "new").expect("a file"));
        assert_eq!(root.read("c").as_deref(), Ok("new"));
    }
}

#[test]
fn what_takes_a_known_name_before_the_next_look_at_the_root_is_not_served() {
    let mut root = settled_root(Symlinks::Inside);
    for name in ["a", "b", "c"] {
        assert_eq!(root.read(name).as_deref(), Ok(name));
    }
    assert!(root.knows("a") && root.knows("b") && root.knows("c"));
    root.files.begin_epoch();
    root.files.current().expect("the root");
    let fifo = |fresh: &std::path::Path| {
        mknodat(CWD, fresh, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("mkfifo");
    };
    root.replace("a", fifo);
    fs::remove_file(root.at("b")).expect("rm");
    root.replace("c", |fresh| symlink("/etc/passwd", fresh).expect("a link"));
    for name in ["a", "b", "c"] {
        assert_eq!(root.read_too(name), Err(Fault::NotFound), "{name}");
    }
}

#[test]
fn nothing_is_known_of_a_root_that_took_the_place_of_another() {
    let mut root = settled_root(Symlinks::Never);
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert!(root.knows("a") && root.keeps("a"));
    let other = root.dir.path().join("other");
    fs::create_dir(&other).expect("mkdir");
    symlink("/etc/passwd", other.join("a")).expect("a link");
    fs::rename(root.at(""), root.dir.path().join("away")).expect("rename");
    fs::rename(other, root.at("")).expect("rename");
    // The first look finds the other root, and a job opens it.
    for _ in 0..2 {
        assert_eq!(root.read("a"), Err(Fault::NotFound));
    }
    assert!(!root.knows("a") && !root.keeps("a"));
}

#[test]
fn a_name_among_many_is_not_kept_and_one_that_is_asked_for_again_is() {
    let mut root = root(Symlinks::Inside);
    let names: Vec<String> = (0..8000).map(|number| format!("f{number}")).collect();
    names.iter().for_each(|name| fs::write(root.at(name), "").expect("a file"));
    for _ in 0..3 {
        for name in &names {
            assert_eq!(root.read(name).as_deref(), Ok(""));
        }
    }
    assert!(root.files.cache.is_empty(), "a name is kept that was asked for 8,000 names ago");
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert!(!root.keeps("a"));
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert!(root.keeps("a"));
    let kept = |found: Result<FoundFile, Fault>| Arc::as_ptr(&found.expect("it is there").file.expect("a file"));
    assert_eq!(kept(root.ask("a", Purpose::Read)), kept(root.ask("a", Purpose::Read)), "it is opened again");
}

#[test]
fn a_kept_file_is_looked_at_again_in_a_directory_that_changes_and_in_one_that_does_not() {
    for settled in [false, true] {
        let mut root = if settled { settled_root(Symlinks::Inside) } else { root(Symlinks::Inside) };
        for text in ["a", "longer", "x"] {
            fs::write(root.at("a"), text).expect("rewritten");
            for _ in 0..3 {
                assert_eq!(root.read("a").as_deref(), Ok(text));
                assert_eq!(root.ask("a", Purpose::Size).map(|found| found.size), Ok(text.len() as u64));
            }
            assert!(root.keeps("a"));
        }
        root.replace("a", |fresh| fs::write(fresh, "renamed over").expect("a file"));
        assert_eq!(root.read("a").as_deref(), Ok("renamed over"));
        fs::remove_file(root.at("a")).expect("rm");
        assert_eq!(root.read("a"), Err(Fault::NotFound));
        assert!(!root.keeps("a"));
    }
}

#[test]
fn what_a_link_leads_to_is_neither_known_nor_kept() {
    let mut root = root(Symlinks::Inside);
    symlink("a", root.at("link")).expect("a link");
    while root.files.known.version().is_none() {
        assert_eq!(root.read("link").as_deref(), Ok("a"));
        std::thread::sleep(Duration::from_millis(10));
    }
    for name in ["a", "b"] {
        assert_eq!(root.read("link").as_deref(), Ok(name));
        assert!(!root.knows("link") && !root.keeps("link"));
        root.replace("link", |fresh| symlink("b", fresh).expect("a link"));
    }
}

#[test]
fn everything_is_given_up_when_nobody_asks() {
    let mut root = settled_root(Symlinks::Inside);
    for _ in 0..3 {
        assert_eq!(root.read("a").as_deref(), Ok("a"));
    }
    assert!(root.knows("a") && root.keeps("a") && root.files.is_open());
    // It was asked for in the period that ends now, because `keeps` has just asked.
    assert!(!root.files.expire_idle());
    assert!(root.files.expire_idle());
    assert!(!root.knows("a") && !root.keeps("a") && !root.files.is_open());
    assert_eq!(root.read("a").as_deref(), Ok("a"));
}

#[test]
fn a_name_is_one_in_the_root_itself() {
    let mut root = root(Symlinks::Inside);
    fs::create_dir(root.at("sub")).expect("mkdir");
    fs::write(root.at("sub/a"), "inner").expect("a file");
    fs::write(root.dir.path().join("outer"), "outer").expect("a file");
    for name in ["sub/a", "./a", "../outer", "../root/a", "/etc/passwd", "", ".", ".."] {
        for _ in 0..2 {
            for purpose in [Purpose::Size, Purpose::Read] {
                assert_eq!(root.ask(name, purpose).map(|found| found.size), Err(Fault::NotFound), "{name:?}");
            }
        }
    }
}
