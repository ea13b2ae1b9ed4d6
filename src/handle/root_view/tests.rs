//! Known names and the file cache of an event loop.

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
    view: RootView,
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
    Root { dir, view: RootView::new(Arc::new(policy)) }
}

/// The same, unchanged for long enough that names become known.
fn settled_root(symlinks: Symlinks) -> Root {
    let mut root = root(symlinks);
    while root.view.known.version().is_none() {
        assert_eq!(root.read("none"), Err(Fault::NotFound));
        std::thread::sleep(Duration::from_millis(10));
    }
    root
}

impl Root {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name)
    }

    /// Looks up a file in a new epoch and reads it.
    fn read(&mut self, name: &str) -> Result<String, Fault> {
        self.view.begin_epoch();
        self.read_in_same_epoch(name)
    }

    /// The same in the current epoch.
    fn read_in_same_epoch(&mut self, name: &str) -> Result<String, Fault> {
        let file = self.look_up(name, Purpose::Read)?.file?;
        let mut bytes = [0; 100];
        let count = match file.read(0, &mut bytes, Wait::Allowed) {
            Ok(count) => count,
            // The file is empty.
            Err(ReadError::Truncated) => 0,
            Err(ReadError::Failed(errno)) => return Err(Fault::Unreadable(errno)),
            Err(error) => panic!("{error:?} despite Wait::Allowed"),
        };
        Ok(String::from_utf8(bytes[..count].to_vec()).expect("text"))
    }

    fn look_up(&mut self, name: &str, purpose: Purpose) -> Result<FoundFile, Fault> {
        let job = match self.view.find(name.as_bytes(), purpose) {
            Lookup::Ready(found) => return found,
            Lookup::Pending(job) => job,
        };
        let result = job.run();
        let policy = self.view.policy.clone();
        self.view.update_from(&policy, &result);
        match result {
            JobResult::Found(found, _) => found,
            other => panic!("{other:?}"),
        }
    }

    fn hash(&self, name: &str) -> u64 {
        self.view.hasher.hash_one(name.as_bytes())
    }

    fn is_known(&self, name: &str) -> bool {
        self.view.known.contains(self.hash(name))
    }

    fn is_cached(&mut self, name: &str) -> bool {
        let hash = self.hash(name);
        self.view.cache.get(hash, name.as_bytes()).is_some()
    }

    /// Replaces a name with a rename.
    fn replace(&self, name: &str, make: impl FnOnce(&std::path::Path)) {
        let fresh = self.dir.path().join("fresh");
        make(&fresh);
        fs::rename(fresh, self.at(name)).expect("rename");
    }
}

#[test]
fn names_are_known_once_the_directory_has_settled() {
    let mut root = settled_root(Symlinks::Inside);
    assert!(!root.is_known("a"));
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert_eq!(root.look_up("b", Purpose::Size).map(|found| found.size), Ok(1));
    assert!(root.is_known("a") && root.is_known("b") && !root.is_known("c") && !root.is_known("none"));
    for name in ["a", "b", "c"] {
        assert_eq!(root.read(name).as_deref(), Ok(name));
    }
    fs::write(root.at("d"), "d").expect("a file");
    assert_eq!(root.read("d").as_deref(), Ok("d"));
    assert!(!root.is_known("a") && !root.is_known("d"), "known in a directory that has just changed");
}

#[test]
fn names_of_a_changing_directory_are_not_known() {
    let mut root = root(Symlinks::Inside);
    for _ in 0..10 {
        fs::write(root.at("d"), "d").expect("a file");
        assert_eq!(root.read("d").as_deref(), Ok("d"));
        assert_eq!(root.read("a").as_deref(), Ok("a"));
        assert!(!root.is_known("a") && root.view.known.version().is_none());
        fs::remove_file(root.at("d")).expect("rm");
        assert_eq!(root.read("d"), Err(Fault::NotFound));
    }
}

#[test]
fn replaced_known_names_are_looked_up_again() {
    for symlinks in [Symlinks::Inside, Symlinks::Never] {
        let mut root = settled_root(symlinks);
        for name in ["a", "b", "c"] {
            assert_eq!(root.read(name).as_deref(), Ok(name));
            assert!(root.is_known(name));
        }
        root.replace("a", |fresh| symlink("c", fresh).expect("a link"));
        let through_link = if symlinks == Symlinks::Inside { Ok("c") } else { Err(&Fault::NotFound) };
        assert_eq!(root.read("a").as_ref().map(String::as_str), through_link);
        fs::remove_file(root.at("b")).expect("rm");
        fs::create_dir(root.at("b")).expect("mkdir");
        assert_eq!(root.read("b"), Err(Fault::NotFound));
        root.replace("c", |fresh| fs::write(fresh, "new").expect("a file"));
        assert_eq!(root.read("c").as_deref(), Ok("new"));
    }
}

