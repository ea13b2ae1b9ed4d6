#!/usr/bin/env python3
"""What a user does with the package, from installation to purge, under a systemd that is PID 1.

    inside.py DIRECTORY        hftpd_1.deb and hftpd_2.deb lie there; the counts are written to DIRECTORY/result

Each check starts from the shipped unit, running, with its own configuration, and prints one line with what was seen.
Nothing is waited for by the clock: a check waits for an event, with a bound.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

import intrude

CONFIG = "/etc/hftp.toml"
DROPINS = "/etc/systemd/system/hftpd.service.d"
EXAMPLES = "/usr/share/doc/hftpd/examples/hftpd.service.d"
ROOT = "/srv/hftp"
PORT = 19500
KNOCKERS = 4
KNOCKS = 500
WATCHDOG = 2


class Failed(Exception):
    """A check did not see what it must see."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


# ---------------------------------------------------------------------------------------------- the system

def run(*command, bad=False, timeout=90, **more):
    """Runs a command; it must succeed, or with `bad` fail."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, check=False, **more)
    expect((done.returncode != 0) == bad, f"`{' '.join(command)}` exited {done.returncode}: {done.stdout.strip()[-600:]}")
    return done.stdout.strip()


def show(name, unit="hftpd.service"):
    return run("systemctl", "show", "-P", name, unit)


def wait(what, condition, seconds=20):
    """Waits until condition() is true and returns what it returned."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return value


def cursor():
    """A place in the journal."""
    run("journalctl", "--sync")
    return re.search(r"-- cursor: (.*)", run("journalctl", "-n1", "--show-cursor", "-q")).group(1)


def entries(since):
    """The unit's entries since then. Not by `-u`: in systemd 252 a cursor together with a match loses the first one."""
    run("journalctl", "--sync")
    found = [json.loads(text) for text in run("journalctl", "-q", "-o", "json", "--after-cursor", since).splitlines()]
    return [entry for entry in found if "hftpd.service" in (entry.get("_SYSTEMD_UNIT"), entry.get("UNIT"))]


def journal(since, transport=None):
    """The text of the unit's lines since then."""
    return "\n".join(str(entry.get("MESSAGE")) for entry in entries(since) if transport in (None, entry["_TRANSPORT"]))


def watchdog_fired(since):
    """When the manager ran out of patience, on the monotonic clock."""
    return next((int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6 for entry in entries(since)
                 if "watchdog timeout" in str(entry.get("MESSAGE")).lower()), None)


def status_field(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(rf"^{name}:[ \t]*(.*?)[ \t]*$", file.read(), re.M).group(1)


def write_config(root=ROOT, port=PORT, extra=""):
    text = f'root = "{root}"\n' + (f"port = {port}\n" if port else "") + extra
    with open(CONFIG, "w", encoding="ascii") as file:
        file.write(text)


def edit_config(**settings):
    """Sets keys of the shipped file, commented or not, as a user does with an editor."""
    with open(CONFIG, encoding="utf-8") as file:
        text = file.read()
    for key, value in settings.items():
        text, count = re.subn(rf"^#? ?{key} = [^#\n]*", f"{key} = {value} ", text, count=1, flags=re.M)
        expect(count == 1, f"the shipped configuration has no line for {key}")
    with open(CONFIG, "w", encoding="utf-8") as file:
        file.write(text)


def drop_in(name, text=None):
    """Installs a drop-in: one of the examples, or the text given."""
    os.makedirs(DROPINS, exist_ok=True)
    if text is None:
        with open(f"{EXAMPLES}/{name}", encoding="utf-8") as file:
            text = file.read()
    with open(f"{DROPINS}/{name}", "w", encoding="utf-8") as file:
        file.write(text)
    run("systemctl", "daemon-reload")


def remove_drop_ins():
    if os.path.isdir(DROPINS):
        for name in os.listdir(DROPINS):
            os.unlink(f"{DROPINS}/{name}")
        os.rmdir(DROPINS)
        run("systemctl", "daemon-reload")


def baseline():
    """The shipped unit with its configuration, freshly started."""
    remove_drop_ins()
    write_config()
    subprocess.run(["systemctl", "reset-failed", "hftpd.service", "hftpd.socket"], stderr=subprocess.DEVNULL, check=False)
    run("systemctl", "stop", "hftpd.socket", "hftpd.service")
    run("systemctl", "start", "hftpd.service")


def install(package):
    # What apt does when nobody is there to answer: keep what the administrator changed.
    return run("dpkg", "-i", "--force-confdef", "--force-confold", package,
               env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))


def snapshot():
    """Every path where a package may put things, every user and group; what keeps books of its own left out."""
    skip = {"/var/log", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/tmp", "/var/lib/systemd/catalog", "/etc/.pwd.lock",
            "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/usr/local", "/usr/src"}
    seen = {f"/{name}" for name in os.listdir("/")}
    for start in ("/etc", "/usr", "/var", "/srv", "/opt", "/home"):
        for top, folders, files in os.walk(start):
            folders[:] = [name for name in folders if f"{top}/{name}" not in skip and name != "__pycache__"]
            seen.update(f"{top}/{name}" for name in folders + files)
    for book in ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"):
        with open(book, encoding="utf-8") as file:
            seen.update(f"{book}:{line.split(':')[0]}" for line in file)
    return seen - skip


