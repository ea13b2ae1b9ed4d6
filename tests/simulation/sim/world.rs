//! The published files of a simulation: real files, and the model's record of them.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hftpd::handle::{Listings, Lookup, Policy, RootView, Symlinks};
use hftpd::wire::NameCharset;
use tempfile::TempDir;

use super::model::{Node, Rules, Tree};
use super::script::Catalogue;

/// The file that may become shorter.
pub(crate) const SHRINKS: &[u8] = b"shrinks";
const SHRINKS_SIZE: usize = 200_000;

/// Files that are dropped from the page cache at times.
const LARGE: [&str; 6] = ["a/f3000000", "a/f250000", "a/f100000", "a/f65537", "a/f10", "a/shrinks"];

/// Two directories, and the link to one of them that is the root. Shared by many runs.
pub(crate) struct Store {
    dir: TempDir,
    trees: [Arc<Tree>; 2],
    pub(crate) catalogue: Catalogue,
    /// A run has changed the link or truncated the file.
    changed: Cell<bool>,
    /// The files may not be in the page cache.
    cold: Cell<bool>,
    /// The files are on a tmpfs.
    in_memory: bool,
}

/// The state from one moment on.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) rules: Rules,
    /// None while the root is missing.
    pub(crate) tree: Option<Arc<Tree>>,
}

/// The state of a store in one run.
pub(crate) struct World<'s> {
    store: &'s Store,
    pub(crate) snapshots: Vec<Snapshot>,
    /// The size of the file that may become shorter.
    pub(crate) shrunk_to: usize,
    root: Option<usize>,
}

fn content(seed: u32, size: usize) -> Arc<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    Arc::new((0..size).map(|_| byte()).collect())
}

impl Store {
    /// Creates one below `place`, or in the directory for temporary files.
    pub(crate) fn new(place: Option<&Path>) -> Store {
        let mut builder = tempfile::Builder::new();
        let dir = match place {
            Some(place) => builder.prefix("hftpd-sim-").tempdir_in(place),
            None => builder.prefix("hftpd-sim-").tempdir(),
        };
        let dir = dir.expect("a temporary directory");
        let mut trees = [Tree::new(), Tree::new()];
        let sizes = [0, 1, 2, 3, 10, 1000, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 100_000, 250_000, 3_000_000];
        for (at, &size) in sizes.iter().enumerate() {
            let name = format!("f{size}").into_bytes();
            trees[0].insert(name, Node::File { bytes: content(at as u32, size), size });
        }
        let text = content(100, SHRINKS_SIZE);
        trees[0].insert(SHRINKS.to_vec(), Node::File { bytes: text, size: SHRINKS_SIZE });
        trees[0].insert(b"sub".to_vec(), Node::Other);
        for name in [&b".hidden"[..], b"at@b", b"bad name", b"tab\tbed", b"\xff"] {
            trees[0].insert(name.to_vec(), Node::File { bytes: content(200, 5), size: 5 });
        }
        // The same names with other bytes, and enough names that a listing needs several writes.
        trees[1].insert(b"f10".to_vec(), Node::File { bytes: content(300, 12), size: 12 });
        trees[1].insert(b"f100000".to_vec(), Node::File { bytes: content(301, 90_000), size: 90_000 });
        for number in 0..300 {
            let name = format!("{}{number}", "long".repeat(62)).into_bytes();
            trees[1].insert(name, Node::File { bytes: Arc::default(), size: 0 });
        }
        for (root, tree) in ["a", "b"].iter().zip(&mut trees) {
            let root = dir.path().join(root);
            fs::create_dir(&root).expect("a root");
            for (name, node) in tree.iter() {
                let path = root.join(std::ffi::OsStr::from_bytes(name));
                match node {
                    Node::File { bytes, .. } => {
                        fs::write(&path, bytes.as_slice()).expect("a file");
                        File::open(&path).and_then(|file| file.sync_all()).expect("a file on the disk");
                    }
                    _ => fs::create_dir(&path).expect("a directory"),
                }
            }
        }
        let linked = trees[1].get(&b"f10"[..]).cloned();
        if let Some(Node::File { bytes, size }) = linked {
            symlink("f10", dir.path().join("b/link")).expect("a link");
            symlink("../a/f10", dir.path().join("b/out")).expect("a link");
            trees[1].insert(b"link".to_vec(), Node::Link { bytes, size });
            trees[1].insert(b"out".to_vec(), Node::Other);
        }
        let size = |node: &Node| match node {
            Node::File { size, .. } | Node::Link { size, .. } | Node::Unreadable { size } => *size,
            Node::Other => 0,
        };
        let mut names: Vec<_> = trees[0].iter().map(|(name, node)| (name.clone(), size(node))).collect();
        names.extend([(b"link".to_vec(), 12), (b"out".to_vec(), 10), (SHRINKS.to_vec(), SHRINKS_SIZE)]);
        names.extend(std::iter::repeat_n((b"f10".to_vec(), 10), 12));
        let store = Store {
            dir,
            trees: trees.map(Arc::new),
            catalogue: Catalogue { names },
            changed: Cell::new(true),
            cold: Cell::new(false),
            in_memory: place.is_some(),
        };
        World::new(&store, store.rules()).wait_until_settled();
        store
    }

