"""A file system that hangs on request: slowfs.py MOUNTPOINT CONTROL

The files fast, slow, slow... and eio have 4 MiB each. The link leads to the directory target next to CONTROL. While
CONTROL contains a file of this name,
    everything  every operation hangs
    lookups     look-ups of names that begin with slow hang
    reads       reads of these files hang
Reads of eio fail from 1 MiB on.
"""

import errno
import os
import stat
import sys
import time

import fuse

fuse.fuse_python_api = (0, 2)

SIZE = 4 << 20
CONTROL = os.path.abspath(sys.argv[2])


def wait_while(*flags):
    while any(os.path.exists(os.path.join(CONTROL, flag)) for flag in flags):
        time.sleep(0.02)


class SlowFs(fuse.Fuse):
    def getattr(self, path):
        if path.startswith("/slow"):
            wait_while("lookups", "everything")
        else:
            wait_while("everything")
        if path == "/":
            return status(stat.S_IFDIR | 0o755, 2, 0)
        if path in ("/fast", "/eio") or path.startswith("/slow"):
            return status(stat.S_IFREG | 0o644, 1, SIZE)
        if path == "/link":
            return status(stat.S_IFLNK | 0o777, 1, 0)
        return -errno.ENOENT

    def readlink(self, path):
        wait_while("everything")
        return os.path.join(os.path.dirname(CONTROL), "target")

    def readdir(self, path, offset):
        wait_while("everything")
        for name in (".", "..", "eio", "fast", "slow"):
            yield fuse.Direntry(name)

    def open(self, path, flags):
        wait_while("everything")
        return 0

    def read(self, path, size, offset):
        if path.startswith("/slow"):
            wait_while("reads", "everything")
        else:
            wait_while("everything")
        if path == "/eio" and offset >= 1 << 20:
            return -errno.EIO
        return b"z" * max(0, min(size, SIZE - offset))


def status(mode, links, size):
    return fuse.Stat(
        st_mode=mode, st_ino=0, st_dev=0, st_nlink=links, st_uid=0, st_gid=0, st_size=size,
        st_atime=0, st_mtime=0, st_ctime=0,
    )


server = SlowFs(dash_s_do="setsingle")
server.parse(["-f", "-o", "allow_other,attr_timeout=0,entry_timeout=0,negative_timeout=0", sys.argv[1]], errex=1)
server.multithreaded = True
server.main()
