"""How cost grows with connections, sizes and names."""
import os
import shutil
import statistics
import threading

from . import machine
from .report import number, print_table

# Beyond this much more CPU for each unit than at the step before, cost grows faster than the work.
TOLERANCE = 1.5


def run(bench):
    """Prints the tables. Each cell is CPU time, the median of the rounds."""
    hftpd, rows = bench.start_hftpd(), []

    def table(title, head, counts, columns):
        """Each of `columns` is what the work of a count costs, by how much it is divided to be shown, and how much of it
        is noise. Ten times the count may cost ten times as much."""
        machine.note(title)
        lines, last = [(head, *columns)], {}
        for count in counts:
            cells = []
            for name, (cost, per, noise) in columns.items():
                value = statistics.median(cost(count) for _ in range(bench.options.rounds))
                steep = name in last and value > TOLERANCE * last[name][1] * count / last[name][0] + noise
                if count:
                    last[name] = (count, value)
                rows.append({"table": title, "column": name, "count": count, "cost": value, "worse": steep})
                cells.append(number(value / per(count)) + " (!)" * steep)
            lines.append((f"{count:,}", *cells))
        print(f"{title}\n")
        print_table(lines)
        print()

    def answers(count):
        return count * bench.measure("loop", hftpd, "raw", name="f4k", size=4096, connections=count)["cpu"]

    def idle(count):
        server = bench.start_hftpd()
        try:
            after, before, _ = bench.waiting(server, "raw", count)
            return max(after - before, 0)
        finally:
            server.stop()

    table("Connections that ask for 4 KiB again and again, and connections that wait", "connections",
          sorted({bench.clients(10 ** n) for n in range(5)}),
          {"CPU for each answer, µs": (answers, lambda count: count, 0),
           "memory of all that wait, KiB": (idle, lambda _: 1024, 256 * 1024)})

    def transfer(form):
        def cost(size):
            file = bench.www / f"size-{size}"
            if not file.exists():
                with open(bench.www / "large", "rb") as large, open(file, "wb") as out:
                    shutil.copyfileobj(large, out) if size == bench.large else out.write(large.read(size))
            return bench.measure("loop", hftpd, form, name=file.name, size=size)["cpu"]
        return cost, lambda _: 1, 20

    sizes = [size for size in (0, 1, 1 << 10, 1 << 15, 1 << 20, 1 << 25, 1 << 30) if size <= bench.large]
    table("Slices of a whole file, one connection", "bytes", sizes,
          {f"{form}, CPU µs": transfer(form) for form in ("raw", "fragments", "base64")})

    roots = {}

    def listing(changed):
        def cost(count):
            root = bench.dir / f"names-{count}"
            if count not in roots:
                roots[count] = bench.make_names(root, count)
            server, done = bench.start_hftpd(root), threading.Event()

            # What was changed in the last two seconds is read anew for each listing.
            def touch():
                while not done.wait(0.3):
                    os.utime(root)
            thread = threading.Thread(target=touch) if changed else None
            try:
                if thread:
                    os.utime(root)
                    thread.start()
                else:
                    bench.settle(root)
                return bench.measure("loop", server, "listing", size=roots[count])["cpu"]
            finally:
                done.set()
                if thread:
                    thread.join()
                server.stop()
        return cost, lambda _: 1, 20

    table("Listings", "names", [10 ** n for n in range(6)],
          {"unchanged directory, CPU µs": listing(False), "directory just changed, CPU µs": listing(True)})
    steep = [f"{r['column']} at {r['count']:,}" for r in rows if r["worse"]]
    print(f"{'Worse than linear: ' + '; '.join(steep) if steep else 'Nothing grew worse than linear'}.")
    return rows
