//! Paths, directories and files: openat2(2), statx(2), statfs(2), preadv2(2), getdents64(2).

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx, StatxFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// Whether a call may wait for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It may wait. For pool threads.
    Allowed,
    /// It fails with [`Errno::AGAIN`] instead. For event loops.
    Never,
}

/// Attributes of a file (statx(2)). Device and inode identify the file while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The device of the file system.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// The file type.
    pub kind: Kind,
    /// The file type and the permissions.
    pub mode: u32,
    /// The owning user.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// The size in bytes.
    pub size: u64,
    /// mtime in seconds and nanoseconds.
    pub modified: (i64, u32),
    /// ctime in seconds and nanoseconds.
    pub changed: (i64, u32),
}

/// A file type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket or a device.
    Other,
}

impl From<Statx> for Stat {
    fn from(stat: Statx) -> Stat {
        Stat {
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            kind: kind(FileType::from_raw_mode(u32::from(stat.stx_mode))),
            mode: u32::from(stat.stx_mode),
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        }
    }
}

impl Stat {
    /// Whether device and inode are equal.
    pub fn is_same_file(&self, other: &Stat) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

fn kind(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}

/// Opens a directory with O_PATH, which needs no read permission. Follows links.
pub fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The attributes of the directory at `path`. Follows links. [`Errno::AGAIN`] if the path cannot be resolved from memory.
///
/// statx(2) has no flag to resolve a path from memory only, so this opens the path with openat2(2).
pub fn stat_directory_nowait(path: &Path) -> Result<Stat, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    stat(open_cached(CWD, path, flags, ResolveFlags::empty())?, Wait::Never)
}

/// The attributes of an entry of a directory. Does not follow a link. With [`Wait::Never`] it uses cached attributes of a
/// network file system or FUSE, but may still wait for a disk if the entry is not in memory.
pub fn stat_entry(directory: impl AsFd, name: &[u8], wait: Wait) -> Result<Stat, Errno> {
    statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, wait)
}

/// The attributes of an open file. With [`Wait::Never`] it uses cached attributes of a network file system or FUSE.
pub fn stat(file: impl AsFd, wait: Wait) -> Result<Stat, Errno> {
    statx(file, c"", AtFlags::EMPTY_PATH, wait)
}

fn statx(directory: impl AsFd, path: impl rustix::path::Arg, flags: AtFlags, wait: Wait) -> Result<Stat, Errno> {
    let sync = match wait {
        Wait::Allowed => AtFlags::STATX_SYNC_AS_STAT,
        Wait::Never => AtFlags::STATX_DONT_SYNC,
    };
    rustix::fs::statx(directory, path, flags | sync, StatxFlags::BASIC_STATS).map(Stat::from)
}

/// What [`open_beneath`] opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// An O_PATH descriptor, which needs no permission on the file and does not open a device.
    PathOnly,
    /// The file, for reading.
    Read,
}

/// What [`open_beneath`] may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolveScope {
    /// Symbolic links. If false, they fail with [`Errno::LOOP`].
    pub links: bool,
    /// Mount points. If false, they fail with [`Errno::XDEV`].
    pub mounts: bool,
}

/// Opens `name` in `directory` (openat2(2)). Paths outside the directory fail with [`Errno::XDEV`], also through links:
/// `RESOLVE_BENEATH`, and no magic links. Does not wait for a FIFO or a device.
pub fn open_beneath(
    directory: impl AsFd,
    name: &[u8],
    access: Access,
    scope: ResolveScope,
    wait: Wait,
) -> Result<OwnedFd, Errno> {
    let flags = match access {
        Access::PathOnly => OFlags::PATH | OFlags::CLOEXEC,
        Access::Read => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
    };
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if !scope.links {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    if !scope.mounts {
        resolve |= ResolveFlags::NO_XDEV;
    }
    if wait == Wait::Never {
        return open_cached(directory, name, flags, resolve);
    }
    // EAGAIN without RESOLVE_CACHED: because of a concurrent rename the kernel could not check a ".." in a link.
    let directory = directory.as_fd();
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if tries < 100 => tries += 1,
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Opens a path that the kernel can resolve from memory. [`Errno::AGAIN`] if it cannot.
fn open_cached(
    directory: impl AsFd,
    path: impl rustix::path::Arg,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let opened = rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve | ResolveFlags::CACHED);
    // Linux before 5.12 has no RESOLVE_CACHED.
    opened.map_err(|errno| if errno == Errno::INVAL { Errno::AGAIN } else { errno })
}

/// The storage of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Memory. No call waits.
    Memory,
    /// A local disk. The name and the attributes of an open file are in memory.
    Disk,
    /// A network, a process (FUSE) or an unknown file system. Any call can wait.
    Remote,
}

/// The storage of an open file, by the magic number of its file system (statfs(2)).
pub fn storage(file: impl AsFd) -> Storage {
    const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6]; // tmpfs, ramfs
    const DISK: [u64; 13] = [
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683e, // btrfs
        0xf2f5_2010, // f2fs
        0xca45_1a4e, // bcachefs
        0x2fc1_2fc1, // zfs
        0x7371_7368, // squashfs
        0xe0f5_e1e2, // erofs
        0x9660,      // iso9660
        0x4d44,      // vfat
        0x2011_bab0, // exfat
        0x3153_464a, // jfs
        0x794c_7630, // overlayfs
    ];
    match rustix::fs::fstatfs(file).map(|found| found.f_type as u64 & 0xffff_ffff) {
        Ok(magic) if MEMORY.contains(&magic) => Storage::Memory,
        Ok(magic) if DISK.contains(&magic) => Storage::Disk,
        _ => Storage::Remote,
    }
}

/// Reads at `offset` (preadv2(2)). Returns fewer bytes only at the end of the file or, with [`Wait::Never`], if the rest
/// is not in memory. [`Errno::AGAIN`]: nothing is in memory. [`Errno::OPNOTSUPP`]: the file system does not support
/// RWF_NOWAIT (tmpfs, overlayfs, FUSE).
pub fn read_at(file: impl AsFd, buffer: &mut [u8], offset: u64, wait: Wait) -> Result<usize, Errno> {
    let flags = match wait {
        Wait::Allowed => ReadWriteFlags::empty(),
        Wait::Never => ReadWriteFlags::NOWAIT,
    };
    rustix::io::retry_on_intr(|| rustix::io::preadv2(&file, &mut [IoSliceMut::new(buffer)], offset, flags))
}

/// Opens a file of any type for reading. Does not wait for a FIFO or a device, and does not acquire a controlling terminal.
pub fn open_to_read(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Opens a directory to read its entries.
pub fn open_entries(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Calls `each` with the name of every entry and, if the file system provides it, its type.
pub fn read_entries(directory: impl AsFd, mut each: impl FnMut(&[u8], Option<Kind>)) -> Result<(), Errno> {
    let mut buffer = vec![MaybeUninit::uninit(); 64 * 1024];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let known = match entry.file_type() {
            FileType::Unknown => None,
            known => Some(kind(known)),
        };
        each(entry.file_name().to_bytes(), known);
    }
    Ok(())
}