# ---------------------------------------------------------------------------------------------- the clients

def connect(port=PORT, host="127.0.0.1", timeout=20, buffer=None):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(timeout)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect((host, port))
    return client


def ask(request, lines, port=PORT, host="127.0.0.1"):
    """One request on a connection of its own; that many lines of the answer."""
    with connect(port, host) as client:
        client.sendall(request.encode() + b"\r\n")
        answer = b""
        while answer.count(b"\r\n") < lines:
            data = client.recv(65536)
            if not data:
                break
            answer += data
    return answer.decode()


def listed(port=PORT, host="127.0.0.1"):
    with connect(port, host) as client:
        client.sendall(b"get_file_listing\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            data = client.recv(65536)
            expect(data, f"the listing ends early: {answer!r}")
            answer += data
    expect(answer.startswith(b"0 OK\r\n"), f"the listing says {answer[:40]!r}")
    return answer.decode().split("\r\n")[1:-2]


def refuses(port):
    """Whether nobody listens there. (A connection that nobody accepts may also time out.)"""
    try:
        connect(port, timeout=1).close()
    except ConnectionRefusedError:
        return True
    except (TimeoutError, ConnectionResetError):
        pass
    return False


class Transfer(threading.Thread):
    """Fetches a file whole; stops after its first bytes until release() is called."""

    def __init__(self, name, size, digest, port=PORT):
        super().__init__(daemon=True)
        self.name_, self.size, self.digest, self.port = name, size, digest, port
        self.started, self.go = threading.Event(), threading.Event()
        self.outcome = None
        self.start()
        expect(self.started.wait(20), "the transfer does not begin")

    def run(self):
        try:
            self.outcome = self.fetch()
        except OSError as error:
            self.outcome = f"{type(error).__name__} {error}"
        self.started.set()

    def fetch(self):
        with connect(self.port, timeout=60, buffer=65536) as client:
            client.sendall(f"get_slice {self.name_} 0 {self.size} raw\r\n".encode())
            head = f"0 OK\r\nContent-Length: {self.size}\r\n\r\n".encode()
            data = b""
            while len(data) < len(head):
                more = client.recv(len(head) - len(data))
                if not more:
                    return f"closed in the head: {data!r}"
                data += more
            if data != head:
                return f"head {data!r}"
            digest, left = hashlib.sha256(), self.size
            while left:
                more = client.recv(min(left, 65536))
                if not more:
                    return f"cut with {left} bytes left"
                digest.update(more)
                left -= len(more)
                self.started.set()
                self.go.wait(120)
            return "complete" if digest.hexdigest() == self.digest else "wrong bytes"

    def release(self):
        self.go.set()
        self.join(60)
        return self.outcome


class Knocking:
    """Clients that connect without pause, each with one request to a connection; sorts what becomes of them."""

    def __init__(self, port=PORT):
        self.port = port
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.count = {"ok": 0, "refused": 0, "reset": 0, "wrong": 0, "timeout": 0}
        self.failures = []      # (kind, when connect() returned or None, when it failed, text)
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self.knock, daemon=True) for _ in range(KNOCKERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.more(KNOCKS // 2)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def knock(self):
        while not self.stop.is_set():
            begun, connected = time.monotonic(), None
            try:
                with connect(self.port) as client:
                    connected = time.monotonic()
                    client.sendall(b"get_metadata a10\r\n")
                    answer = b""
                    while answer.count(b"\r\n") < 2 and (data := client.recv(100)):
                        answer += data
                if answer == b"0 OK\r\n10\r\n":
                    kind, text = "ok", ""
                else:
                    kind, text = ("wrong", repr(answer)) if answer else ("reset", "closed without an answer")
            except ConnectionRefusedError as error:
                kind, text = "refused", str(error)
            except TimeoutError as error:
                kind, text = "timeout", str(error)
            except OSError as error:
                kind, text = "reset", str(error)
            with self.lock:
                now = time.monotonic()
                self.count[kind] += 1
                self.slowest = max(self.slowest, now - begun)
                if kind != "ok":
                    self.failures.append((kind, connected, now, text))
            if kind == "refused":
                time.sleep(0.001)       # or thousands of them would tell no more than one

    def more(self, knocks):
        """Waits for that many answers from now."""
        target = self.count["ok"] + knocks
        wait(f"{knocks} more answers", lambda: self.count["ok"] >= target, 60)

    def row(self):
        return dict(self.count, slowest=f"{self.slowest * 1000:.0f} ms")


# ---------------------------------------------------------------------------------------------- the checks

CHECKS = []


def check(name):
    def register(function):
        CHECKS.append((name, function))
        return function
    return register


class World:
    """What the checks share."""
    before = set()
    packages = ""
    table = []
    scores = {}
    big = (0, "")
    version = 0


@check("install: enabled, active and serving on IPv4 and IPv6 after dpkg -i on a clean system")
def _(world):
    expect(subprocess.run(["getent", "passwd", "hftp"], stdout=subprocess.DEVNULL, check=False).returncode == 2, "there is a user hftp")
    expect(not os.path.exists("/usr/bin/hftpd"), "hftpd is installed already")
    world.before = snapshot()
    out = install(f"{world.packages}/hftpd_1.deb")
    expect(run("systemctl", "is-enabled", "hftpd.service") == "enabled", f"not enabled: {out}")
    expect(show("ActiveState") == "active", "not active")
    expect(run("stat", "-c", "%U %a", ROOT) == "root 755", f"{ROOT} is not root's")
    with open(f"{ROOT}/a10", "w", encoding="ascii") as file:
        file.write("0123456789")
    for host in ("127.0.0.1", "::1"):
        expect(listed(host=host) == ["a10"], f"{host} lists {listed(host=host)}")
    pid = show("MainPID")
    expect(run("ps", "-o", "user=", "-p", pid) == "hftp", "runs as somebody else")
    socket_state = subprocess.run(["systemctl", "is-enabled", "hftpd.socket"], capture_output=True, text=True, check=False).stdout.strip()
    expect(socket_state == "disabled", f"hftpd.socket is {socket_state}")
    size = 32 << 20
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with open(f"{ROOT}/big", "wb") as file:
        for number in range(size >> 20):
            data = struct.pack("<Q", number) + block[8:]
            file.write(data)
            digest.update(data)
    world.big = (size, digest.hexdigest())
    return f"PID {pid} as hftp, StatusText: {show('StatusText')}"


@check("reload: root and port edited in the shipped file, both in force, a running transfer complete and right")
def _(world):
    os.makedirs("/srv/other", exist_ok=True)
    with open("/srv/other/b20", "w", encoding="ascii") as file:
        file.write("0123456789" * 2)
    pid = show("MainPID")
    with open(CONFIG, "rb") as file:
        shipped = file.read()
    transfer = Transfer("big", *world.big)
    try:
        edit_config(root='"/srv/other"', port=PORT + 1)
        begun = time.monotonic()
        run("systemctl", "reload", "hftpd")
        took = time.monotonic() - begun
        # Without waiting: reload returns when it is in force.
        expect(listed(PORT + 1) == ["b20"], f"the new port lists {listed(PORT + 1)}")
        # The manager's copy of the old listener goes a moment later.
        wait("the old port is closed", lambda: refuses(PORT), 5)
    finally:
        outcome = transfer.release()
        with open(CONFIG, "wb") as file:
            file.write(shipped)
    expect(outcome == "complete", f"the transfer: {outcome}")
    expect(show("MainPID") == pid, "another process")
    run("systemctl", "reload", "hftpd")
    expect("a10" in listed(), "back again: not in force")
    return f"reload took {took * 1000:.0f} ms, transfer of {world.big[0] >> 20} MiB {outcome}, same PID"


BROKEN = {
    "unknown key": ('root = "/srv/hftp"\nport = 19500\nprot = 19501\n', "3:1"),
    "not TOML": ('root = "/srv/hftp"\nport = = 1\n', "2:8"),
    "wrong type": ('root = "/srv/hftp"\nport = "many"\n', "2:8"),
}


@check("broken file: reload fails, the journal names file, line and column, the old settings serve on")
def _(_world):
    baseline()
    pid, seen = show("MainPID"), []
    for what, (text, place) in BROKEN.items():
        since = cursor()
        with open(CONFIG, "w", encoding="ascii") as file:
            file.write(text)
        run("systemctl", "reload", "hftpd", bad=True)
        log = journal(since)
        expect(f"{CONFIG}:{place}" in log, f"{what}: no {CONFIG}:{place} in: {log}")
        seen.append(next(line for line in log.splitlines() if f"{CONFIG}:{place}" in line).strip())
        expect(show("ActiveState") == "active" and show("MainPID") == pid, f"{what}: not the old daemon")
        expect("a10" in listed(), f"{what}: does not serve")
    run("hftpd", "check", bad=True)
    return "; ".join(seen)


@check("reload that only the daemon can refuse (a port that is taken): fails, the old settings serve on")
def _(_world):
    baseline()
    pid = show("MainPID")
    with socket.create_server(("::", PORT + 2), family=socket.AF_INET6, dualstack_ipv6=True):
        write_config(port=PORT + 2)
        since = cursor()
        run("systemctl", "reload", "hftpd", bad=True)
        log = journal(since)
    expect(str(PORT + 2) in log, f"the journal does not name the port: {log}")
    expect(show("ActiveState") == "active" and show("MainPID") == pid and "a10" in listed(), "not the old daemon")
    return next(line for line in log.splitlines() if str(PORT + 2) in line)


def five_reloads(_world, _package):
    roots = ("/srv/hftp", "/srv/same")
    os.makedirs(roots[1], exist_ok=True)
    with open(f"{roots[1]}/a10", "w", encoding="ascii") as file:
        file.write("0123456789")
    for number in range(5):
        write_config(root=roots[(number + 1) % 2])
        run("systemctl", "reload", "hftpd")
        yield
    write_config()


def two_restarts(_world, _package):
    for _ in range(2):
        run("systemctl", "restart", "hftpd")
        yield


def one_upgrade(world, package):
    pid = show("MainPID")
    install(f"{world.packages}/{package}")
    expect(show("MainPID") != pid, "the old process still runs")
    yield


def one_kill(_world, _package):
    restarts = int(show("NRestarts"))
    run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "hftpd")
    wait("the restart", lambda: int(show("NRestarts")) > restarts and show("ActiveState") == "active")
    yield


EVENTS = {"five reloads": five_reloads, "two restarts": two_restarts, "one upgrade": one_upgrade, "one SIGKILL": one_kill}


def knock_through(world, event, package):
    """Clients without pause through an event; returns their counts, and those that only the killed process could have answered."""
    with Knocking() as knocking:
        steps = EVENTS[event](world, package)
        while True:
            begun = time.monotonic()
            if next(steps, steps) is steps:
                break
            knocking.more(50)
        knocking.more(KNOCKS // 2)
    # A connection that the killed process had accepted dies with it: at most one for each client.
    held = [f for f in knocking.failures if event == "one SIGKILL" and f[0] == "reset" and f[1] and f[1] < begun + 0.25]
    lost = len(held) if len(held) <= KNOCKERS else 0
    return knocking, lost


def no_connection_lost(event, package):
    def function(world):
        baseline()
        knocking, lost = knock_through(world, event, package)
        row = dict(knocking.row(), held=lost)
        row["reset"] -= lost
        world.table.append(("shipped", event, row))
        bad = row["refused"] + row["reset"] + row["wrong"] + row["timeout"]
        expect(bad == 0 and row["ok"] >= KNOCKS, f"{row}; first: {knocking.failures[:3]}")
        return ", ".join(f"{kind} {count}" for kind, count in row.items())
    return function


for _event in EVENTS:
    check(f"no connection refused or reset through {_event}, at least {KNOCKS} of them")(no_connection_lost(_event, "hftpd_2.deb"))


@check("the same for the plain unit without the store, for comparison (counted, not judged)")
def _(world):
    for event in EVENTS:
        baseline()
        drop_in("plain.conf", "[Service]\nFileDescriptorStoreMax=0\n")
        run("systemctl", "restart", "hftpd")
        knocking, lost = knock_through(world, event, "hftpd_1.deb")
        row = dict(knocking.row(), held=lost)
        row["reset"] -= lost
        world.table.append(("no store", event, row))
    lost = {event: row["refused"] + row["reset"] for unit, event, row in world.table if unit == "no store"}
    expect(lost["two restarts"] > 0, "restarts of the plain unit refuse nobody: the comparison shows nothing")
    return "refused or reset: " + ", ".join(f"{event} {count}" for event, count in lost.items())


@check("upgrade keeps an edited configuration")
def _(world):
    baseline()
    text = '# mine\nroot = "/srv/hftp"\nport = 19507\n'
    with open(CONFIG, "w", encoding="ascii") as file:
        file.write(text)
    install(f"{world.packages}/hftpd_2.deb")
    with open(CONFIG, encoding="ascii") as file:
        expect(file.read() == text, "it was changed")
    expect(run("dpkg-query", "-W", "-f", "${Version}", "hftpd").endswith("-2"), "not upgraded")
    expect("a10" in listed(19507), "not in force after the upgrade")
    return "kept, in force after it"


@check("upgrade with a configuration that does not pass the check leaves the old version serving")
def _(world):
    baseline()
    pid = show("MainPID")
    with open(CONFIG, "a", encoding="ascii") as file:
        file.write("no-such-setting = 1\n")
    out = install(f"{world.packages}/hftpd_1.deb")
    expect(show("MainPID") == pid and "a10" in listed(), f"not the old process: {out}")
    expect("not restarted" in out, f"nothing is said: {out}")
    return next(line for line in out.splitlines() if "not restarted" in line)


@check("stop: transfers drain, STATUS counts them down, exit status 0")
def _(world):
    baseline()
    transfers = [Transfer("big", *world.big) for _ in range(3)]
    since = cursor()
    stopping = subprocess.Popen(["systemctl", "stop", "hftpd"])
    texts = []
    for left in (3, 2, 1):
        text = wait(f"a status that says {left}", lambda left=left: re.search(rf"\b{left}\b", show("StatusText")) and show("StatusText"))
        texts.append(text)
        expect(show("ActiveState") == "deactivating", f"it is {show('ActiveState')}")
        expect(transfers[3 - left].release() == "complete", f"a transfer: {transfers[3 - left].outcome}")
    expect(stopping.wait(20) == 0, "systemctl stop fails")
    expect(show("Result") == "success" and show("ExecMainStatus") == "0", f"result {show('Result')}, status {show('ExecMainStatus')}")
    expect("SIGKILL" not in journal(since) and "timed out" not in journal(since), journal(since))
    return " -> ".join(texts) + "; exit status 0"


@check("stop: what is left at timeouts.drain is cut, exit status 0")
def _(world):
    baseline()
    write_config(extra='[timeouts]\ndrain = "2s"\n')
    run("systemctl", "reload", "hftpd")
    transfer = Transfer("big", *world.big)
    begun = time.monotonic()
    run("systemctl", "stop", "hftpd")
    took = time.monotonic() - begun
    outcome = transfer.release()
    expect(show("Result") == "success" and show("ExecMainStatus") == "0", f"result {show('Result')}")
    expect(1.5 < took < 4, f"it took {took:.1f} s")
    expect("cut" in outcome or "Reset" in outcome, f"the transfer: {outcome}")
    return f"stopped after {took:.1f} s, the transfer: {outcome}"


@check("stop: a drain longer than TimeoutStopSec asks for its time (EXTEND_TIMEOUT_USEC)")
def _(world):
    baseline()
    drop_in("short.conf", "[Service]\nTimeoutStopSec=2s\n")
    write_config(extra='[timeouts]\ndrain = "30s"\n')
    run("systemctl", "restart", "hftpd")
    transfer = Transfer("big", *world.big)
    begun = time.monotonic()
    stopping = subprocess.Popen(["systemctl", "stop", "hftpd"])
    wait("twice the timeout", lambda: time.monotonic() - begun > 5)
    expect(stopping.poll() is None, "it did not wait for the transfer")
    expect(transfer.release() == "complete", f"the transfer: {transfer.outcome}")
    expect(stopping.wait(20) == 0, "systemctl stop fails")
    expect(show("Result") == "success", f"result {show('Result')}")
    return f"stopped after {time.monotonic() - begun:.1f} s with TimeoutStopSec=2s, transfer complete"


@check("watchdog: each event loop that hangs gets the daemon restarted")
def _(_world):
    baseline()
    shipped = show("WatchdogUSec")
    expect(shipped not in ("0", "infinity"), "the shipped unit has no watchdog")
    drop_in("watchdog.conf", f"[Service]\nWatchdogSec={WATCHDOG}s\n")
    run("systemctl", "restart", "hftpd")
    names = [name for _, name in intrude.waiting_threads(int(show("MainPID")))]
    expect(names, "no thread waits for events")
    seen = []
    for index, name in enumerate(names[:3]):
        pid = int(show("MainPID"))
        threads = intrude.waiting_threads(pid)
        expect(len(threads) > index, f"the threads are {threads}")
        restarts, since = int(show("NRestarts")), cursor()
        with subprocess.Popen([sys.executable, intrude.__file__, "hold", str(threads[index][0])], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as holder:
            expect(holder.stdout.readline() == "held\n", "the thread cannot be held")
            begun = time.monotonic()
            wait(f"the restart with thread {name} held", lambda: int(show("NRestarts")) > restarts, 15)
            wait("the daemon is back", lambda: show("ActiveState") == "active")
        fired = wait("a word of the watchdog", lambda: watchdog_fired(since))
        expect("a10" in listed(), "does not serve")
        # The interval counts from the last WATCHDOG=1, which may still tell of what was done before the hold.
        expect(fired - begun < WATCHDOG * 1.5 + 0.5, f"{name}: fired after {fired - begun:.1f} s")
        seen.append(f"{name} {fired - begun:.1f} s")
    return f"shipped {shipped}; with {WATCHDOG} s, held until the watchdog fired, and restarted: {', '.join(seen)}"


@check("watchdog: SIGSTOP of the whole process gets it restarted")
def _(_world):
    baseline()
    drop_in("watchdog.conf", f"[Service]\nWatchdogSec={WATCHDOG}s\n")
    run("systemctl", "restart", "hftpd")
    restarts, since = int(show("NRestarts")), cursor()
    begun = time.monotonic()
    run("kill", "-STOP", show("MainPID"))
    wait("the restart", lambda: int(show("NRestarts")) > restarts, 15)
    fired = wait("a word of the watchdog", lambda: watchdog_fired(since))
    expect(fired - begun < WATCHDOG + 0.5, f"fired after {fired - begun:.1f} s")
    wait("it serves", lambda: show("ActiveState") == "active" and "a10" in listed())
    return f"fired after {fired - begun:.1f} s"


@check("store: a listener that a reload took away is closed, there and in the store")
def _(_world):
    baseline()
    before = int(show("NFileDescriptorStore"))
    write_config(port=PORT + 3)
    run("systemctl", "reload", "hftpd")
    # The daemon's word to the manager may still be under way.
    wait("the old port is closed", lambda: refuses(PORT))
    expect(int(show("NFileDescriptorStore")) == before, f"{before} stored before, {show('NFileDescriptorStore')} after")
    return f"{before} stored before and after, port {PORT} refuses"


@check("store: a stored listener that the configuration no longer names is closed at the next start")
def _(_world):
    baseline()
    write_config(port=PORT + 4)
    since = cursor()
    run("systemctl", "restart", "hftpd")
    wait("the old port is closed", lambda: refuses(PORT))
    expect("a10" in listed(PORT + 4), "the new port does not serve")
    expect(show("NFileDescriptorStore") == "1", f"{show('NFileDescriptorStore')} stored")
    return f"port {PORT} refuses, 1 stored; " + (journal(since).splitlines() or [""])[-1]


@check("store: systemctl stop lets go of the listeners")
def _(_world):
    baseline()
    run("systemctl", "stop", "hftpd")
    wait("the port is closed", lambda: refuses(PORT))
    run("systemctl", "start", "hftpd")
    expect("a10" in listed(), "does not serve afterwards")
    return f"port {PORT} refuses while it is stopped"


@check("socket unit: starts the daemon with the first client, and none is lost through a restart")
def _(world):
    baseline()
    run("systemctl", "stop", "hftpd")
    run("systemctl", "start", "hftpd.socket")
    expect(show("ActiveState") == "inactive", "it runs before the first client")
    expect("a10" in listed(), "the first client is not served")
    expect(show("ActiveState") == "active", "it does not run")
    knocking, _ = knock_through(world, "two restarts", "")
    row = knocking.row()
    expect(row["refused"] + row["reset"] + row["wrong"] + row["timeout"] == 0, f"{row}; first: {knocking.failures[:3]}")
    run("systemctl", "stop", "hftpd.socket", "hftpd.service")
    return f"two restarts: ok {row['ok']}, refused 0, reset 0"


@check("log to syslog reaches the system's log from within the sandbox")
def _(_world):
    baseline()
    write_config(extra='[log]\ntarget = "syslog"\n')
    since = cursor()
    run("systemctl", "restart", "hftpd")
    listed()
    line = wait("a line by syslog", lambda: journal(since, "syslog"))
    return line.splitlines()[-1]


def exposure():
    out = run("systemd-analyze", "security", "--no-pager", "hftpd.service")
    return float(re.search(r"Overall exposure level for hftpd.service: ([\d.]+)", out).group(1))


@check("systemd-analyze verify: no word on unit, socket and each drop-in; scores")
def _(world):
    baseline()
    examples = sorted(os.listdir(EXAMPLES))
    for name in ["", *examples]:
        if name == "notify-reload.conf" and world.version < 253:
            continue
        remove_drop_ins()
        if name:
            drop_in(name)
        out = run("systemd-analyze", "verify", "--man=yes" if shutil.which("man") else "--man=no", "hftpd.service", "hftpd.socket")
        expect(not [line for line in out.splitlines() if "hftpd" in line], f"{name}: {out}")
        world.scores[name or "shipped"] = exposure()
    expect(world.scores["shipped"] <= 1.3, f"the shipped unit scores {world.scores['shipped']}")
    return ", ".join(f"{name} {score}" for name, score in world.scores.items())


def attempts(thread):
    """Everything that must not be possible, tried by a thread of the daemon: {what: outcome}."""
    seen = {}
    wronly, creat = 1, 0o100
    for folder in ("/", "/etc", "/srv/hftp", "/tmp", "/var/tmp", "/var/lib", "/run", "/dev/shm", "/usr/bin", "/proc/self"):
        path = f"{folder.rstrip('/')}/intruder"
        seen[f"create {path}"] = thread.attempt("openat", intrude.AT_FDCWD, path, wronly | creat, 0o644)
        seen[f"mkdir {path}"] = thread.attempt("mkdir", path, 0o755)
    seen["write /srv/hftp/a10"] = thread.attempt("openat", intrude.AT_FDCWD, "/srv/hftp/a10", wronly)
    seen["truncate /srv/hftp/mine"] = thread.attempt("truncate", "/srv/hftp/mine", 0)
    seen["write /srv/hftp/mine"] = thread.attempt("openat", intrude.AT_FDCWD, "/srv/hftp/mine", wronly)
    seen["unlink /srv/hftp/mine"] = thread.attempt("unlink", "/srv/hftp/mine")
    seen["rename /srv/hftp/mine"] = thread.attempt("rename", "/srv/hftp/mine", "/srv/hftp/yours")
    seen["chmod /srv/hftp/mine"] = thread.attempt("chmod", "/srv/hftp/mine", 0o777)
    seen["write /dev/kmsg"] = thread.attempt("openat", intrude.AT_FDCWD, "/dev/kmsg", wronly)
    for path in ("/usr/bin/true", "/bin/sh", "/usr/bin/hftpd"):
        seen[f"exec {path}"] = thread.attempt("execve", path, 0, 0)
    seen["setuid 0"] = thread.attempt("setuid", 0)
    seen["chroot /"] = thread.attempt("chroot", "/")
    seen["mount"] = thread.attempt("mount", "none", "/srv", "tmpfs", 0, 0)
    seen["a user namespace"] = thread.attempt("unshare", 0x10000000)
    seen["ptrace"] = thread.attempt("ptrace", 0, 0, 0, 0)
    seen["bpf"] = thread.attempt("bpf", 0, 0, 0)
    seen["io_uring"] = thread.attempt("io_uring_setup", 1, b"\0" * 128)
    seen["keyctl"] = thread.attempt("keyctl", 0, 0, 0)
    seen["perf"] = thread.attempt("perf_event_open", b"\0" * 128, 0, -1, -1, 0)
    seen["writable code"] = thread.attempt("mmap", 0, 4096, 7, 0x22, -1, 0)
    seen["mknod"] = thread.attempt("mknod", "/run/hftpd/sda", 0o60600, 8 << 8)
    seen["read /home"] = thread.attempt("openat", intrude.AT_FDCWD, "/home/secret", 0)
    seen["read /root"] = thread.attempt("openat", intrude.AT_FDCWD, "/root/secret", 0)
    descriptor = thread.call("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(PORT), socket.inet_aton("127.0.0.1"))
    seen["connect by TCP"] = thread.attempt("connect", descriptor, address, 16)
    thread.call("close", descriptor)
    return seen


@check("sandbox, tried from inside: no write, no exec, no privilege, no connecting, nothing of /home")
def _(_world):
    baseline()
    for path in ("/home/secret", "/root/secret", "/srv/hftp/mine"):
        with open(path, "w", encoding="ascii") as file:
            file.write("x")
    run("chown", "hftp", "/srv/hftp/mine")
    os.chmod("/home/secret", 0o644)
    pid = int(show("MainPID"))
    with intrude.Intruder(pid, intrude.waiting_threads(pid)[0][0]) as thread:
        seen = attempts(thread)
        own = thread.attempt("openat", intrude.AT_FDCWD, "/run/hftpd/intruder", 0o101, 0o644)
        reading = thread.attempt("openat", intrude.AT_FDCWD, "/srv/hftp/a10", 0)
    for path in ("/home/secret", "/root/secret", "/srv/hftp/mine"):
        os.unlink(path)
    allowed = [what for what, outcome in seen.items() if outcome == "ok"]
    expect(not allowed, f"allowed: {', '.join(allowed)}")
    expect(reading == "ok", f"what is published cannot be read: {reading}")
    for field, value in (("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0" * 16), ("CapPrm", "0" * 16),
                         ("CapBnd", "0" * 16), ("CapAmb", "0" * 16), ("Groups", status_field(pid, "Gid").split()[0])):
        expect(status_field(pid, field) == value, f"{field} is {status_field(pid, field)}")
    expect(show("MainPID") == str(pid) and "a10" in listed(), "the daemon did not survive being tried")
    outcomes = {}
    for what, outcome in seen.items():
        outcomes.setdefault(outcome, []).append(what)
    return (f"{len(seen)} attempts: " + "; ".join(f"{name}: {', '.join(all_)}" for name, all_ in sorted(outcomes.items()))
            + f"; its own /run/hftpd: {own}; capabilities none, NoNewPrivs, seccomp")


@check("sandbox, tried from inside: no address family but UNIX, INET and INET6")
def _(_world):
    baseline()
    pid = int(show("MainPID"))
    with intrude.Intruder(pid, intrude.waiting_threads(pid)[0][0]) as thread:
        seen = {family: [thread.attempt("socket", family, kind, 0) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)]
                for family in range(1, 46)}
    allowed = [family for family, outcomes in seen.items() if "ok" in outcomes]
    odd = {family: outcomes for family, outcomes in seen.items()
           if family not in allowed and set(outcomes) - {"EAFNOSUPPORT", "EPERM"}}
    expect(allowed == [socket.AF_UNIX, socket.AF_INET, socket.AF_INET6], f"allowed: {allowed}")
    expect(not odd, f"not by the filter: {odd}")
    here = [family for family in (16, 17, 38, 40) if not unavailable(family)]
    return f"allowed {allowed}; of those refused, this kernel has {here}"


def unavailable(family):
    try:
        socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_STREAM).close()
    except OSError:
        return True
    return False


@check("drop-in low-port.conf: serves on port 80 without root")
def _(_world):
    baseline()
    write_config(port=80)
    run("systemctl", "restart", "hftpd", bad=True)
    expect(show("ExecMainStatus") in ("71", "77"), f"without it: exit status {show('ExecMainStatus')}")
    run("systemctl", "stop", "hftpd")
    drop_in("low-port.conf")
    run("systemctl", "start", "hftpd")
    expect("a10" in listed(80), "does not serve")
    pid = show("MainPID")
    expect(run("ps", "-o", "user=", "-p", pid) == "hftp", "runs as somebody else")
    expect(int(status_field(pid, "CapBnd"), 16) == 1 << 10, f"capabilities {status_field(pid, 'CapBnd')}")
    write_config(port=81)
    run("systemctl", "reload", "hftpd")
    expect("a10" in listed(81), "not after a reload")
    return "80, and 81 by a reload; as hftp, CAP_NET_BIND_SERVICE alone; without it exit status 71 or 77"


@check("drop-in start-as-root.conf: the daemon drops to its user for good; reload and status work")
def _(_world):
    baseline()
    drop_in("start-as-root.conf")
    write_config(port=80, extra='user = "hftp"\ngroup = "hftp"\n')
    run("systemctl", "restart", "hftpd")
    expect("a10" in listed(80), "does not serve")
    pid = show("MainPID")
    user, group = run("id", "-u", "hftp"), run("id", "-g", "hftp")
    expect(status_field(pid, "Uid").split() == [user] * 4 and status_field(pid, "Gid").split() == [group] * 4,
           f"identities {status_field(pid, 'Uid')} and {status_field(pid, 'Gid')}")
    expect(status_field(pid, "Groups") in ("", group), f"groups {status_field(pid, 'Groups')}")
    for field in ("CapEff", "CapPrm", "CapAmb"):
        expect(int(status_field(pid, field), 16) == 0, f"{field} {status_field(pid, field)}")
    write_config(port=PORT)
    run("systemctl", "reload", "hftpd")
    expect("a10" in listed(), "a reload is not in force")
    run("hftpd", "status")
    run("systemctl", "restart", "hftpd")
    expect("a10" in listed(), "a restart fails")
    return f"uid {user} four times, no capability"


@check("drop-in home.conf: a root under /home")
def _(_world):
    baseline()
    os.makedirs("/home/alice/public", exist_ok=True)
    with open("/home/alice/public/c30", "w", encoding="ascii") as file:
        file.write("0123456789" * 3)
    write_config(root="/home/alice/public")
    run("systemctl", "restart", "hftpd", bad=True)
    run("systemctl", "stop", "hftpd")
    drop_in("home.conf")
    run("systemctl", "start", "hftpd")
    expect(listed() == ["c30"], f"lists {listed()}")
    run("systemctl", "stop", "hftpd")
    run("rm", "-r", "/home/alice")
    return "served; without it the start fails"


@check("drop-in mounts.conf: starts after its mount and stops with it")
def _(_world):
    baseline()
    run("systemctl", "stop", "hftpd")
    unit = "/run/systemd/system/srv-hftp.mount"
    os.makedirs("/run/systemd/system", exist_ok=True)
    with open(unit, "w", encoding="ascii") as file:
        file.write("[Mount]\nWhat=tmpfs\nWhere=/srv/hftp\nType=tmpfs\n")
    drop_in("mounts.conf")
    try:
        run("systemctl", "start", "hftpd")
        expect(show("ActiveState", "srv-hftp.mount") == "active", "the mount was not pulled in")
        expect(listed() == [], f"lists {listed()}")
        with open("/srv/hftp/d", "w", encoding="ascii"):
            pass
        expect(listed() == ["d"], f"lists {listed()}")
        run("systemctl", "stop", "srv-hftp.mount")
        expect(show("ActiveState") == "inactive", f"is {show('ActiveState')} after the unmount")
    finally:
        subprocess.run(["systemctl", "stop", "hftpd", "srv-hftp.mount"], check=False)
        os.unlink(unit)
        run("systemctl", "daemon-reload")
    return "the mount comes first, and takes it along when it goes"


@check("drop-in notify-reload.conf (systemd 253 and later)")
def _(world):
    if world.version < 253:
        return f"not on systemd {world.version}"
    baseline()
    drop_in("notify-reload.conf")
    run("systemctl", "restart", "hftpd")
    pid = show("MainPID")
    write_config(port=PORT + 5)
    run("systemctl", "reload", "hftpd")
    expect("a10" in listed(PORT + 5) and refuses(PORT), "not in force when reload returns")
    write_config(extra="no-such-setting = 1\n")
    run("systemctl", "reload", "hftpd", bad=True)
    expect(show("MainPID") == pid and "a10" in listed(PORT + 5), "a bad file did harm")
    return "in force when reload returns; a bad file fails it"


@check("a crash at the start ends in failure, not in a loop: exit status 78 is not tried again")
def _(_world):
    baseline()
    write_config(extra="no-such-setting = 1\n")
    run("systemctl", "restart", "hftpd", bad=True)
    expect(show("ActiveState") == "failed" and show("ExecMainStatus") == "78" and show("NRestarts") == "0",
           f"{show('ActiveState')}, status {show('ExecMainStatus')}, {show('NRestarts')} restarts")
    return "failed at once with 78"


@check("remove stops the daemon and keeps the configuration; purge leaves nothing behind")
def _(world):
    baseline()
    run("dpkg", "-r", "hftpd")
    expect(refuses(PORT) and os.path.exists(CONFIG), "it still serves, or the configuration is gone")
    expect("hftpd" not in run("ps", "-eo", "comm="), "a process is left")
    run("dpkg", "-P", "hftpd")
    expect(os.path.exists("/srv/hftp/a10"), "it deleted what was published")
    expect(subprocess.run(["getent", "passwd", "hftp"], stdout=subprocess.DEVNULL, check=False).returncode == 2, "the user is left")
    # And once more, with nothing published.
    run("rm", "-rf", "/srv/hftp", "/srv/other", "/srv/same")
    install(f"{world.packages}/hftpd_1.deb")
    expect(run("systemctl", "is-enabled", "hftpd.service") == "enabled" and listed() == [], "not installed again")
    run("dpkg", "-P", "hftpd")
    # The base may be a machine that is in use: what appears there is not ours.
    left = sorted(path for path in snapshot() - world.before if ":" in path or os.path.lexists(f"/run/lab/upper{path}"))
    expect(not left, f"left: {left}")
    expect(not os.path.exists("/run/hftpd"), "left: /run/hftpd")
    listed_units = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "hftpd*")
    expect(not listed_units, f"left in systemd: {listed_units}")
    return "compared with the system before the installation: no path, user or group more"


def main():
    world = World()
    world.packages = sys.argv[1]
    world.version = int(re.match(r"systemd (\d+)", run("systemctl", "--version")).group(1))
    wanted = sys.argv[2:]
    passed = failed = 0
    for name, function in CHECKS:
        if wanted and not any(word in name for word in [*wanted, "install:"]):
            continue
        begun = time.monotonic()
        try:
            evidence = function(world)
            verdict, passed = "ok", passed + 1
        except (Failed, OSError, subprocess.SubprocessError, RuntimeError) as error:
            evidence, verdict, failed = f"{type(error).__name__}: {error}", "FAILED", failed + 1
            if not isinstance(error, Failed):
                evidence += "\n" + traceback.format_exc()
            evidence += "\n" + "\n".join("    | " + line for line in subprocess.run(
                ["journalctl", "-u", "hftpd.service", "-n", "25", "-o", "short-precise", "--no-hostname"],
                capture_output=True, text=True, check=False).stdout.splitlines())
        print(f"{verdict} [systemd {world.version}] {name} -- {evidence} ({time.monotonic() - begun:.1f} s)", flush=True)
    if world.table:
        print(f"\nConnections without pause from {KNOCKERS} clients, systemd {world.version}. `held`: accepted by the process that was killed,"
              "\nwhich nobody else could answer.\n")
        columns = ("ok", "refused", "reset", "wrong", "timeout", "held", "slowest")
        print(f"{'unit':<9} {'through':<13}" + "".join(f"{column:>9}" for column in columns))
        for unit, event, row in world.table:
            print(f"{unit:<9} {event:<13}" + "".join(f"{row[column]:>9}" for column in columns))
        print()
    with open(f"{world.packages}/result", "w", encoding="ascii") as file:
        json.dump({"passed": passed, "failed": failed}, file)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
