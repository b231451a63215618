"""Reading rows, charts, disk, a start: each beside what SQLite or a bare loop needs for the same."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Dict, List

from measure import Table, ratio
from served import Bench, Service, add_apps
from standing_costs import bodies, report_all


def rows(bench: Bench) -> Table:
    table = Table("rows", "Parsing rows, one of ten quoted, beside a bare loop over the same bytes")
    with tempfile.TemporaryDirectory() as directory:
        found = bench.data("rows", Path(directory))
    for name, figure in found.items():
        ratios = ratio(figure.values, figure.references)
        held = "sketch" in name
        table.add(
            name, "ns a row", figure.values, ratio=ratios, to="a bare loop",
            bar="<= 1.5" if held else "", met=statistics.median(ratios) <= 1.5 if held else None,
        )  # fmt: skip
    return table


def charts(bench: Bench) -> Table:
    table = Table("charts", "A chart of one series as JSON, beside SQLite's read of its bytes")
    with tempfile.TemporaryDirectory() as directory:
        found = bench.data("chart", Path(directory))
    for name, figure in found.items():
        ratios = ratio(figure.values, figure.references)
        held = "pages in memory" in name  # as the threads of the API have them
        table.add(
            name, "µs", figure.values, ratio=ratios, to="SQLite's read", bar="<= 2" if held else "",
            met=statistics.median(ratios) <= 2 if held else None,
        )  # fmt: skip
    return table


def trials(bench: Bench) -> Table:
    table = Table("trials", "Trying rules on what was stored of a process, beside those in force")
    with tempfile.TemporaryDirectory() as directory:
        found = bench.trials(Path(directory), bench.rounds(5))
    for name, figure in found.items():
        table.add(name, "s of CPU", figure.values, bar="<= 2",
                  met=statistics.median(figure.values) <= 2)  # fmt: skip
    table.notes.append("both sets of rules, the reading and the model's check with the dynos that ran")
    return table


def disk(bench: Bench) -> Table:
    """Measured: 30 days of each kind of series, and two days of each kind of process."""
    table = Table("disk", "Disk of 30 days: 100 apps of 10 series and two processes")
    with tempfile.TemporaryDirectory() as directory:
        series = bench.data("disk", Path(directory) / "series")
        ledger = bench.data("ledger", Path(directory) / "ledger")
    of_series = series["disk of 30 days, 100 apps of 10 series"].values
    of_ledger = ledger["ledger of 30 days, 100 apps of two processes"].values
    whole = of_series[0] + of_ledger[0]
    table.add("all", "GB", [whole], bar="<= 2", met=whole <= 2)
    table.add("what was measured", "GB", of_series)
    table.add("the ledger", "GB", of_ledger)
    for name, figure in series.items():
        if ": " in name:
            table.add(f"  1,000 series as {name.partition(': ')[2]}", "GB", figure.values)
    for name, figure in ledger.items():
        if name.startswith("a tick"):
            table.add(f"  {name}", "bytes", figure.values)
    table.notes.append(
        "30 days of one series of each kind, times how many an app has (data.c, `kinds`), times 100 apps"
    )
    table.notes.append("two days of ticks of a web and a worker process, times 15, times 100 apps")
    return table


def seconds_to_start(folder: Path, data: Path) -> float:
    began = time.monotonic()
    with Service(folder, data=data).start() as service:
        took = time.monotonic() - began
        service.stop(seconds=60)
    return took


def multiply(file: Path, times: int) -> None:
    """As many series more, each with the chunks of those that there are; ticks likewise."""
    with sqlite3.connect(file) as db:
        for copy in range(1, times):
            db.execute(
                "INSERT INTO chunk (app, series, level, start_s, points, sketches) SELECT app + ?1, "
                "series + ?1 * 1000, level, start_s, points, sketches FROM chunk WHERE app = 1", [copy]
            )  # fmt: skip
            db.execute(
                "INSERT INTO series (id, app, source, signal, newest_s) SELECT id + ?1 * 1000, "
                "app + ?1, source, signal, newest_s FROM series WHERE app = 1", [copy]
            )  # fmt: skip
            db.execute(
                "INSERT INTO tick_pack (app, process, start_s, changes, data) SELECT app + ?1, "
                "process, start_s, changes, data FROM tick_pack WHERE app = 1", [copy]
            )  # fmt: skip


def start(bench: Bench) -> Table:
    """Both have the same last minutes, of 20 apps that have just reported."""
    times: Dict[str, List[float]] = {"hour": [], "month": []}
    apps = 2 if bench.quick else 20
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        bench.data("disk", folder / "month")
        bench.data("ledger", folder / "month")
        multiply(folder / "month" / "dynoscaled.db", 5 if bench.quick else 100)
        size = (folder / "month" / "dynoscaled.db").stat().st_size
        report = bodies(840, 5)
        for name in times:
            with Service(folder, data=folder / name).start() as service:
                report_all(service, add_apps(service, apps), report)
                service.stop(seconds=60)
        for _ in range(bench.rounds(11)):
            for name, found in times.items():
                found.append(seconds_to_start(folder, folder / name) * 1000)
    table = Table("start", "From the start of the program until it answers")
    ratios = ratio(times["month"], times["hour"])
    table.add(
        f"with 30 days, {size / 1e9:.2f} GB", "ms", times["month"], ratio=ratios, to="an hour",
        bar="<= 1.5", met=statistics.median(ratios) <= 1.5,
    )  # fmt: skip
    table.add("with an hour", "ms", times["hour"])
    return table