    /// Those of the default configuration, with a small line limit.
    pub(crate) fn rules(&self) -> Rules {
        Rules { printable: false, hidden: false, links: true, request_line: 512 }
    }

    fn link(&self) -> PathBuf {
        self.dir.path().join("root")
    }
}

impl<'s> World<'s> {
    /// The first directory, with complete files.
    pub(crate) fn new(store: &'s Store, rules: Rules) -> World<'s> {
        if store.changed.replace(false) {
            let Some(Node::File { bytes, .. }) = store.trees[0].get(SHRINKS) else { unreachable!("it was made") };
            fs::write(store.dir.path().join("a/shrinks"), bytes.as_slice()).expect("a file");
            switch(&store.link(), Some("a"));
        }
        if store.cold.replace(false) {
            for name in LARGE {
                drop(fs::read(store.dir.path().join(name)));
            }
        }
        let snapshot = Snapshot { rules, tree: Some(store.trees[0].clone()) };
        World { store, snapshots: vec![snapshot], shrunk_to: SHRINKS_SIZE, root: Some(0) }
    }

    /// Whether no file is on a disk.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.store.in_memory
    }

    /// The index of the current snapshot.
    pub(crate) fn snapshot(&self) -> usize {
        self.snapshots.len() - 1
    }

    pub(crate) fn now(&self) -> &Snapshot {
        self.snapshots.last().expect("at least one snapshot")
    }

    pub(crate) fn set_rules(&mut self, rules: Rules) {
        let tree = self.now().tree.clone();
        self.snapshots.push(Snapshot { rules, tree });
    }

    /// Changes the target of the root's link, or removes the link.
    pub(crate) fn switch(&mut self, root: Option<usize>) {
        self.store.changed.set(true);
        switch(&self.store.link(), root.map(|root| ["a", "b"][root]));
        self.root = root;
        self.add_snapshot();
    }

    /// Truncates the file that may become shorter.
    pub(crate) fn shrink(&mut self, size: usize) {
        if size < self.shrunk_to {
            self.store.changed.set(true);
            let file = File::options().write(true).open(self.store.dir.path().join("a/shrinks")).expect("the file");
            file.set_len(size as u64).expect("a shorter file");
            self.shrunk_to = size;
            self.add_snapshot();
        }
    }

    /// Adds a snapshot of the current state.
    fn add_snapshot(&mut self) {
        let tree = self.root.map(|root| {
            let mut tree = self.store.trees[root].clone();
            if root == 0
                && self.shrunk_to < SHRINKS_SIZE
                && let Some(Node::File { size, .. }) = Arc::make_mut(&mut tree).get_mut(SHRINKS)
            {
                *size = self.shrunk_to;
            }
            tree
        });
        let rules = self.now().rules;
        self.snapshots.push(Snapshot { rules, tree });
    }

    /// Drops the files from the page cache, so that reading them has to wait for the disk.
    pub(crate) fn forget_pages(&self) {
        self.store.cold.set(true);
        for name in LARGE {
            if let Ok(file) = File::open(self.store.dir.path().join(name)) {
                let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
            }
        }
    }

    /// The policy for the current root and rules.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        let Rules { printable, hidden, links, .. } = self.now().rules;
        Arc::new(Policy {
            root: self.store.link(),
            symlinks: if links { Symlinks::Inside } else { Symlinks::Never },
            hidden,
            listed: if printable {
                |name| NameCharset::Printable.allow_name(name)
            } else {
                |name| NameCharset::Portable.allow_name(name)
            },
            separator: b"\r\n",
            listings: Listings::default(),
        })
    }

    /// A listing is cached if the directory has not changed for a while. Waits that long, so that caching does not depend
    /// on the time since the files were created.
    fn wait_until_settled(&mut self) {
        // Listings of the second directory are never cached, because it contains links.
        let policy = self.policy();
        let mut files = RootView::new(policy.clone());
        while let Lookup::Pending(job) = files.list() {
            let done = job.run();
            files.update_from(&policy, &done);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn switch(link: &Path, target: Option<&str>) {
    let Some(target) = target else {
        let _ = fs::remove_file(link);
        return;
    };
    let fresh = link.with_extension("fresh");
    symlink(target, &fresh).expect("a symbolic link");
    fs::rename(&fresh, link).expect("rename of a symbolic link");
}
