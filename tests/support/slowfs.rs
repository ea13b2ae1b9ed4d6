//! A FUSE file system that hangs on request (`slowfs.py`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::test_dir::{put, set_mode};
use super::{am_root, eventually, skipped};

/// The size of each file, and the value of its bytes.
pub(crate) const SIZE: usize = 4 << 20;
pub(crate) const BYTE: u8 = b'z';

/// The interpreter for which the `fuse` module is installed.
const PYTHON: &str = "/usr/bin/python3";

/// A mounted file system with the files `fast`, `slow`, `eio` and `slow...`.
pub(crate) struct SlowFs {
    server: Child,
    root: PathBuf,
    dir: TempDir,
}

/// What hangs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hang {
    Everything,
    /// Look-ups of names that begin with `slow`.
    Lookups,
    /// Reads of such files.
    Reads,
}

/// The file system hangs until this is dropped. Create it after the daemon, so that it is dropped first: a process that
/// waits for the file system cannot always be killed.
pub(crate) struct Hanging(PathBuf);

impl SlowFs {
    /// Mounts it on a temporary directory. None, with a message, if FUSE is not available.
    #[track_caller]
    pub(crate) fn mount() -> Option<SlowFs> {
        SlowFs::mount_at(None)
    }

    /// Mounts it on an empty directory.
    #[track_caller]
    pub(crate) fn mount_on(root: &Path) -> Option<SlowFs> {
        SlowFs::mount_at(Some(root))
    }

    #[track_caller]
    fn mount_at(root: Option<&Path>) -> Option<SlowFs> {
        if let Err(why) = prerequisites() {
            skipped(&why);
            return None;
        }
        let dir = tempfile::Builder::new().prefix("hftpd-fuse-").tempdir().expect("a temporary directory");
        set_mode(dir.path(), 0o755);
        let (own, control) = (dir.path().join("root"), dir.path().join("control"));
        fs::create_dir(&own).expect("a mount point");
        for made in [&control, &dir.path().join("target")] {
            fs::create_dir(made).expect("a directory");
            set_mode(made, 0o755);
        }
        let root = root.map_or(own, Path::to_owned);
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/slowfs.py");
        let mut command = Command::new(PYTHON);
        command.arg(program).arg(&root).arg(&control).stdin(Stdio::null());
        let mut slow = SlowFs { server: command.spawn().expect("python"), root, dir };
        eventually("the file system is mounted", || {
            let ended = slow.server.try_wait().expect("waitpid");
            assert!(ended.is_none(), "{} has ended: {ended:?}", command.get_program().display());
            fs::metadata(slow.root.join("fast")).map(drop).map_err(|error| error.to_string())
        });
        Some(slow)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// The local directory that `link` in the root leads to.
    pub(crate) fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    pub(crate) fn hang(&self, what: Hang) -> Hanging {
        let name = match what {
            Hang::Everything => "everything",
            Hang::Lookups => "lookups",
            Hang::Reads => "reads",
        };
        Hanging(put(&self.dir.path().join("control").join(name), b""))
    }
}

fn prerequisites() -> Result<(), String> {
    if !am_root() {
        return Err("only root may mount a file system for everybody".to_owned());
    }
    if !Path::new("/dev/fuse").exists() {
        return Err("there is no /dev/fuse".to_owned());
    }
    let imported = Command::new(PYTHON).args(["-c", "import fuse"]).stderr(Stdio::null()).status();
    match imported {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{PYTHON} has no module fuse; install python3-fuse and fuse3")),
    }
}

impl Drop for SlowFs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.root).status();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
