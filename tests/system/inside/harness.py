"""The list of checks and what they share."""

CHECKS = []     # (name, function) in the order in which they run
PORT = 19500
ROOT = "/srv/hftp"


class Failed(Exception):
    """A check did not see what it requires."""


class Context:
    """State that one check leaves for later ones."""
    packages = ""           # the directory of the packages
    version = 0             # of systemd
    before = set()          # see host.snapshot
    large = (0, "")         # size and SHA-256 of the file `large`
    load_table = []         # rows of continuity.py
    scores = {}             # drop-in: score of systemd-analyze security


def expect(condition, message):
    if not condition:
        raise Failed(message)


def check(name):
    """Registers a function as a check. It returns its evidence as text."""
    def register(function):
        CHECKS.append((name, function))
        return function
    return register
