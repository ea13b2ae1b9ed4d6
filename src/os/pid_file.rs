//! The pid file. The daemon locks it while it runs (flock(2)).

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

/// A pid file locked by this process. Dropping it removes the file, if the process still has permission.
#[derive(Debug)]
pub struct PidFile {
    file: File,
    path: PathBuf,
}

/// Why the pid file was not created.
#[derive(Debug)]
pub enum PidFileError {
    /// A running daemon has locked the file. Contains its process ID, if the file has one.
    Held(Option<u32>),
    /// The path is not a regular file with one link.
    NotPlain,
    /// A system call failed.
    Io(io::Error),
}

impl From<io::Error> for PidFileError {
    fn from(error: io::Error) -> PidFileError {
        PidFileError::Io(error)
    }
}

impl PidFile {
    /// Creates the file at `path` if it is missing, locks it, and writes the process ID to it. The directory may belong to
    /// another user: symbolic links are not followed, and only a regular file with one link is changed.
    pub fn create(path: &Path) -> Result<PidFile, PidFileError> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        loop {
            let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
            let file = match rustix::fs::open(path, flags, mode) {
                Ok(file) => File::from(file),
                Err(rustix::io::Errno::LOOP) => return Err(PidFileError::NotPlain),
                Err(errno) => return Err(PidFileError::Io(errno.into())),
            };
            let found = file.metadata()?;
            if !found.is_file() || found.nlink() > 1 {
                return Err(PidFileError::NotPlain);
            }
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(PidFileError::Held(read_pid(&file))),
                Err(errno) => return Err(PidFileError::Io(errno.into())),
            }
            let mut held = PidFile { file, path: path.to_owned() };
            // The previous daemon may have removed the file between the open and the lock.
            if held.is_at_path() {
                // If a write fails, dropping `held` removes the file.
                held.file.set_len(0)?;
                writeln!(held.file, "{}", std::process::id())?;
                return Ok(held);
            }
        }
    }

    fn is_at_path(&self) -> bool {
        let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let at_path = std::fs::symlink_metadata(&self.path).map(id);
        matches!((at_path, self.file.metadata().map(id)), (Ok(at_path), Ok(own)) if at_path == own)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_at_path() {
            // Without permission to remove it, the file remains, but unlocked.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_devices_are_not_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, precious) = (dir.path().join("pid"), dir.path().join("precious"));
        std::fs::write(&precious, "data").expect("a file");
        let refused = |path: &Path| matches!(PidFile::create(path), Err(PidFileError::NotPlain));
        symlink(&precious, &path).expect("symlink");
        assert!(refused(&path));
        std::fs::remove_file(&path).expect("unlink");
        symlink(dir.path().join("absent"), &path).expect("symlink");
        assert!(refused(&path), "a dangling link");
        std::fs::remove_file(&path).expect("unlink");
        std::fs::hard_link(&precious, &path).expect("link");
        assert!(refused(&path));
        std::fs::remove_file(&path).expect("unlink");
        assert!(refused(Path::new("/dev/null")));
        assert_eq!(std::fs::read(&precious).expect("the file"), b"data");
    }

    #[test]
    fn pid_file_is_locked_and_removed_when_dropped() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pid");
        std::fs::write(&path, "4194304000\n").expect("a stale file");
        let held = PidFile::create(&path).expect("an unlocked file");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), format!("{}\n", std::process::id()));
        let other = PidFile::create(&path);
        assert!(matches!(other, Err(PidFileError::Held(Some(pid))) if pid == std::process::id()), "{other:?}");
        drop(held);
        assert!(!path.exists());
    }
}
