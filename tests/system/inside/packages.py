"""Upgrades, removal and purge: the scripts of the packages."""

import os
import shutil

from clients import is_refused, listing
from harness import PORT, check, expect
from host import CONFIG, baseline, drop_in, install, run, show, snapshot, succeeds, write, write_config


@check("upgrade keeps an edited configuration")
def _(context):
    baseline()
    text = '# edited\nroot = "/srv/hftp"\nport = 19507\n'
    write(CONFIG, text)
    install(f"{context.packages}/hftpd_2.deb")
    with open(CONFIG, encoding="ascii") as file:
        expect(file.read() == text, "it was changed")
    expect(run("dpkg-query", "-W", "-f", "${Version}", "hftpd").endswith("-2"), "not upgraded")
    expect("a10" in listing(19507), "not in force after the upgrade")
    return "unchanged and in force"


def expect_not_restarted(upgrade, reason):
    """Runs an upgrade that must leave the running process alone and give the reason; returns that line."""
    pid = show("MainPID")
    out = upgrade()
    expect(show("MainPID") == pid and "a10" in listing(), f"the daemon was restarted: {out}")
    expect("not restarted" in out and reason in out, f"no reason is given: {out}")
    return next(line.strip() for line in out.splitlines() if reason in line)


@check("upgrade with a configuration that the unit cannot use leaves the old process serving")
def _(context):
    def upgrade():
        return install(f"{context.packages}/hftpd_1.deb")

    evidence = []
    baseline()
    write_config(extra="no-such-setting = 1\n")
    evidence.append(expect_not_restarted(upgrade, "no-such-setting"))
    # Root may read these, the unit may not: by the file's mode, the directory's mode, and the sandbox.
    baseline()
    os.chmod(CONFIG, 0o600)
    evidence.append(expect_not_restarted(upgrade, "Permission denied"))
    os.chmod(CONFIG, 0o644)
    os.makedirs("/srv/private", mode=0o700, exist_ok=True)
    write_config(root="/srv/private")
    evidence.append(expect_not_restarted(upgrade, "/srv/private"))
    write("/home/bob/a10", "0123456789")
    write_config(root="/home/bob")
    evidence.append(expect_not_restarted(upgrade, "/home/bob"))
    return "; ".join(evidence)


@check("upgrade restarts a unit whose drop-in permits what the shipped unit does not")
def _(context):
    baseline()
    drop_in("home.conf")
    write("/home/bob/a10", "0123456789")
    write_config(root="/home/bob")
    run("systemctl", "restart", "hftpd")
    pid = show("MainPID")
    out = install(f"{context.packages}/hftpd_2.deb")
    expect(show("MainPID") != pid and listing() == ["a10"], f"not restarted: {out}")
    expect(os.path.exists("/run/hftpd/control"), "the check removed the control socket")
    shutil.rmtree("/home/bob")
    os.rmdir("/srv/private")
    return "root below /home with home.conf"


def expect_locked_user():
    expect(succeeds("getent", "passwd", "hftp"), "the user was removed")
    expect(run("getent", "passwd", "hftp").endswith("/nologin"), f"a shell: {run('getent', 'passwd', 'hftp')}")
    expect(run("getent", "shadow", "hftp").split(":")[1].startswith("!"), "the password is not locked")


@check("remove stops the daemon and keeps the configuration; purge removes all but the locked user")
def _(context):
    baseline()
    run("dpkg", "-r", "hftpd")
    expect(is_refused(PORT) and os.path.exists(CONFIG), "it still serves, or the configuration was removed")
    expect("hftpd" not in run("ps", "-eo", "comm="), "a process is left")
    # A file elsewhere: a later user with the same id would own it.
    write("/opt/owned-by-hftp", "")
    run("chown", "hftp", "/opt/owned-by-hftp")
    # As an administrator could have left it.
    run("usermod", "--shell", "/bin/sh", "--password", "x", "hftp")
    run("dpkg", "-P", "hftpd")
    expect(os.path.exists("/srv/hftp/a10"), "it removed published files")
    expect_locked_user()
    expect(run("stat", "-c", "%U", "/opt/owned-by-hftp") == "hftp", "the owner of a file has no name any more")
    # Again, with nothing published.
    run("rm", "-rf", "/srv/hftp", "/srv/other", "/srv/same", "/opt/owned-by-hftp")
    install(f"{context.packages}/hftpd_1.deb")
    expect(run("systemctl", "is-enabled", "hftpd.service") == "enabled" and listing() == [], "not installed again")
    run("dpkg", "-P", "hftpd")
    expect_locked_user()
    # The lower layer may be a machine in use, so only paths that were written inside count.
    left = sorted(path for path in snapshot() - context.before if ":" in path or os.path.lexists(f"/run/lab/upper{path}"))
    expect(left == [f"/etc/{file}:hftp" for file in ("group", "gshadow", "passwd", "shadow")], f"left: {left}")
    expect(not os.path.exists("/run/hftpd"), "left: /run/hftpd")
    units = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "hftpd*")
    expect(not units, f"left in systemd: {units}")
    return "compared with the system before the installation: no path more, the user is locked"


@check("rpm: the scripts enable, start nothing, keep a process whose configuration is refused, and restart it otherwise")
def _(context):
    if not shutil.which("rpm"):
        return "not here: there is no rpm(8)"

    def rpm(*arguments):
        return run("rpm", "--force-debian", "--nodeps", *arguments)

    rpm("-i", f"{context.packages}/hftpd_1.rpm")
    expect(run("systemctl", "is-enabled", "hftpd.service") == "enabled", "not enabled")
    expect(show("ActiveState") == "inactive", "started by the installation")
    write("/srv/hftp/a10", "0123456789")
    baseline()
    os.chmod(CONFIG, 0o600)
    evidence = expect_not_restarted(lambda: rpm("-U", f"{context.packages}/hftpd_2.rpm"), "Permission denied")
    os.chmod(CONFIG, 0o644)
    pid = show("MainPID")
    rpm("-U", "--oldpackage", f"{context.packages}/hftpd_1.rpm")
    expect(show("MainPID") != pid and "a10" in listing(), "not restarted")
    rpm("-e", "hftpd")
    expect(is_refused(PORT) and not os.path.exists("/usr/bin/hftpd"), "not erased")
    expect(os.path.exists("/srv/hftp/a10"), "it removed published files")
    return evidence
