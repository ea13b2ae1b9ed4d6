"""Rows, their medians and ratios, and tables in Markdown."""
import json
import statistics
import sys
import typing

# Beyond this spread a row is noise.
NOISE = 0.25


class Row(typing.NamedTuple):
    """A line of the table: what is compared of the turns of `peer` and `ours`."""
    label: str
    unit: str
    peer: str
    ours: str
    # Which number of a turn, and what one of them is in the unit.
    key: str = "rate"
    scale: float = 1
    # The unit of CPU time, and what a microsecond for each answer is in it.
    cpu: str = "µs"
    cpu_scale: float = 1


def summary(row, got):
    """The medians of a row and its spread, and those of CPU time, with the numbers of every round."""
    found = {"label": row.label, "unit": row.unit, **compared(row, got, row.key, row.scale)}
    if row.cpu:
        found["cpu"] = {"unit": row.cpu, **compared(row, got, "cpu", row.cpu_scale)}
    return found


def compared(row, got, key, scale):
    """One number of the two turns. Without a peer the spread is that of the number itself."""
    ours, peer = ([turn[key] * scale for turn in got.get(name, [])] for name in (row.ours, row.peer))
    values = [a / max(b, 1e-9) for a, b in zip(ours, peer)] or ours
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / max(middle, 1e-9) if values[1:] else None
    found = {"hftpd": statistics.median(ours), "spread": spread, "noise": spread is not None and spread > NOISE,
             "raw_hftpd": ours}
    if peer:
        found.update(nginx=statistics.median(peer), ratio=middle, raw_nginx=peer)
    return found


def print_rows(path, rows):
    """Prints a table. What is noise shows its spread alone, so that nobody publishes its numbers."""
    def cells(of, unit=""):
        if not of:
            return [""] * 4
        if of["noise"]:
            return ["", "", "noise", percent(of["spread"])]
        # The ratio of a single round says nothing.
        ratio = number(of.get("ratio")) if of["spread"] is not None else ""
        return [number(of.get("nginx"), unit), number(of["hftpd"], unit), ratio, percent(of["spread"])]

    lines = [(f"work, {path}", "nginx", "hftpd", "ratio", "spread", "CPU, nginx", "CPU, hftpd", "ratio", "spread")]
    for r in rows:
        cpu = r.get("cpu")
        lines.append((f"{r['label']}, {r['unit']}", *cells(r), *cells(cpu, cpu and f" {cpu['unit']}")))
    print_table(lines)
    print()


def number(value, unit=""):
    """Three significant digits."""
    if value is None:
        return ""
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}") + unit


def percent(value):
    return "" if value is None else f"{value * 100:.0f} %"


def print_table(lines):
    """The first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    for line in lines:
        cells = [cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(line, widths))]
        print(f"| {' | '.join(cells)} |")
    sys.stdout.flush()


def append_json(path, where, rows):
    with open(path, "a") as out:
        out.write(json.dumps({"path": where, "rows": rows}) + "\n")
