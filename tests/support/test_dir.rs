//! A temporary directory with `root`, which the daemon serves, and `run`, for the control socket. All users may read it,
//! because the daemon runs as nobody if the tests run as root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::am_root;

pub(crate) struct TestDir {
    temporary: TempDir,
}

impl TestDir {
    pub(crate) fn new() -> TestDir {
        let temporary = tempfile::Builder::new().prefix("hftpd-").tempdir().expect("a temporary directory");
        let dir = TestDir { temporary };
        set_mode(dir.temporary.path(), 0o755);
        for name in ["root", "run"] {
            fs::create_dir(dir.at(name)).expect("a directory in the temporary directory");
            set_mode(&dir.at(name), 0o755);
        }
        if am_root() {
            chown(dir.at("run"), Some(nobody().0), Some(nobody().1)).expect("chown of run");
        }
        dir
    }

    /// The root of the examples in hftp(7), section EXAMPLES.
    pub(crate) fn of_the_examples() -> TestDir {
        let dir = TestDir::new();
        dir.file("a10", b"0123456789");
        dir.file("empty", b"");
        fs::create_dir(dir.root().join("sub")).expect("sub");
        set_mode(&dir.file("noread", b"not to see"), 0o000);
        dir.file("bad name", b"x");
        dir.file("at@b", b"at");
        dir
    }

    pub(crate) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// A path next to the root.
    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.temporary.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.at("root")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.at("hftp.toml")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.at("run/control")
    }

    /// Creates a file in the root.
    pub(crate) fn file(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> PathBuf {
        put(&self.root().join(name.as_ref()), bytes)
    }

    /// Creates a file in the root whose name may be any bytes.
    pub(crate) fn file_named(&self, name: &[u8], bytes: &[u8]) -> PathBuf {
        self.file(OsStr::from_bytes(name), bytes)
    }

    /// Creates a directory next to the root, with files.
    pub(crate) fn create_dir(&self, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let path = self.at(name);
        fs::create_dir(&path).expect("a directory");
        set_mode(&path, 0o755);
        for (file, bytes) in files {
            put(&path.join(file), bytes);
        }
        path
    }

    /// Creates a symbolic link in the root.
    pub(crate) fn link(&self, name: &str, target: impl AsRef<Path>) {
        symlink(target, self.root().join(name)).expect("a symbolic link");
    }
}

/// Writes a file that all users may read.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> PathBuf {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    set_mode(path, 0o644);
    path.to_owned()
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("cannot chmod {}: {error}", path.display()));
}

/// Replaces a symbolic link atomically.
pub(crate) fn switch_link(link: &Path, target: impl AsRef<Path>) {
    let fresh = link.with_extension("fresh");
    symlink(target, &fresh).expect("a symbolic link");
    fs::rename(&fresh, link).expect("rename of a symbolic link");
}

/// User and group id of nobody.
pub(crate) fn nobody() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let entry = passwd.lines().find(|line| line.starts_with("nobody:")).expect("user nobody in /etc/passwd");
    let field = |index: usize| entry.split(':').nth(index).and_then(|text| text.parse().ok()).expect("a number");
    (field(2), field(3))
}

/// The name of the group of nobody, which differs between distributions.
pub(crate) fn nobody_group() -> String {
    let wanted = nobody().1.to_string();
    let group = fs::read_to_string("/etc/group").expect("/etc/group");
    let entry = group.lines().find(|line| line.split(':').nth(2) == Some(&wanted)).expect("the group of nobody");
    entry.split(':').next().unwrap_or_default().to_owned()
}
