"""The machine that is measured on: cores, open files, namespaces; and what is built for it."""
import contextlib
import ctypes
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
from signal import SIGINT, SIGKILL, SIGTERM

TOP = pathlib.Path(__file__).resolve().parents[3]
BEGAN = time.monotonic()
PR_SET_PDEATHSIG = 1


def note(text):
    """For the person who waits, apart from the table."""
    print(f"{time.monotonic() - BEGAN:4.0f} s: {text}", file=sys.stderr, flush=True)


def build(options):
    """Builds what is not given. hftpd is built apart from the load generator, without what only tests need."""
    for name, what in [("hftpd", ["--bin", "hftpd"]), ("load", ["--example", "load"])]:
        given = getattr(options, name)
        if given and not given.exists():
            sys.exit(f"{given}: no such file")
        if not given:
            note(f"building {what[1]}")
        setattr(options, name, given.resolve() if given else cargo(*what))


def cargo(*what):
    command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--quiet", "--message-format=json", *what]
    out = subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout
    return pathlib.Path([j["executable"] for j in map(json.loads, out.splitlines()) if j.get("executable")][-1])


def command_line(options):
    """The options for the same run in other namespaces, of the program that was built here."""
    words = [*options.suites, "--rounds", options.rounds, "--seconds", options.seconds, "--hftpd",
             options.hftpd, "--load", options.load]
    words += [f"--{name}" for name in ("small", "growth") if getattr(options, name)]
    for name in ("dir", "json"):
        if getattr(options, name):
            words += [f"--{name}", getattr(options, name)]
    return list(map(str, words))


def two_cores():
    """A core for the server and one for the client, not two threads of one core; None where there is one only."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{cores[0]}/topology/core_cpus_list").read_text()
    except OSError:
        siblings = ""
    whole = {n for part in siblings.split(",") if part.strip() for a, _, b in [part.strip().partition("-")]
             for n in range(int(a), int(b or a) + 1)}
    others = [core for core in cores[1:] if core not in whole] or cores[1:]
    return (cores[0], others[0]) if others else None


def allow_files(wanted):
    """Raises the limit of open files, for this process and its children, as far as is permitted. Returns the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(wanted, hard), hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit


def end_by_exception():
    """Has SIGINT and SIGTERM end this process by an exception, so that it stops what it has started; only the first of
    them, so that nothing disturbs that."""
    def ended(number, _):
        for each in (SIGINT, SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        sys.exit(f"ended by {signal.Signals(number).name}")

    for each in (SIGINT, SIGTERM):
        signal.signal(each, ended)


@contextlib.contextmanager
def uninterrupted():
    """Postpones SIGINT and SIGTERM."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [SIGINT, SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def child_begins(number=SIGKILL):
    """What a child does before it executes its program. It gets the signal when this process ends; an interruption from
    the terminal reaches this process alone."""
    parent = os.getpid()

    def begin():
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
        for each in (SIGINT, SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if os.getppid() != parent:
            os._exit(1)
    return begin


def shell(*lines):
    for line in lines:
        subprocess.run(line.split(), check=True)


def virtual_interfaces():
    """Joins this network namespace with one for the client. Returns the server's address and the words that run a
    command on the client's side."""
    shell("ip link set lo up",
          # Names of namespaces are mounts. These are seen here alone.
          "mount -t tmpfs none /run", "mkdir -p /run/netns", "ip netns add client",
          "ip link add bench0 mtu 1500 type veth peer name bench1 mtu 1500 netns client",
          "ip addr add 10.77.0.1/30 dev bench0", "ip link set bench0 up",
          "ip -n client link set lo up", "ip -n client addr add 10.77.0.2/30 dev bench1",
          "ip -n client link set bench1 up")
    return "10.77.0.1", ["ip", "netns", "exec", "client"]


def overlay(files, directory):
    """Mounts `files` below a new layer of overlayfs. Returns where."""
    merged, upper = directory / "merged", directory / "upper"
    for path in (merged, upper):
        path.mkdir()
    shell("ip link set lo up", f"mount -t tmpfs none {upper}", f"mkdir {upper}/files {upper}/work",
          f"mount -t overlay overlay -o lowerdir={files},upperdir={upper}/files,workdir={upper}/work {merged}")
    merged.chmod(0o755)
    return merged
