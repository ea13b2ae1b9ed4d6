#!/usr/bin/env python3
"""Installs, uses, upgrades and purges the package under a systemd that is PID 1.

    python3 inside DIRECTORY [WORD...]    checks whose name contains a word, all without one

DIRECTORY holds the packages; the numbers of passed and failed checks are written to DIRECTORY/result. A check starts
from the shipped unit with a minimal configuration, and prints a line with its evidence. It waits for events, with a
limit of time.
"""

import json
import re
import subprocess
import sys
import time
import traceback

# An import registers the checks of a module; the package is installed by the first and purged by the last.
import reloading
import distant
import continuity
import stopping
import store
import sandbox
import dropins
import packages
from harness import CHECKS, Context, Failed
from host import run


def main():
    context = Context()
    context.packages = sys.argv[1]
    context.version = int(re.match(r"systemd (\d+)", run("systemctl", "--version")).group(1))
    words = sys.argv[2:]
    passed = failed = 0
    for name, function in CHECKS:
        if words and not any(word in name for word in [*words, "install:"]):
            continue
        begun = time.monotonic()
        try:
            evidence = function(context)
            verdict, passed = "ok", passed + 1
        except (Failed, OSError, subprocess.SubprocessError, RuntimeError) as error:
            evidence, verdict, failed = f"{type(error).__name__}: {error}", "FAILED", failed + 1
            if not isinstance(error, Failed):
                evidence += "\n" + traceback.format_exc()
            evidence += "\n" + "\n".join("    | " + line for line in subprocess.run(
                ["journalctl", "-u", "hftpd.service", "-n", "25", "-o", "short-precise", "--no-hostname"],
                capture_output=True, text=True, check=False).stdout.splitlines())
        print(f"{verdict} [systemd {context.version}] {name} -- {evidence} ({time.monotonic() - begun:.1f} s)", flush=True)
    if context.load_table:
        continuity.print_table(context.load_table, context.version)
    with open(f"{context.packages}/result", "w", encoding="ascii") as file:
        json.dump({"passed": passed, "failed": failed}, file)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
