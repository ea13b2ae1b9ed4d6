"""A file system of files of 1 GiB, whose names begin with `slow` and of which every read takes 50 ms."""
import errno
import stat
import time

import fuse

fuse.fuse_python_api = (0, 2)


class Slow(fuse.Fuse):
    def getattr(self, path):
        if path != "/" and not path.startswith("/slow"):
            return -errno.ENOENT
        found = fuse.Stat()
        found.st_mode, found.st_nlink, found.st_size = stat.S_IFDIR | 0o755, 2, 0
        if path != "/":
            found.st_mode, found.st_nlink, found.st_size = stat.S_IFREG | 0o644, 1, 1 << 30
        found.st_ino = found.st_dev = found.st_uid = found.st_gid = 0
        found.st_atime = found.st_mtime = found.st_ctime = 1
        return found

    def readdir(self, path, offset):
        yield from map(fuse.Direntry, (".", ".."))

    def open(self, path, flags):
        return 0

    def read(self, path, size, offset):
        time.sleep(0.05)
        return bytes(max(0, min(size, (1 << 30) - offset)))


slow = Slow()
slow.parse(errex=1)
slow.main()
