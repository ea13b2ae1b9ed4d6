"""The system under test: its commands, its journal, and the configuration of the unit."""

import json
import os
import re
import shutil
import subprocess
import time

from harness import Failed, PORT, ROOT, expect

CONFIG = "/etc/hftp.toml"
DROPINS = "/etc/systemd/system/hftpd.service.d"
EXAMPLES = "/usr/share/doc/hftpd/examples/hftpd.service.d"


def run(*command, bad=False, timeout=90, **more):
    """Runs a command and returns its output. It must succeed, or with `bad` fail."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, check=False, **more)
    expect((done.returncode != 0) == bad, f"`{' '.join(command)}` exited {done.returncode}: {done.stdout.strip()[-600:]}")
    return done.stdout.strip()


def succeeds(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def show(name, unit="hftpd.service"):
    """A property of a unit."""
    return run("systemctl", "show", "-P", name, unit)


def wait(what, condition, seconds=20):
    """Waits until condition() returns something true, and returns that."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return value


def cursor():
    """The current end of the journal."""
    run("journalctl", "--sync")
    return re.search(r"-- cursor: (.*)", run("journalctl", "-n1", "--show-cursor", "-q")).group(1)


def entries(since):
    """The unit's journal entries after a cursor. Without `-u`: systemd 252 drops the first match after a cursor."""
    run("journalctl", "--sync")
    found = [json.loads(text) for text in run("journalctl", "-q", "-o", "json", "--after-cursor", since).splitlines()]
    return [entry for entry in found if "hftpd.service" in (entry.get("_SYSTEMD_UNIT"), entry.get("UNIT"))]


def journal(since, transport=None):
    """The messages of those entries, one a line."""
    return "\n".join(str(entry.get("MESSAGE")) for entry in entries(since) if transport in (None, entry["_TRANSPORT"]))


def watchdog_fired(since):
    """The monotonic time at which the service manager's watchdog expired, or None."""
    return next((int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6 for entry in entries(since)
                 if "watchdog timeout" in str(entry.get("MESSAGE")).lower()), None)


def status_field(pid, name):
    """A field of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(rf"^{name}:[ \t]*(.*?)[ \t]*$", file.read(), re.M).group(1)


def write(path, text):
    """Writes a file, and the directories above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_config(root=ROOT, port=PORT, extra=""):
    write(CONFIG, f'root = "{root}"\nport = {port}\n{extra}')


def edit_config(**settings):
    """Sets keys of the shipped file, whether or not they are commented out there."""
    with open(CONFIG, encoding="utf-8") as file:
        text = file.read()
    for key, value in settings.items():
        text, count = re.subn(rf"^#? ?{key} = [^#\n]*", f"{key} = {value} ", text, count=1, flags=re.M)
        expect(count == 1, f"the shipped configuration has no line for {key}")
    write(CONFIG, text)


def drop_in(name, text=None):
    """Installs a drop-in: the shipped example of that name, or this text."""
    if text is None:
        with open(f"{EXAMPLES}/{name}", encoding="utf-8") as file:
            text = file.read()
    write(f"{DROPINS}/{name}", text)
    run("systemctl", "daemon-reload")


def remove_drop_ins():
    if os.path.isdir(DROPINS):
        shutil.rmtree(DROPINS)
        run("systemctl", "daemon-reload")


def baseline():
    """Stops everything and starts the shipped unit with a minimal configuration."""
    remove_drop_ins()
    write_config()
    succeeds("systemctl", "reset-failed", "hftpd.service", "hftpd.socket")
    run("systemctl", "stop", "hftpd.socket", "hftpd.service")
    run("systemctl", "start", "hftpd.service")


def install(package):
    """Installs a package as an unattended apt does: it keeps a changed configuration file."""
    return run("dpkg", "-i", "--force-confdef", "--force-confold", package,
               env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))


def snapshot():
    """Every path in the directories of packages, every user and every group. Logs, caches and databases are left out."""
    skip = {"/var/log", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/tmp", "/var/lib/systemd/catalog", "/etc/.pwd.lock",
            "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/usr/local", "/usr/src"}
    seen = {f"/{name}" for name in os.listdir("/")}
    for start in ("/etc", "/usr", "/var", "/srv", "/opt", "/home"):
        for top, folders, files in os.walk(start):
            folders[:] = [name for name in folders if f"{top}/{name}" not in skip and name != "__pycache__"]
            seen.update(f"{top}/{name}" for name in folders + files)
    for database in ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"):
        with open(database, encoding="utf-8") as file:
            seen.update(f"{database}:{line.split(':')[0]}" for line in file)
    return seen - skip
