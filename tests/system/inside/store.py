"""Listeners in the file descriptor store of the service manager."""

from clients import is_refused, listing
from harness import PORT, check, expect
from host import baseline, cursor, journal, run, show, wait, write_config


@check("store: a listener that a reload removes is closed in the daemon and in the store")
def _(_context):
    baseline()
    before = int(show("NFileDescriptorStore"))
    write_config(port=PORT + 3)
    run("systemctl", "reload", "hftpd")
    # The daemon's FDSTOREREMOVE=1 may still be under way.
    wait("the old port is closed", lambda: is_refused(PORT))
    expect(int(show("NFileDescriptorStore")) == before, f"{before} stored before, {show('NFileDescriptorStore')} after")
    return f"{before} stored before and after, port {PORT} refuses"


@check("store: a stored listener that the configuration does not name is closed at the next start")
def _(_context):
    baseline()
    write_config(port=PORT + 4)
    since = cursor()
    run("systemctl", "restart", "hftpd")
    wait("the old port is closed", lambda: is_refused(PORT))
    expect("a10" in listing(PORT + 4), "the new port does not serve")
    expect(show("NFileDescriptorStore") == "1", f"{show('NFileDescriptorStore')} stored")
    return f"port {PORT} refuses, 1 stored; " + (journal(since).splitlines() or [""])[-1]


@check("store: systemctl stop closes the listeners")
def _(_context):
    baseline()
    run("systemctl", "stop", "hftpd")
    wait("the port is closed", lambda: is_refused(PORT))
    run("systemctl", "start", "hftpd")
    expect("a10" in listing(), "does not serve afterwards")
    return f"port {PORT} refuses while the unit is stopped"
