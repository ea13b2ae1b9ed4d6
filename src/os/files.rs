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
    /// It may: for a thread that has nothing else to do.
    Allowed,
    /// It fails with [`Errno::AGAIN`] instead: for an event loop.
    Never,
}

/// Which file this is, for as long as somebody holds it open, and how it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The device of its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Permissions and owner, which decide who may open it.
    pub mode: u32,
    /// The owning user.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of the contents, in seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Last change of anything, in seconds and nanoseconds.
    pub changed: (i64, u32),
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else: a FIFO, a socket, a device.
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
    /// Whether both are the same file.
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

/// Opens a directory as a place to start from, links in its path followed; it need not be readable.
pub fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Looks at the directory that a path leads to, links followed. [`Errno::AGAIN`] where a part of the path would have to
/// be asked for from a disk, a network or a process.
///
/// statx(2) cannot be told not to wait for a path, so the path is opened, and closed again.
pub fn stat_directory_now(path: &Path) -> Result<Stat, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    stat(open_cached(CWD, path, flags, ResolveFlags::empty())?, Wait::Never)
}

/// Looks at an entry of a directory; a link is not followed. May wait for a disk if the entry is not in memory, also with
/// [`Wait::Never`], which says no more than that a network file system or FUSE is not asked for its attributes anew.
pub fn stat_entry(directory: impl AsFd, name: &[u8], wait: Wait) -> Result<Stat, Errno> {
    statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, wait)
}

/// Looks at what is open. With [`Wait::Never`] a network file system or FUSE is not asked anew.
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
    /// The place of the file alone, to look at: needs no permission on the file and touches no device.
    Look,
    /// The file, to read.
    Read,
}

/// How far a name may lead [`open_beneath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Through symbolic links; else they fail with [`Errno::LOOP`].
    pub links: bool,
    /// Into other mounts; else they fail with [`Errno::XDEV`], as everything does that lies outside the directory.
    pub mounts: bool,
}

/// Opens `name` in `directory`, and nothing that lies outside it, whatever links there are (openat2(2)).
///
/// The kernel keeps the path inside (`RESOLVE_BENEATH`, no magic links). A FIFO or a device does not make it wait.
/// What leaves the directory fails with [`Errno::XDEV`].
pub fn open_beneath(
    directory: impl AsFd,
    name: &[u8],
    access: Access,
    reach: Reach,
    wait: Wait,
) -> Result<OwnedFd, Errno> {
    let flags = match access {
        Access::Look => OFlags::PATH | OFlags::CLOEXEC,
        Access::Read => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
    };
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if !reach.links {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    if !reach.mounts {
        resolve |= ResolveFlags::NO_XDEV;
    }
    if wait == Wait::Never {
        return open_cached(directory, name, flags, resolve);
    }
    // EAGAIN without RESOLVE_CACHED: a rename elsewhere made it impossible to tell that ".." in a link stays inside.
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

/// Opens what can be found from memory alone; [`Errno::AGAIN`] where that is not possible.
fn open_cached(
    directory: impl AsFd,
    path: impl rustix::path::Arg,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let opened = rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve | ResolveFlags::CACHED);
    // Linux before 5.12 cannot tell without waiting, and then nothing is in memory.
    opened.map_err(|errno| if errno == Errno::INVAL { Errno::AGAIN } else { errno })
}

/// Where the bytes of a file system's files come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Memory: nothing waits.
    Memory,
    /// A file system whose names and attributes are in the kernel once a file is open: a local disk.
    Disk,
    /// One that may ask somebody else at any time: a network, a process (FUSE), one that is not known.
    Remote,
}

/// Tells the medium by the magic numbers of statfs(2).
pub fn medium(file: impl AsFd) -> Medium {
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
        Ok(magic) if MEMORY.contains(&magic) => Medium::Memory,
        Ok(magic) if DISK.contains(&magic) => Medium::Disk,
        _ => Medium::Remote,
    }
}

/// Reads at `offset`; fewer bytes only at the end of the file or, with [`Wait::Never`], where the rest is not in
/// memory. [`Errno::AGAIN`]: nothing is in memory. [`Errno::OPNOTSUPP`]: the file system cannot tell (tmpfs, overlayfs,
/// FUSE).
pub fn read_at(file: impl AsFd, buffer: &mut [u8], offset: u64, wait: Wait) -> Result<usize, Errno> {
    let flags = match wait {
        Wait::Allowed => ReadWriteFlags::empty(),
        Wait::Never => ReadWriteFlags::NOWAIT,
    };
    rustix::io::retry_on_intr(|| rustix::io::preadv2(&file, &mut [IoSliceMut::new(buffer)], offset, flags))
}

/// Opens a file to read, whatever it is: a FIFO or a device does not make it wait, and no terminal becomes ours.
pub fn open_to_read(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Opens a directory to read its entries.
pub fn open_entries(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Calls `each` with the name of every entry and, where the directory says so, what it is.
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
