"""The sandbox of the shipped unit."""

import os
import re
import shutil
import socket
import struct

import intrude
from clients import listing
from harness import PORT, check, expect
from host import (EXAMPLES, baseline, cursor, drop_in, journal, remove_drop_ins, run, show, status_field, wait, write,
                  write_config)


@check("syslog: lines reach the journal from within the sandbox")
def _(_context):
    baseline()
    write_config(extra='[log]\ntarget = "syslog"\n')
    since = cursor()
    run("systemctl", "restart", "hftpd")
    listing()
    line = wait("a line from syslog", lambda: journal(since, "syslog"))
    return line.splitlines()[-1]


def exposure():
    out = run("systemd-analyze", "security", "--no-pager", "hftpd.service")
    return float(re.search(r"Overall exposure level for hftpd.service: ([\d.]+)", out).group(1))


@check("systemd-analyze verify is silent on units and drop-ins; security scores")
def _(context):
    baseline()
    examples = sorted(os.listdir(EXAMPLES))
    for name in ["", *examples]:
        if name == "notify-reload.conf" and context.version < 253:
            continue
        remove_drop_ins()
        if name:
            drop_in(name)
        out = run("systemd-analyze", "verify", "--man=yes" if shutil.which("man") else "--man=no", "hftpd.service", "hftpd.socket")
        expect(not [line for line in out.splitlines() if "hftpd" in line], f"{name}: {out}")
        context.scores[name or "shipped"] = exposure()
    expect(context.scores["shipped"] <= 1.3, f"the shipped unit scores {context.scores['shipped']}")
    return ", ".join(f"{name} {score}" for name, score in context.scores.items())


