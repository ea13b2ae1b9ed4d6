"""No connection is lost through reloads, restarts, upgrades and crashes."""

import time

from clients import LOAD_CLIENTS, MIN_CONNECTIONS, Load, listing
from harness import check, expect
from host import baseline, drop_in, install, run, show, wait, write, write_config


def five_reloads(_context, _package):
    roots = ("/srv/hftp", "/srv/same")
    write(f"{roots[1]}/a10", "0123456789")
    for number in range(5):
        write_config(root=roots[(number + 1) % 2])
        run("systemctl", "reload", "hftpd")
        yield
    write_config()


def two_restarts(_context, _package):
    for _ in range(2):
        run("systemctl", "restart", "hftpd")
        yield


def one_upgrade(context, package):
    pid = show("MainPID")
    install(f"{context.packages}/{package}")
    expect(show("MainPID") != pid, "the old process still runs")
    yield


def one_kill(_context, _package):
    restarts = int(show("NRestarts"))
    run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "hftpd")
    wait("the restart", lambda: int(show("NRestarts")) > restarts and show("ActiveState") == "active")
    yield


EVENTS = {"five reloads": five_reloads, "two restarts": two_restarts, "one upgrade": one_upgrade, "one SIGKILL": one_kill}


def run_under_load(context, event, package=""):
    """The outcomes of connections through an event, and the failures."""
    with Load() as load:
        begun = time.monotonic()
        for _ in EVENTS[event](context, package):
            load.wait_answers(50)
        load.wait_answers(MIN_CONNECTIONS // 2)
    row = load.row()
    # A connection that the killed process had accepted ends with it: at most one for each client.
    held = [at for kind, at, _, _ in load.failures if event == "one SIGKILL" and kind == "reset" and at and at < begun + 0.25]
    row["held"] = len(held) if len(held) <= LOAD_CLIENTS else 0
    row["reset"] -= row["held"]
    return row, load.failures


def expect_none_lost(row, failures):
    lost = row["refused"] + row["reset"] + row["wrong"] + row["timeout"]
    expect(lost == 0 and row["ok"] >= MIN_CONNECTIONS, f"{row}; first: {failures[:3]}")
    return ", ".join(f"{kind} {count}" for kind, count in row.items())


def none_lost_through(event):
    def function(context):
        baseline()
        row, failures = run_under_load(context, event, "hftpd_2.deb")
        context.load_table.append(("shipped", event, row))
        return expect_none_lost(row, failures)
    return function


for _event in EVENTS:
    check(f"no connection refused or reset through {_event}, of at least {MIN_CONNECTIONS}")(none_lost_through(_event))


@check("for comparison: connections lost by the unit without its file descriptor store")
def _(context):
    lost = {}
    for event in EVENTS:
        baseline()
        drop_in("no-store.conf", "[Service]\nFileDescriptorStoreMax=0\n")
        run("systemctl", "restart", "hftpd")
        row, _ = run_under_load(context, event, "hftpd_1.deb")
        context.load_table.append(("no store", event, row))
        lost[event] = row["refused"] + row["reset"]
    expect(lost["two restarts"] > 0, "no connection is lost without the store either: the checks above prove nothing")
    return "refused or reset: " + ", ".join(f"{event} {count}" for event, count in lost.items())


@check("socket unit: the first client starts the daemon, and no connection is lost through restarts")
def _(context):
    baseline()
    run("systemctl", "stop", "hftpd")
    run("systemctl", "start", "hftpd.socket")
    expect(show("ActiveState") == "inactive", "it runs before the first client")
    expect("a10" in listing(), "the first client is not served")
    expect(show("ActiveState") == "active", "it does not run")
    evidence = expect_none_lost(*run_under_load(context, "two restarts"))
    run("systemctl", "stop", "hftpd.socket", "hftpd.service")
    return evidence


def print_table(rows, version):
    print(f"\n{LOAD_CLIENTS} clients that connect without pause, systemd {version}. `held`: connections that the killed"
          "\nprocess had accepted.\n")
    columns = ("ok", "refused", "reset", "wrong", "timeout", "held", "slowest")
    print(f"{'unit':<9} {'through':<13}" + "".join(f"{column:>9}" for column in columns))
    for unit, event, row in rows:
        print(f"{unit:<9} {event:<13}" + "".join(f"{row[column]:>9}" for column in columns))
    print()
