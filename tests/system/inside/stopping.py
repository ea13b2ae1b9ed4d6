"""Stops, the watchdog, and starts that fail."""

import re
import subprocess
import sys
import time

import intrude
from clients import Transfer, listing
from harness import check, expect
from host import baseline, cursor, drop_in, journal, run, show, wait, watchdog_fired, write_config

WATCHDOG = 2


@check("stop: transfers drain, STATUS counts them down, exit status 0")
def _(context):
    baseline()
    transfers = [Transfer("large", *context.large) for _ in range(3)]
    since = cursor()
    stopping = subprocess.Popen(["systemctl", "stop", "hftpd"])
    texts = []
    for left, transfer in zip((3, 2, 1), transfers):
        texts.append(wait(f"a status with {left}", lambda left=left: re.search(rf"\b{left}\b", show("StatusText")) and show("StatusText")))
        expect(show("ActiveState") == "deactivating", f"the unit is {show('ActiveState')}")
        expect(transfer.release() == "complete", f"a transfer: {transfer.outcome}")
    expect(stopping.wait(20) == 0, "systemctl stop fails")
    expect(show("Result") == "success" and show("ExecMainStatus") == "0", f"result {show('Result')}, status {show('ExecMainStatus')}")
    expect("SIGKILL" not in journal(since) and "timed out" not in journal(since), journal(since))
    return " -> ".join(texts) + "; exit status 0"


@check("stop: transfers that remain at timeouts.drain are cut, exit status 0")
def _(context):
    baseline()
    write_config(extra='[timeouts]\ndrain = "2s"\n')
    run("systemctl", "reload", "hftpd")
    transfer = Transfer("large", *context.large)
    begun = time.monotonic()
    run("systemctl", "stop", "hftpd")
    took = time.monotonic() - begun
    outcome = transfer.release()
    expect(show("Result") == "success" and show("ExecMainStatus") == "0", f"result {show('Result')}")
    expect(1.5 < took < 4, f"it took {took:.1f} s")
    expect("cut" in outcome or "Reset" in outcome, f"the transfer: {outcome}")
    return f"stopped after {took:.1f} s, the transfer: {outcome}"


@check("stop: a drain longer than TimeoutStopSec extends it (EXTEND_TIMEOUT_USEC)")
def _(context):
    baseline()
    drop_in("short.conf", "[Service]\nTimeoutStopSec=2s\n")
    write_config(extra='[timeouts]\ndrain = "30s"\n')
    run("systemctl", "restart", "hftpd")
    transfer = Transfer("large", *context.large)
    begun = time.monotonic()
    stopping = subprocess.Popen(["systemctl", "stop", "hftpd"])
    wait("twice the timeout", lambda: time.monotonic() - begun > 5)
    expect(stopping.poll() is None, "it did not wait for the transfer")
    expect(transfer.release() == "complete", f"the transfer: {transfer.outcome}")
    expect(stopping.wait(20) == 0, "systemctl stop fails")
    expect(show("Result") == "success", f"result {show('Result')}")
    return f"stopped after {time.monotonic() - begun:.1f} s with TimeoutStopSec=2s, transfer complete"


def start_with_watchdog():
    """The shipped unit with a shorter watchdog; returns the shipped one."""
    baseline()
    shipped = show("WatchdogUSec")
    expect(shipped not in ("0", "infinity"), "the shipped unit has no watchdog")
    drop_in("watchdog.conf", f"[Service]\nWatchdogSec={WATCHDOG}s\n")
    run("systemctl", "restart", "hftpd")
    return shipped


@check("watchdog: the daemon is restarted when one event loop hangs, whichever it is")
def _(_context):
    shipped = start_with_watchdog()
    names = [name for _, name in intrude.waiting_threads(int(show("MainPID")))]
    expect(names, "no thread waits for events")
    seen = []
    for index, name in enumerate(names[:3]):
        threads = intrude.waiting_threads(int(show("MainPID")))
        expect(len(threads) > index, f"the threads are {threads}")
        restarts, since = int(show("NRestarts")), cursor()
        with subprocess.Popen([sys.executable, intrude.__file__, "hold", str(threads[index][0])], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as holder:
            expect(holder.stdout.readline() == "held\n", "the thread cannot be stopped")
            begun = time.monotonic()
            wait(f"the restart with thread {name} stopped", lambda: int(show("NRestarts")) > restarts, 15)
            wait("the daemon is active", lambda: show("ActiveState") == "active")
        fired = wait("a journal entry of the watchdog", lambda: watchdog_fired(since))
        expect("a10" in listing(), "does not serve")
        # The interval starts with the last WATCHDOG=1, which may report what was done before the thread was stopped.
        expect(fired - begun < WATCHDOG * 1.5 + 0.5, f"{name}: fired after {fired - begun:.1f} s")
        seen.append(f"{name} {fired - begun:.1f} s")
    return f"shipped {shipped}; with {WATCHDOG} s, stopped until the watchdog fired, and restarted: {', '.join(seen)}"


@check("watchdog: the daemon is restarted after SIGSTOP of the whole process")
def _(_context):
    start_with_watchdog()
    restarts, since = int(show("NRestarts")), cursor()
    begun = time.monotonic()
    run("kill", "-STOP", show("MainPID"))
    wait("the restart", lambda: int(show("NRestarts")) > restarts, 15)
    fired = wait("a journal entry of the watchdog", lambda: watchdog_fired(since))
    expect(fired - begun < WATCHDOG + 0.5, f"fired after {fired - begun:.1f} s")
    wait("it serves", lambda: show("ActiveState") == "active" and "a10" in listing())
    return f"fired after {fired - begun:.1f} s"


@check("a start with a broken configuration fails with 78 and is not retried")
def _(_context):
    baseline()
    write_config(extra="no-such-setting = 1\n")
    run("systemctl", "restart", "hftpd", bad=True)
    expect(show("ActiveState") == "failed" and show("ExecMainStatus") == "78" and show("NRestarts") == "0",
           f"{show('ActiveState')}, status {show('ExecMainStatus')}, {show('NRestarts')} restarts")
    return "failed at once with 78"
