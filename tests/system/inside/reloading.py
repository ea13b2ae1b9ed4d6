"""Installation, and `systemctl reload`."""

import hashlib
import os
import socket
import struct
import time

from clients import Transfer, is_refused, listing
from harness import PORT, ROOT, check, expect
from host import (CONFIG, baseline, cursor, edit_config, install, journal, run, show, snapshot, succeeds, wait, write,
                  write_config)


@check("install: enabled, active and serving on IPv4 and IPv6 after dpkg -i on a clean system")
def _(context):
    expect(not succeeds("getent", "passwd", "hftp"), "the user hftp exists already")
    expect(not os.path.exists("/usr/bin/hftpd"), "hftpd is installed already")
    context.before = snapshot()
    out = install(f"{context.packages}/hftpd_1.deb")
    expect(run("systemctl", "is-enabled", "hftpd.service") == "enabled", f"not enabled: {out}")
    expect(show("ActiveState") == "active", "not active")
    expect(run("systemctl", "is-enabled", "hftpd.socket", bad=True) == "disabled", "hftpd.socket is enabled")
    expect(run("stat", "-c", "%U %a", ROOT) == "root 755", f"{ROOT} does not belong to root")
    write(f"{ROOT}/a10", "0123456789")
    for host in ("127.0.0.1", "::1"):
        expect(listing(host=host) == ["a10"], f"{host} lists {listing(host=host)}")
    pid = show("MainPID")
    expect(run("ps", "-o", "user=", "-p", pid) == "hftp", "runs as another user")
    context.large = write_large_file()
    return f"PID {pid} as hftp, StatusText: {show('StatusText')}"


def write_large_file():
    """32 MiB of which no two MiB are equal; returns their size and SHA-256."""
    size, block, digest = 32 << 20, os.urandom(1 << 20), hashlib.sha256()
    with open(f"{ROOT}/large", "wb") as file:
        for number in range(size >> 20):
            data = struct.pack("<Q", number) + block[8:]
            file.write(data)
            digest.update(data)
    return size, digest.hexdigest()


@check("reload: a new root and port of the shipped file are in force, a running transfer completes")
def _(context):
    write("/srv/other/b20", "0123456789" * 2)
    pid = show("MainPID")
    with open(CONFIG, encoding="utf-8") as file:
        shipped = file.read()
    transfer = Transfer("large", *context.large)
    try:
        edit_config(root='"/srv/other"', port=PORT + 1)
        begun = time.monotonic()
        run("systemctl", "reload", "hftpd")
        took = time.monotonic() - begun
        # No wait: the command returns when the configuration is in force.
        expect(listing(PORT + 1) == ["b20"], f"the new port lists {listing(PORT + 1)}")
        # The service manager closes its copy of the old listener a moment later.
        wait("the old port is closed", lambda: is_refused(PORT), 5)
    finally:
        outcome = transfer.release()
        write(CONFIG, shipped)
    expect(outcome == "complete", f"the transfer: {outcome}")
    expect(show("MainPID") == pid, "another process")
    run("systemctl", "reload", "hftpd")
    expect("a10" in listing(), "the reload of the shipped file is not in force")
    return f"reload took {took * 1000:.0f} ms, transfer of {context.large[0] >> 20} MiB {outcome}, same PID"


BROKEN = {
    "unknown key": ('root = "/srv/hftp"\nport = 19500\nprot = 19501\n', "3:1"),
    "not TOML": ('root = "/srv/hftp"\nport = = 1\n', "2:8"),
    "wrong type": ('root = "/srv/hftp"\nport = "many"\n', "2:8"),
}


@check("reload of a broken file: fails, the journal names file, line and column, the old settings stay in force")
def _(_context):
    baseline()
    pid, seen = show("MainPID"), []
    for what, (text, place) in BROKEN.items():
        since = cursor()
        write(CONFIG, text)
        run("systemctl", "reload", "hftpd", bad=True)
        log = journal(since)
        expect(f"{CONFIG}:{place}" in log, f"{what}: no {CONFIG}:{place} in: {log}")
        seen.append(next(line for line in log.splitlines() if f"{CONFIG}:{place}" in line).strip())
        expect(show("ActiveState") == "active" and show("MainPID") == pid, f"{what}: not the old process")
        expect("a10" in listing(), f"{what}: does not serve")
    run("hftpd", "check", bad=True)
    return "; ".join(seen)


@check("reload that only the daemon can refuse (a port in use): fails, the old settings stay in force")
def _(_context):
    baseline()
    pid = show("MainPID")
    with socket.create_server(("::", PORT + 2), family=socket.AF_INET6, dualstack_ipv6=True):
        write_config(port=PORT + 2)
        since = cursor()
        run("systemctl", "reload", "hftpd", bad=True)
        log = journal(since)
    expect(str(PORT + 2) in log, f"the journal does not name the port: {log}")
    expect(show("ActiveState") == "active" and show("MainPID") == pid and "a10" in listing(), "not the old daemon")
    return next(line for line in log.splitlines() if str(PORT + 2) in line)
