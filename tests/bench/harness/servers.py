"""The servers that are compared, and the load that is put on them."""
import contextlib
import grp
import hashlib
import json
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from . import machine

MANY = 20_000
# The bytes of a small file, and how many files the cold suite reads.
F4K = dict(name="f4k", size=4096)
COLD = 8


class Server:
    """A process that was started here, and its ports."""

    def __init__(self, bench, name, command, ports, workers=0):
        """`workers` is the number of its child processes."""
        self.bench, self.ports, self.log = bench, ports, bench.dir / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = bench.spawn(command, 0, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        pid = self.process.pid
        self.pids, end = [pid], time.monotonic() + 10
        # nginx listens before it has its worker process, whose time and memory are measured.
        while not (all(map(self.listens, ports.values())) and len(self.pids) > workers):
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{name} did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
            self.pids = [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def listens(self, port):
        with contextlib.suppress(OSError):
            socket.create_connection((self.bench.host, port), 1).close()
            return True
        return False

    def pss(self):
        """Bytes of memory; shared ones are divided among the processes that share them."""
        rollups = [pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids]
        return sum(int(line.split()[1]) for text in rollups for line in text.splitlines()
                   if line.startswith("Pss:")) * 1024

    def stop(self):
        self.bench.stop(self.process)


class Bench:
    """The files, servers and clients of one path. Everything ends with it."""

    def __init__(self, options, path):
        self.options, self.path = options, path
        self.cores, self.processes = machine.two_cores(), []
        self.files = machine.allow_files(32_768)
        self.large = 1 << 24 if options.small else 1 << 30
        self.many = 200 if options.small else MANY
        self.nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        self.hftpd, self.load = options.hftpd, options.load

    def __enter__(self):
        if not self.nginx:
            machine.note("nginx is not installed: hftpd is measured alone")
        self.temporary = tempfile.TemporaryDirectory(prefix="hftpd-bench-", dir=self.options.dir)
        self.dir = pathlib.Path(self.temporary.name)
        # A server that was started as root continues as a user who has to get there.
        self.dir.chmod(0o755)
        try:
            self.www = self.dir / "www"
            machine.note(f"making files in {self.dir}")
            self.hash = self.make_files()
            self.host, self.client, self.root = "127.0.0.1", [], self.www
            if self.path == "veth":
                self.host, self.client = machine.virtual_interfaces()
            elif self.path == "overlay":
                self.root = machine.overlay(self.www, self.dir)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with machine.uninterrupted():
            for process in reversed(self.processes):
                self.stop(process)
            for mount in self.mounts():
                subprocess.run(["umount", "--lazy", mount], check=False)
            self.temporary.cleanup()

    def mounts(self):
        """What is mounted below the temporary directory, the last mount first."""
        points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        return [point for point in points if point.startswith(f"{self.dir}/")][::-1]

    def spawn(self, command, core, nice=0, **streams):
        """Starts a process that ends with this one, on the server's core (0) or the client's (-1)."""
        begins = machine.child_begins()

        def begin():
            begins()
            if self.cores:
                os.sched_setaffinity(0, {self.cores[core]})
            os.nice(nice)

        with machine.uninterrupted():
            process = subprocess.Popen(command, preexec_fn=begin, **streams)
            self.processes.append(process)
        return process

    def stop(self, process):
        """By SIGTERM, so that nginx ends its workers."""
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes = [other for other in self.processes if other is not process]

    def clients(self, count):
        """So many, or what the limit of open files allows."""
        return min(count, self.files - 500)

    def free_port(self):
        with socket.socket() as s:
            s.bind((self.host, 0))
            return s.getsockname()[1]

    def make_files(self):
        """The files that are asked for. Returns the SHA-256 of the large one."""
        self.www.mkdir()
        digest = hashlib.sha256()
        for name, size in [("large", self.large), ("f4k", 4096), ("f1k", 1024)]:
            block = random.Random(name).randbytes(min(size, 1 << 20) - 8)
            with open(self.www / name, "wb") as out:
                for place in range(max(1, size >> 20)):
                    piece = place.to_bytes(8, "big") + block
                    out.write(piece)
                    if name == "large":
                        digest.update(piece)
                # Not to be written while something is measured.
                os.fsync(out)
        return digest.hexdigest()

    def make_many(self):
        """Small files in great number."""
        block = random.Random("many").randbytes(4096)
        for number in range(self.many):
            (self.www / f"m{number}").write_bytes(block)
        os.sync()

    def warm(self, *names):
        """Reads files into the page cache. Some systems soon drop pages that nothing uses."""
        piece = bytearray(1 << 20)
        for name in names:
            with open(self.root / name, "rb", buffering=0) as file:
                while file.readinto(piece):
                    pass

    def make_names(self, directory, count):
        """A directory of so many files. Returns how long its listing is."""
        directory.mkdir()
        for number in range(count):
            (directory / f"name-{number:06}").touch()
        return count * len("name-000000\r\n") + len("\r\n")

    def start_hftpd(self, root=None, workers=1):
        root = root or self.root
        ports = {"fragments": self.free_port(), "base64": self.free_port()}
        listen = "".join(f'[[listen]]\naddress = "{self.host}:{port}"\nencoding = "{encoding}"\n'
                         for encoding, port in ports.items())
        name = f"hftpd-{root.name}-{workers}-{ports['base64']}"
        nobody = pwd.getpwnam("nobody")
        user = f'user = "nobody"\ngroup = "{grp.getgrgid(nobody.pw_gid).gr_name}"' if os.geteuid() == 0 else ""
        (self.dir / f"{name}.toml").write_text(f"""root = "{root}"
{user}
workers = {workers}
control = ""
{listen}
[limits]
connections = {self.clients(10_000)}
[timeouts]
drain = "0s"
[log]
target = "stderr"
level = "warn"
access = false
""")
        ports.update(raw=ports["fragments"], metadata=ports["fragments"], listing=ports["fragments"])
        return Server(self, name, [self.hftpd, "-c", self.dir / f"{name}.toml"], ports)

    def start_nginx(self, root=None):
        plain, cached = self.free_port(), self.free_port()
        temporary = " ".join(f"{what}_temp_path {self.dir}/nginx-{what};"
                             for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        cache = "open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;"
        (self.dir / "nginx.conf").write_text(f"""{"user root;" if os.geteuid() == 0 else ""}
daemon off; worker_processes 1; pid {self.dir}/nginx.pid; error_log stderr warn;
events {{ worker_connections 16000; use epoll; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; etag off; server_tokens off; {temporary}
  keepalive_requests 1000000000; keepalive_timeout 600s; default_type application/octet-stream;
  root {root or self.root};
  server {{ listen {self.host}:{plain} backlog=4096; location /names/ {{ autoindex on; }} }}
  server {{ listen {self.host}:{cached} backlog=4096; {cache} }}
}}
""")
        ports = {"http": plain, "head": plain, "index": plain, "cached": cached}
        return Server(self, "nginx", [self.nginx, "-e", "stderr", "-c", self.dir / "nginx.conf"], ports, workers=1)

    def begin(self, how, server, form, nice=0, port=None, **more):
        words = [*self.client, self.load, how, "--form", form, "--to", f"{self.host}:{server.ports[port or form]}"]
        for key, value in more.items():
            words += [f"--{key}", str(value)]
        for pid in server.pids:
            words += ["--pid", str(pid)]
        return self.spawn(words, -1, nice, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)

    def finish(self, process, line=None):
        out, err = process.communicate(line, timeout=120)
        self.stop(process)
        if process.returncode:
            sys.exit(f"{' '.join(map(str, process.args))}\n{err}")
        return json.loads(out.splitlines()[-1])

    def measure(self, how, server, form, **more):
        """Works for a while. Returns answers a second, and the microseconds of CPU that each cost."""
        if how != "once":
            more = dict(seconds=self.options.seconds, **more)
        got = self.finish(self.begin(how, server, form, **more))
        return {"rate": got["units"] / got["seconds"], "cpu": got["cpu"] / 1000 / max(got["units"], 1e-9),
                "p99": got["p99"]}

    def waiting(self, server, form, count, how="idle", **more):
        """The server's memory with `count` clients that wait, and without them; the microseconds of CPU for each."""
        before = server.pss()
        process = self.begin(how, server, form, connections=count, **(more or F4K))
        if process.stdout.readline() == "ready\n":
            time.sleep(1.5)
        after = server.pss()
        got = self.finish(process, "\n")
        return after, before, got["cpu"] / 1000 / count

    def settle(self, directory):
        """Waits until a change of the directory would leave other time stamps: until then a listing is read anew for
        each request."""
        time.sleep(max(0, directory.stat().st_ctime + 2.5 - time.time()))
