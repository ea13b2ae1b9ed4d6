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
    def of(name, key, scale):
        return [turn[key] * scale for turn in got.get(name, [])]

    def ratios(key):
        return [ours[key] / max(peer[key], 1e-9) for peer, ours in zip(got.get(row.peer, []), got[row.ours])]

    median = statistics.median
    found = {"label": row.label, "unit": row.unit, "hftpd": median(of(row.ours, row.key, row.scale))}
    if row.cpu:
        found.update(cpu_unit=row.cpu, cpu_hftpd=median(of(row.ours, "cpu", row.cpu_scale)))
    if row.peer in got:
        paired = ratios(row.key)
        spread = (max(paired) - min(paired)) / max(median(paired), 1e-9) if paired[1:] else None
        found.update(nginx=median(of(row.peer, row.key, row.scale)), ratio=median(paired), spread=spread,
                     noise=spread is not None and spread > NOISE)
        if row.cpu:
            found.update(cpu_nginx=median(of(row.peer, "cpu", row.cpu_scale)), cpu_ratio=median(ratios("cpu")))
    return found


def print_rows(path, rows):
    lines = [(f"work, {path}", "nginx", "hftpd", "ratio", "spread", "CPU, nginx", "CPU, hftpd", "ratio")]
    for r in rows:
        cpu = [f"{number(r[key])} {r['cpu_unit']}" if key in r else "" for key in ("cpu_nginx", "cpu_hftpd")]
        # The ratio of a single round says nothing either.
        ratio = "noise" if r.get("noise") else number(r.get("ratio")) if r.get("spread") is not None else ""
        lines.append((f"{r['label']}, {r['unit']}", number(r.get("nginx")), number(r["hftpd"]), ratio,
                      percent(r.get("spread")), *cpu, number(r.get("cpu_ratio"))))
    print_table(lines)
    print()


def number(value):
    """Three significant digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


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
