//! Where the bytes of a file go: into a file, or into a stream.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::exit::{Exit, Failure};
use super::sums::{Sum, mismatch};

/// How many bytes before the end are compared with the server's before more are appended.
pub(super) const TAIL: u64 = 64 << 10;

/// Takes the bytes of one file, in their order.
pub(super) trait Sink {
    /// How many bytes it has.
    fn length(&self) -> u64;
    /// Takes more bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure>;
    /// The last bytes, up to [`TAIL`].
    fn tail(&mut self) -> Result<Vec<u8>, Failure>;
    /// Gives up the bytes that it has: the file has changed.
    fn restart(&mut self) -> Result<(), Failure>;
}

/// `NAME.part`, which becomes `NAME` when it is complete.
pub(super) struct PartFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
    force: bool,
    length: u64,
    sum: Option<(Sum, Sha256)>,
}

impl PartFile {
    /// The name of the incomplete file.
    pub(super) fn path(target: &Path) -> PathBuf {
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        PathBuf::from(name)
    }

    /// Opens `NAME.part`, empty or, to resume, with what it has.
    pub(super) fn open(target: &Path, force: bool, resume: bool, sum: Option<Sum>) -> Result<PartFile, Failure> {
        refuse_existing(target, force)?;
        let part = PartFile::path(target);
        let cannot = |error| local("open", &part, &error);
        let file = match fs::symlink_metadata(&part) {
            Ok(found) if !found.is_file() => {
                let message = format!("{} is no file; remove it, or use another directory", part.display());
                return Err(Failure::new(Exit::Local, message));
            }
            Ok(_) => OpenOptions::new().read(true).write(true).open(&part).map_err(cannot)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                OpenOptions::new().read(true).write(true).create_new(true).open(&part).map_err(cannot)?
            }
            Err(error) => return Err(cannot(error)),
        };
        let sum = sum.map(|sum| (sum, Sha256::new()));
        let mut opened = PartFile { file, target: target.to_owned(), part, force, length: 0, sum };
        if resume {
            opened.take_what_is_there()?;
        } else {
            opened.restart()?;
        }
        Ok(opened)
    }

    fn take_what_is_there(&mut self) -> Result<(), Failure> {
        let mut buffer = vec![0; 256 << 10];
        let cannot = |path: &Path, error| local("read", path, &error);
        if let Some((_, hash)) = &mut self.sum {
            loop {
                match self.file.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        hash.update(&buffer[..count]);
                        self.length += count as u64;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(cannot(&self.part, error)),
                }
            }
        } else {
            self.length = self.file.seek(SeekFrom::End(0)).map_err(|error| cannot(&self.part, error))?;
        }
        Ok(())
    }

    /// The file is complete: it is verified, synced and renamed. One that is not what its sum says is removed.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if let Some((wanted, hash)) = self.sum {
            let found = Sum::from(hash.finalize());
            if found != wanted {
                let _ = fs::remove_file(&self.part);
                return Err(mismatch(&wanted, &found));
            }
        }
        self.file.sync_all().map_err(|error| local("write", &self.part, &error))?;
        drop(self.file);
        refuse_existing(&self.target, self.force)?;
        fs::rename(&self.part, &self.target).map_err(|error| local("rename", &self.part, &error))
    }
}

impl Sink for PartFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| local("write", &self.part, &error))?;
        if let Some((_, hash)) = &mut self.sum {
            hash.update(bytes);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn tail(&mut self) -> Result<Vec<u8>, Failure> {
        let length = self.length.min(TAIL);
        let mut tail = vec![0; length as usize];
        let mut read = || {
            self.file.seek(SeekFrom::Start(self.length - length))?;
            self.file.read_exact(&mut tail)?;
            self.file.seek(SeekFrom::Start(self.length))
        };
        read().map_err(|error| local("read", &self.part, &error))?;
        Ok(tail)
    }

    fn restart(&mut self) -> Result<(), Failure> {
        let cut = self.file.set_len(0).and_then(|()| self.file.rewind());
        cut.map_err(|error| local("write", &self.part, &error))?;
        self.length = 0;
        if let Some((_, hash)) = &mut self.sum {
            *hash = Sha256::new();
        }
        Ok(())
    }
}

/// Standard output, a device or a pipe: what cannot be renamed, and does not give bytes back.
pub(super) struct Stream {
    out: Box<dyn Write>,
    name: String,
    length: u64,
    tail: Vec<u8>,
}

impl Stream {
    pub(super) fn stdout() -> Stream {
        Stream::new(Box::new(io::stdout().lock()), "standard output")
    }

    /// Opens a path that is neither a file nor a directory.
    pub(super) fn open(path: &Path) -> Result<Stream, Failure> {
        let file = OpenOptions::new().write(true).open(path).map_err(|error| local("open", path, &error))?;
        Ok(Stream::new(Box::new(file), &path.display().to_string()))
    }

    fn new(out: Box<dyn Write>, name: &str) -> Stream {
        Stream { out, name: name.to_owned(), length: 0, tail: Vec::new() }
    }
}

impl Sink for Stream {
    fn length(&self) -> u64 {
        self.length
    }

    /// Nobody has to read it to its end, so a closed pipe ends the program without a message.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => return Err(Failure::new(Exit::Local, format!("cannot write to {}: {error}", self.name))),
        }
        self.length += bytes.len() as u64;
        let new = &bytes[bytes.len().saturating_sub(TAIL as usize)..];
        let old = (TAIL as usize - new.len()).min(self.tail.len());
        self.tail.drain(..self.tail.len() - old);
        self.tail.extend_from_slice(new);
        Ok(())
    }

    fn tail(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(self.tail.clone())
    }

    fn restart(&mut self) -> Result<(), Failure> {
        if self.length == 0 {
            return Ok(());
        }
        let message =
            format!("it changed on the server after a part was written to {}; run the command again", self.name);
        Err(Failure::new(Exit::Verification, message))
    }
}

/// A failure of the local disk.
pub(super) fn local(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Local, format!("cannot {what} {}: {error}", path.display()))
}

/// A file that exists is replaced by `force` only; what is no file is never replaced.
pub(super) fn refuse_existing(target: &Path, force: bool) -> Result<(), Failure> {
    let why = match fs::symlink_metadata(target) {
        Ok(found) if force && (found.is_file() || found.is_symlink()) => return Ok(()),
        Ok(found) if found.is_file() || found.is_symlink() => "exists; --force replaces it",
        Ok(_) => "exists and is no file; choose another name",
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(local("look at", target, &error)),
    };
    Err(Failure::new(Exit::Local, format!("{} {why}", target.display())))
}

/// Whether a path is a device, a pipe or the like.
pub(super) fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}
