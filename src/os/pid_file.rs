//! The pid file of a daemon: locked (flock(2)) while it runs, and never another file than its own.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

/// A pid file that this process holds. It is removed with this, if the process still may.
#[derive(Debug)]
pub struct PidFile {
    file: File,
    path: PathBuf,
}

/// Why there is no pid file.
#[derive(Debug)]
pub enum PidFileError {
    /// A running daemon holds it, this process if that is known.
    Held(Option<u32>),
    /// The path leads to something else: a link, a device, a file with a second name.
    NotPlain,
    /// The system refused.
    Io(io::Error),
}

impl From<io::Error> for PidFileError {
    fn from(error: io::Error) -> PidFileError {
        PidFileError::Io(error)
    }
}

impl PidFile {
    /// Locks the file at `path`, which is made if it is missing, and writes the process's number to it. The directory may
    /// be somebody else's: no link is followed, and only a regular file with one name is written to.
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
            // The daemon that held it may have removed it just before it was locked here.
            if held.is_at_path() {
                // A file without a number is removed again.
                held.file.set_len(0)?;
                writeln!(held.file, "{}", std::process::id())?;
                return Ok(held);
            }
        }
    }

    fn is_at_path(&self) -> bool {
        let node = |found: std::fs::Metadata| (found.dev(), found.ino());
        let there = std::fs::symlink_metadata(&self.path).map(node);
        matches!((there, self.file.metadata().map(node)), (Ok(there), Ok(own)) if there == own)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_at_path() {
            // A file that stays, because the daemon may no longer remove it, is not locked any more.
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
    fn nothing_but_its_own_file_is_touched() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, precious) = (dir.path().join("pid"), dir.path().join("precious"));
        std::fs::write(&precious, "a thesis").expect("a file");
        let refused = |path: &Path| matches!(PidFile::create(path), Err(PidFileError::NotPlain));
        symlink(&precious, &path).expect("symlink");
        assert!(refused(&path));
        std::fs::remove_file(&path).expect("unlink");
        symlink(dir.path().join("absent"), &path).expect("symlink");
        assert!(refused(&path), "a link that leads nowhere");
        std::fs::remove_file(&path).expect("unlink");
        std::fs::hard_link(&precious, &path).expect("link");
        assert!(refused(&path));
        std::fs::remove_file(&path).expect("unlink");
        assert!(refused(Path::new("/dev/null")));
        assert_eq!(std::fs::read(&precious).expect("the file"), b"a thesis");
    }

    #[test]
    fn it_is_held_while_it_lives() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pid");
        std::fs::write(&path, "4194304000\n").expect("a stale file");
        let held = PidFile::create(&path).expect("it is not locked");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), format!("{}\n", std::process::id()));
        let other = PidFile::create(&path);
        assert!(matches!(other, Err(PidFileError::Held(Some(pid))) if pid == std::process::id()), "{other:?}");
        drop(held);
        assert!(!path.exists());
    }
}
