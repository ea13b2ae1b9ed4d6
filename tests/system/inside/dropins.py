"""The drop-ins that are shipped as examples."""

import os
import subprocess

from clients import is_refused, listing
from harness import PORT, check, expect
from host import baseline, drop_in, run, show, status_field, write, write_config


@check("drop-in low-port.conf: serves on port 80 without root")
def _(_context):
    baseline()
    write_config(port=80)
    run("systemctl", "restart", "hftpd", bad=True)
    expect(show("ExecMainStatus") in ("71", "77"), f"without it: exit status {show('ExecMainStatus')}")
    run("systemctl", "stop", "hftpd")
    drop_in("low-port.conf")
    run("systemctl", "start", "hftpd")
    expect("a10" in listing(80), "does not serve")
    pid = show("MainPID")
    expect(run("ps", "-o", "user=", "-p", pid) == "hftp", "runs as another user")
    expect(int(status_field(pid, "CapBnd"), 16) == 1 << 10, f"capabilities {status_field(pid, 'CapBnd')}")
    write_config(port=81)
    run("systemctl", "reload", "hftpd")
    expect("a10" in listing(81), "a reload is not in force")
    return "80, and 81 by a reload; as hftp, CAP_NET_BIND_SERVICE alone; without it exit status 71 or 77"


@check("drop-in start-as-root.conf: privileges are dropped for good; reload and status work")
def _(_context):
    baseline()
    drop_in("start-as-root.conf")
    write_config(port=80, extra='user = "hftp"\ngroup = "hftp"\n')
    run("systemctl", "restart", "hftpd")
    expect("a10" in listing(80), "does not serve")
    pid = show("MainPID")
    user, group = run("id", "-u", "hftp"), run("id", "-g", "hftp")
    expect(status_field(pid, "Uid").split() == [user] * 4 and status_field(pid, "Gid").split() == [group] * 4,
           f"identities {status_field(pid, 'Uid')} and {status_field(pid, 'Gid')}")
    expect(status_field(pid, "Groups") in ("", group), f"groups {status_field(pid, 'Groups')}")
    for field in ("CapEff", "CapPrm", "CapAmb"):
        expect(int(status_field(pid, field), 16) == 0, f"{field} {status_field(pid, field)}")
    write_config(port=PORT)
    run("systemctl", "reload", "hftpd")
    expect("a10" in listing(), "a reload is not in force")
    run("hftpd", "status")
    run("systemctl", "restart", "hftpd")
    expect("a10" in listing(), "a restart fails")
    return f"uid {user} four times, no capability"


@check("drop-in home.conf: a root under /home")
def _(_context):
    baseline()
    write("/home/alice/public/c30", "0123456789" * 3)
    write_config(root="/home/alice/public")
    run("systemctl", "restart", "hftpd", bad=True)
    run("systemctl", "stop", "hftpd")
    drop_in("home.conf")
    run("systemctl", "start", "hftpd")
    expect(listing() == ["c30"], f"lists {listing()}")
    run("systemctl", "stop", "hftpd")
    run("rm", "-r", "/home/alice")
    return "served; without it the start fails"


@check("drop-in mounts.conf: starts after its mount and stops with it")
def _(_context):
    baseline()
    run("systemctl", "stop", "hftpd")
    unit = "/run/systemd/system/srv-hftp.mount"
    write(unit, "[Mount]\nWhat=tmpfs\nWhere=/srv/hftp\nType=tmpfs\n")
    drop_in("mounts.conf")
    try:
        run("systemctl", "start", "hftpd")
        expect(show("ActiveState", "srv-hftp.mount") == "active", "the mount was not pulled in")
        expect(listing() == [], f"lists {listing()}")
        write("/srv/hftp/d", "")
        expect(listing() == ["d"], f"lists {listing()}")
        run("systemctl", "stop", "srv-hftp.mount")
        expect(show("ActiveState") == "inactive", f"is {show('ActiveState')} after the unmount")
    finally:
        subprocess.run(["systemctl", "stop", "hftpd", "srv-hftp.mount"], check=False)
        os.unlink(unit)
        run("systemctl", "daemon-reload")
    return "started after the mount, stopped with it"


@check("drop-in notify-reload.conf (systemd 253 and later)")
def _(context):
    if context.version < 253:
        return f"not on systemd {context.version}"
    baseline()
    drop_in("notify-reload.conf")
    run("systemctl", "restart", "hftpd")
    pid = show("MainPID")
    write_config(port=PORT + 5)
    run("systemctl", "reload", "hftpd")
    expect("a10" in listing(PORT + 5) and is_refused(PORT), "not in force when reload returns")
    write_config(extra="no-such-setting = 1\n")
    run("systemctl", "reload", "hftpd", bad=True)
    expect(show("MainPID") == pid and "a10" in listing(PORT + 5), "a bad file changed something")
    return "in force when reload returns; a bad file fails it"