#[test]
fn known_name_replaced_by_another_type_in_the_same_epoch_is_not_served() {
    let mut root = settled_root(Symlinks::Inside);
    for name in ["a", "b", "c"] {
        assert_eq!(root.read(name).as_deref(), Ok(name));
    }
    assert!(root.is_known("a") && root.is_known("b") && root.is_known("c"));
    root.view.begin_epoch();
    root.view.current_directory().expect("the root");
    let fifo = |fresh: &std::path::Path| {
        mknodat(CWD, fresh, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("mkfifo");
    };
    root.replace("a", fifo);
    fs::remove_file(root.at("b")).expect("rm");
    root.replace("c", |fresh| symlink("/etc/passwd", fresh).expect("a link"));
    for name in ["a", "b", "c"] {
        assert_eq!(root.read_in_same_epoch(name), Err(Fault::NotFound), "{name}");
    }
}

#[test]
fn replaced_root_clears_known_names_and_cache() {
    let mut root = settled_root(Symlinks::Never);
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert!(root.is_known("a") && root.is_cached("a"));
    let other = root.dir.path().join("other");
    fs::create_dir(&other).expect("mkdir");
    symlink("/etc/passwd", other.join("a")).expect("a link");
    fs::rename(root.at(""), root.dir.path().join("away")).expect("rename");
    fs::rename(other, root.at("")).expect("rename");
    // The first look-up detects the other root, and a job opens it.
    for _ in 0..2 {
        assert_eq!(root.read("a"), Err(Fault::NotFound));
    }
    assert!(!root.is_known("a") && !root.is_cached("a"));
}

#[test]
fn only_repeated_names_are_cached() {
    let mut root = root(Symlinks::Inside);
    let names: Vec<String> = (0..8000).map(|number| format!("f{number}")).collect();
    names.iter().for_each(|name| fs::write(root.at(name), "").expect("a file"));
    for _ in 0..3 {
        for name in &names {
            assert_eq!(root.read(name).as_deref(), Ok(""));
        }
    }
    assert!(root.view.cache.is_empty(), "a name requested 8,000 names ago is cached");
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert!(!root.is_cached("a"));
    assert_eq!(root.read("a").as_deref(), Ok("a"));
    assert!(root.is_cached("a"));
    let address = |found: Result<FoundFile, Fault>| Arc::as_ptr(&found.expect("it is there").file.expect("a file"));
    assert_eq!(
        address(root.look_up("a", Purpose::Read)),
        address(root.look_up("a", Purpose::Read)),
        "it is opened again"
    );
}

#[test]
fn cached_files_are_revalidated() {
    for settled in [false, true] {
        let mut root = if settled { settled_root(Symlinks::Inside) } else { root(Symlinks::Inside) };
        for text in ["a", "longer", "x"] {
            fs::write(root.at("a"), text).expect("rewritten");
            for _ in 0..3 {
                assert_eq!(root.read("a").as_deref(), Ok(text));
                assert_eq!(root.look_up("a", Purpose::Size).map(|found| found.size), Ok(text.len() as u64));
            }
            assert!(root.is_cached("a"));
        }
        root.replace("a", |fresh| fs::write(fresh, "renamed over").expect("a file"));
        assert_eq!(root.read("a").as_deref(), Ok("renamed over"));
        fs::remove_file(root.at("a")).expect("rm");
        assert_eq!(root.read("a"), Err(Fault::NotFound));
        assert!(!root.is_cached("a"));
    }
}

#[test]
fn links_are_neither_known_nor_cached() {
    let mut root = root(Symlinks::Inside);
    symlink("a", root.at("link")).expect("a link");
    while root.view.known.version().is_none() {
        assert_eq!(root.read("link").as_deref(), Ok("a"));
        std::thread::sleep(Duration::from_millis(10));
    }
    for name in ["a", "b"] {
        assert_eq!(root.read("link").as_deref(), Ok(name));
        assert!(!root.is_known("link") && !root.is_cached("link"));
        root.replace("link", |fresh| symlink("b", fresh).expect("a link"));
    }
}

#[test]
fn idle_view_closes_everything() {
    let mut root = settled_root(Symlinks::Inside);
    for _ in 0..3 {
        assert_eq!(root.read("a").as_deref(), Ok("a"));
    }
    assert!(root.is_known("a") && root.is_cached("a") && root.view.is_open());
    // The first call keeps the file, because `is_cached` has just used it.
    assert!(!root.view.expire_idle());
    assert!(root.view.expire_idle());
    assert!(!root.is_known("a") && !root.is_cached("a") && !root.view.is_open());
    assert_eq!(root.read("a").as_deref(), Ok("a"));
}

#[test]
fn paths_are_not_names() {
    let mut root = root(Symlinks::Inside);
    fs::create_dir(root.at("sub")).expect("mkdir");
    fs::write(root.at("sub/a"), "inner").expect("a file");
    fs::write(root.dir.path().join("outer"), "outer").expect("a file");
    for name in ["sub/a", "./a", "../outer", "../root/a", "/etc/passwd", "", ".", ".."] {
        for _ in 0..2 {
            for purpose in [Purpose::Size, Purpose::Read] {
                assert_eq!(root.look_up(name, purpose).map(|found| found.size), Err(Fault::NotFound), "{name:?}");
            }
        }
    }
}