def attempts(thread):
    """System calls that must fail, made by a thread of the daemon: {what: outcome}."""
    seen = {}
    wronly, creat = 1, 0o100
    for folder in ("/", "/etc", "/srv/hftp", "/tmp", "/var/tmp", "/var/lib", "/run", "/dev/shm", "/usr/bin", "/proc/self"):
        path = f"{folder.rstrip('/')}/intruder"
        seen[f"create {path}"] = thread.attempt("openat", intrude.AT_FDCWD, path, wronly | creat, 0o644)
        seen[f"mkdir {path}"] = thread.attempt("mkdir", path, 0o755)
    seen["write /srv/hftp/a10"] = thread.attempt("openat", intrude.AT_FDCWD, "/srv/hftp/a10", wronly)
    seen["truncate /srv/hftp/own"] = thread.attempt("truncate", "/srv/hftp/own", 0)
    seen["write /srv/hftp/own"] = thread.attempt("openat", intrude.AT_FDCWD, "/srv/hftp/own", wronly)
    seen["unlink /srv/hftp/own"] = thread.attempt("unlink", "/srv/hftp/own")
    seen["rename /srv/hftp/own"] = thread.attempt("rename", "/srv/hftp/own", "/srv/hftp/renamed")
    seen["chmod /srv/hftp/own"] = thread.attempt("chmod", "/srv/hftp/own", 0o777)
    seen["write /dev/kmsg"] = thread.attempt("openat", intrude.AT_FDCWD, "/dev/kmsg", wronly)
    for path in ("/usr/bin/true", "/bin/sh", "/usr/bin/hftpd"):
        seen[f"exec {path}"] = thread.attempt("execve", path, 0, 0)
    seen["setuid 0"] = thread.attempt("setuid", 0)
    seen["chroot /"] = thread.attempt("chroot", "/")
    seen["mount"] = thread.attempt("mount", "none", "/srv", "tmpfs", 0, 0)
    seen["unshare user namespace"] = thread.attempt("unshare", 0x10000000)
    seen["ptrace"] = thread.attempt("ptrace", 0, 0, 0, 0)
    seen["bpf"] = thread.attempt("bpf", 0, 0, 0)
    seen["io_uring"] = thread.attempt("io_uring_setup", 1, b"\0" * 128)
    seen["keyctl"] = thread.attempt("keyctl", 0, 0, 0)
    seen["perf"] = thread.attempt("perf_event_open", b"\0" * 128, 0, -1, -1, 0)
    seen["mmap writable and executable"] = thread.attempt("mmap", 0, 4096, 7, 0x22, -1, 0)
    seen["mknod"] = thread.attempt("mknod", "/run/hftpd/sda", 0o60600, 8 << 8)
    seen["read /home"] = thread.attempt("openat", intrude.AT_FDCWD, "/home/secret", 0)
    seen["read /root"] = thread.attempt("openat", intrude.AT_FDCWD, "/root/secret", 0)
    descriptor = thread.call("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(PORT), socket.inet_aton("127.0.0.1"))
    seen["connect TCP"] = thread.attempt("connect", descriptor, address, 16)
    thread.call("close", descriptor)
    return seen


@check("sandbox: a thread of the daemon cannot write, exec, gain privileges, connect, or read /home")
def _(_context):
    baseline()
    for path in ("/home/secret", "/root/secret", "/srv/hftp/own"):
        write(path, "x")
    run("chown", "hftp", "/srv/hftp/own")
    os.chmod("/home/secret", 0o644)
    pid = int(show("MainPID"))
    with intrude.Intruder(pid, intrude.waiting_threads(pid)[0][0]) as thread:
        seen = attempts(thread)
        own = thread.attempt("openat", intrude.AT_FDCWD, "/run/hftpd/intruder", 0o101, 0o644)
        reading = thread.attempt("openat", intrude.AT_FDCWD, "/srv/hftp/a10", 0)
    for path in ("/home/secret", "/root/secret", "/srv/hftp/own"):
        os.unlink(path)
    allowed = [what for what, outcome in seen.items() if outcome == "ok"]
    expect(not allowed, f"allowed: {', '.join(allowed)}")
    expect(reading == "ok", f"a published file cannot be read: {reading}")
    for field, value in (("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0" * 16), ("CapPrm", "0" * 16),
                         ("CapBnd", "0" * 16), ("CapAmb", "0" * 16), ("Groups", status_field(pid, "Gid").split()[0])):
        expect(status_field(pid, field) == value, f"{field} is {status_field(pid, field)}")
    expect(show("MainPID") == str(pid) and "a10" in listing(), "the daemon does not serve afterwards")
    calls_by_outcome = {}
    for what, outcome in seen.items():
        calls_by_outcome.setdefault(outcome, []).append(what)
    return (f"{len(seen)} attempts: " + "; ".join(f"{name}: {', '.join(calls)}" for name, calls in sorted(calls_by_outcome.items()))
            + f"; its own /run/hftpd: {own}; capabilities none, NoNewPrivs, seccomp")


@check("sandbox: a thread of the daemon gets sockets of UNIX, INET and INET6 only")
def _(_context):
    baseline()
    pid = int(show("MainPID"))
    with intrude.Intruder(pid, intrude.waiting_threads(pid)[0][0]) as thread:
        seen = {family: [thread.attempt("socket", family, kind, 0) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)]
                for family in range(1, 46)}
    allowed = [family for family, outcomes in seen.items() if "ok" in outcomes]
    unexpected = {family: outcomes for family, outcomes in seen.items()
           if family not in allowed and set(outcomes) - {"EAFNOSUPPORT", "EPERM"}}
    expect(allowed == [socket.AF_UNIX, socket.AF_INET, socket.AF_INET6], f"allowed: {allowed}")
    expect(not unexpected, f"not refused by the filter: {unexpected}")
    # Evidence that the filter, not the kernel, refused.
    available = [family for family in (16, 17, 38, 40) if is_available(family)]
    expect(available, "the kernel has none of the families that were refused")
    return f"allowed {allowed}; of those refused, this kernel has {available}"


def is_available(family):
    try:
        socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True

