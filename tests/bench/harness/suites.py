"""What is measured. tests/bench/README.md describes each suite."""
import contextlib
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import time

from . import machine
from .report import Row, print_rows, summary
from .servers import COLD, F4K

ALL = ["bulk", "small", "many", "metadata", "connect", "beside", "slow", "workers", "cold", "stall", "listing", "idle"]
# The suites in which the path makes a difference.
ON_PATH = {"veth": ["bulk", "small", "many", "metadata", "beside"], "overlay": ["bulk", "small", "many", "metadata",
                                                                                "beside", "cold"]}
FORMS = ("raw", "fragments", "base64")


def plural(count):
    return f"{count} connection{'s' * (count > 1)}"


class Suites:
    """Each method is a suite: for each work its turns, in which the servers alternate, and the rows of them."""

    def __init__(self, bench):
        self.bench = bench
        self.nginx, self.hftpd = bench.nginx and bench.start_nginx(), bench.start_hftpd()
        self.in_gb = dict(scale=bench.large / 1e9, cpu="s/GB", cpu_scale=1e-6 / (bench.large / 1e9))
        self.size = f"{bench.large >> 20:,} MiB" if bench.options.small else "1 GiB"
        self.large = dict(name="large", size=bench.large)

    def turns(self, how, theirs, ours, **more):
        measure = self.bench.measure
        return {"nginx": self.nginx and functools.partial(measure, how, self.nginx, theirs, **more),
                **{form: functools.partial(measure, how, self.hftpd, form, **more) for form in ours}}

    def warmed(self, names, turns):
        """The same turns, each with these files in the page cache."""
        def warmed(turn):
            self.bench.warm(*names)
            return turn()
        return {name: turn and functools.partial(warmed, turn) for name, turn in turns.items()}

    def verify(self):
        """The bytes are right in every form."""
        for server, form in [(self.nginx, "http"), *((self.hftpd, form) for form in FORMS)]:
            if server:
                got = self.bench.finish(self.bench.begin("hash", server, form, **self.large))
                if got["sha256"] != self.bench.hash:
                    sys.exit(f"the bytes of {form} are wrong")

    def bulk(self):
        for count in (1, 8):
            yield (self.warmed(["large"], self.turns("loop", "http", FORMS, **self.large, connections=count)),
                   [Row(f"{self.size}, {form}, {plural(count)}", "GB/s", "nginx", form, **self.in_gb) for form in FORMS])

    def small(self):
        for label, more in [("4 KiB, 64 connections", dict(connections=64)),
                            ("4 KiB, 16 connections, 16 requests in flight", dict(connections=16, depth=16))]:
            yield self.to_both(label, "http", "raw", **F4K, **more)

    def metadata(self):
        yield self.to_both("metadata, 64 connections", "head", "metadata", **F4K, connections=64)

    def to_both(self, label, theirs, ours, **more):
        both = self.turns("loop", theirs, [ours], **more)
        both["cached"] = self.nginx and functools.partial(self.bench.measure, "loop", self.nginx, theirs, port="cached",
                                                          **more)
        return both, [Row(label, "/s", "nginx", ours), Row(f"{label}, to cached", "/s", "cached", ours)]

    def many(self):
        files = dict(name="m", files=self.bench.many, size=4096)
        names = [f"m{number}" for number in range(self.bench.many)]
        self.bench.make_many()
        for label, more in [("64 connections", dict(connections=64)),
                            ("16 connections, 16 requests in flight", dict(connections=16, depth=16))]:
            yield (self.warmed(names, self.turns("loop", "http", ["raw"], **files, **more)),
                   [Row(f"4 KiB of {self.bench.many:,} files, {label}", "/s", "nginx", "raw")])

    def connect(self):
        yield (self.turns("connect", "http", ["raw"], name="f1k", size=1024, connections=8),
               [Row("connect, 1 KiB, close", "/s", "nginx", "raw")])

    def beside(self):
        """The readers are behind the small requests on the client's core."""
        def turn(server, form):
            seconds = self.bench.options.seconds
            readers = self.bench.begin("loop", server, form, nice=10, **self.large, connections=4,
                                       seconds=seconds + 0.5)
            small = self.bench.measure("paced", server, form, **F4K, connections=8)
            readers = self.bench.finish(readers)
            return {"p99": small["p99"], "rate": readers["units"] / readers["seconds"]}

        yield ({"nginx": self.nginx and (lambda: turn(self.nginx, "http")), "raw": lambda: turn(self.hftpd, "raw")},
               [Row(f"4 KiB beside 4 readers of {self.size}: p99", "µs", "nginx", "raw", "p99", cpu=""),
                Row("the rate of the 4 readers", "GB/s", "nginx", "raw", scale=self.bench.large / 1e9, cpu="")])

    def slow(self):
        """Clients that take nothing of a large answer, or 10 KB a second of it."""
        count = self.bench.clients(500)

        def turn(server, form, rate):
            readers = self.bench.begin("slow", server, form, **self.large, connections=count, rate=rate)
            if readers.stdout.readline() != "ready\n":
                self.bench.finish(readers)
            small = self.bench.measure("loop", server, form, **F4K, connections=8)
            self.bench.finish(readers, "\n")
            return small

        for rate, label in [(0, "that read nothing"), (10_000, "that read 10 KB/s")]:
            yield ({"nginx": self.nginx and functools.partial(turn, self.nginx, "http", rate),
                    "raw": functools.partial(turn, self.hftpd, "raw", rate)},
                   [Row(f"4 KiB, 8 connections, beside {count} {label}", "/s", "nginx", "raw")])

        def fresh(start, form):
            server = start()
            try:
                after, before, _ = self.bench.waiting(server, form, count, "slow", **self.large, rate=0)
                return {"rate": max(after - before, 0) / count}
            finally:
                server.stop()

        yield ({"nginx": self.nginx and functools.partial(fresh, self.bench.start_nginx, "http"),
                **{form: functools.partial(fresh, self.bench.start_hftpd, form) for form in FORMS}},
               [Row(f"memory of a client that reads nothing, {form}", "bytes", "nginx", form, cpu="") for form in FORMS])

    def workers(self):
        """All on one core, so that only what the workers cost each other is seen."""
        counts = (1, 8, 16, 64)
        started = {str(count): self.bench.start_hftpd(workers=count) for count in counts}
        yield ({name: functools.partial(self.bench.measure, "connect", server, "raw", name="f1k", size=1024,
                                        connections=8) for name, server in started.items()},
               [Row(f"connect, 1 KiB, close: {count} workers, to 1", "/s", "1", str(count)) for count in counts[1:]])
        for server in started.values():
            server.stop()
        clients = self.bench.clients(1000)

        def fresh(count):
            server = self.bench.start_hftpd(workers=count)
            try:
                after, _, cpu = self.bench.waiting(server, "raw", clients)
                return {"rate": after / clients, "cpu": cpu}
            finally:
                server.stop()

        # CPU time is that of a connection that asks, waits, and asks once more.
        yield ({str(count): functools.partial(fresh, count) for count in counts},
               [Row(f"memory of {clients:,} idle connections: {count} workers, to 1", "bytes each", "1", str(count))
                for count in counts[1:]])

    def cold(self):
        """Files that are not in memory, each read once."""
        size = self.bench.large
        most = min(COLD, shutil.disk_usage(self.bench.dir).free // size - 1)
        if most < 1:
            machine.note(f"NOT MEASURED: cold: {self.bench.dir} has no room for a file of {size:,} bytes")
            return
        if most < COLD:
            machine.note(f"{self.bench.dir} has room for {most} files of {size:,} bytes only: cold reads these")
        for number in range(most):
            shutil.copyfile(self.bench.www / "large", self.bench.www / f"cold{number}")
            with open(self.bench.www / f"cold{number}", "rb") as file:
                os.fsync(file.fileno())

        def turn(server, form, count):
            for number in range(count):
                with open(self.bench.www / f"cold{number}", "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return self.bench.measure("once", server, form, name="cold", files=count, size=size, connections=count)

        for count in sorted({1, most}):
            yield ({"nginx": self.nginx and functools.partial(turn, self.nginx, "http", count),
                    "raw": functools.partial(turn, self.hftpd, "raw", count)},
                   [Row(f"{self.size} from the disk, {plural(count)}", "GB/s", "nginx", "raw", **self.in_gb)])

    def stall(self):
        """Beside clients that read a file whose every read takes 50 ms."""
        lacks = None if os.geteuid() == 0 else "it needs root"
        # Debian's package is for Debian's Python, which need not be the first.
        pythons = [python for python in (sys.executable, "/usr/bin/python3")
                   if subprocess.run([python, "-c", "import fuse"], stderr=subprocess.DEVNULL).returncode == 0]
        if not pythons or not shutil.which("fusermount3"):
            lacks = "it needs fuse3 and python3-fuse"
        if lacks:
            machine.note(f"NOT MEASURED: stall: {lacks}")
            return
        mount = self.bench.www / "slowfs"
        mount.mkdir()
        disk = self.bench.spawn([pythons[0], pathlib.Path(__file__).with_name("slowfs.py"), mount, "-f", "-o",
                                 "allow_other"], -1, stdin=subprocess.DEVNULL)
        while not (mount / "slow0").exists():
            if disk.poll() is not None:
                sys.exit(f"slowfs.py has ended with code {disk.returncode}")
            time.sleep(0.02)
        numbers = iter(range(1000))

        def turn(stalled):
            if not stalled:
                return self.bench.measure("paced", self.hftpd, "raw", **F4K, connections=8)
            # Always another file: the kernel keeps what it has read.
            name = f"slow{next(numbers)}"
            (self.bench.www / name).symlink_to(f"slowfs/{name}")
            clients = self.bench.begin("slow", self.hftpd, "raw", name=name, size=1 << 30, connections=16, rate=1e6)
            clients.stdout.readline()
            small = self.bench.measure("paced", self.hftpd, "raw", **F4K, connections=8)
            self.bench.finish(clients, "\n")
            return small

        # hftpd alone: one worker of nginx gives no answer at all meanwhile.
        yield ({"alone": lambda: turn(False), "raw": lambda: turn(True)},
               [Row("p99 of 4 KiB beside 16 readers of a slow disk, to alone", "µs", "alone", "raw", "p99", cpu="")])

    def listing(self):
        names, count = self.bench.www / "names", 1000 if self.bench.options.small else 100_000
        size = self.bench.make_names(names, count)
        server = self.bench.start_hftpd(names)
        self.bench.settle(names)
        yield ({"nginx": self.nginx and functools.partial(self.bench.measure, "loop", self.nginx, "index", name="names/"),
                "listing": lambda: self.bench.measure("loop", server, "listing", size=size)},
               [Row(f"listing of {count:,} names", "/s", "nginx", "listing")])

    def idle(self):
        count = self.bench.clients(500 if self.bench.options.small else 10_000)

        def fresh(start, form):
            # A server keeps memory that it once had: it is started anew for every measurement.
            server = start()
            try:
                return {"rate": self.bench.waiting(server, form, count)[0] / count}
            finally:
                server.stop()

        yield ({"nginx": self.nginx and functools.partial(fresh, self.bench.start_nginx, "http"),
                "raw": functools.partial(fresh, self.bench.start_hftpd, "raw")},
               [Row(f"memory of {count:,} idle connections", "bytes each", "nginx", "raw", cpu="")])


def run(bench, wanted):
    """Measures the suites, and prints the table."""
    suites, rows = Suites(bench), []
    suites.verify()
    sensible = ON_PATH.get(bench.path, ALL)
    for name in wanted or sensible:
        if name not in sensible:
            machine.note(f"NOT MEASURED: {name}: the path {bench.path} makes no difference to it")
            continue
        with contextlib.closing(getattr(suites, name)()) as works:
            for turns, of in works:
                machine.note(f"{of[0].label}")
                got = {turn: [] for turn in turns if turns[turn]}
                for turn in range(bench.options.rounds):
                    # Each server is first in every other round.
                    for name in list(got)[::-1 if turn % 2 else 1]:
                        got[name].append(turns[name]())
                rows += [summary(row, got) for row in of if row.peer in got or row.peer == "nginx"]
    print_rows(bench.path, rows)
    return rows
