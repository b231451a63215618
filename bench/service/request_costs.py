"""A report from the socket to its durable answer: CPU time, and how long answers take."""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Dict, List

from measure import Rounds, Table, ratio
from served import Bench, Service, add_apps, cpu_of_load, nginx_sink

APPS = 100
CONNECTIONS = 32
COMMIT_MS = 15
BARS = {100: 2.0, 1000: 1.5}


def report(bench: Bench) -> Table:
    """One row of ten is a quoted queue's. The groups are those that the service made in the round."""
    table = Table(
        "report",
        f"CPU from a report to its durable 2xx: {APPS} apps, {CONNECTIONS} connections that never rest",
    )
    with tempfile.TemporaryDirectory() as directory:
        with nginx_sink(Path(directory)) as nginx:
            for rows, bar in BARS.items():
                data = Path(directory) / str(rows)
                with Service(directory, "--held-mb", "256", data=data).start() as service:
                    paths = ",".join(add_apps(service, APPS))
                    found: Dict[str, Rounds] = defaultdict(list)
                    for _ in range(bench.rounds(5)):
                        report_round(bench, service, nginx.pid, nginx.port, paths, rows, found)
                judge_report(table, rows, bar, found)
    return table


def report_round(
    bench: Bench, service: Service, nginx: int, port: int, paths: str, rows: int,
    found: Dict[str, Rounds],
) -> None:  # fmt: skip
    shape = {"rows": rows, "series": 2}
    seconds = bench.seconds(2)
    us, _ = cpu_of_load(nginx, bench.load, port, paths, CONNECTIONS, seconds, **shape)
    found["nginx"].append(us)
    before = {name: service.metric(f"{name}_total") for name in ("reports", "commits")}
    us, figures = cpu_of_load(
        service.pid, bench.load, service.port, paths, CONNECTIONS, seconds, **shape
    )
    assert figures["others"] == 0, figures
    reports = service.metric("reports_total")
    group = (reports - before["reports"]) / (service.metric("commits_total") - before["commits"])
    found["service"].append(us)
    found["group"].append(group)
    bare = bench.data("bare", service.data, rows, int(reports), max(round(group), 1))
    found["loop"] += bare["a bare loop"].values
    found["sqlite"] += bare["SQLite"].values


def judge_report(table: Table, rows: int, bar: float, found: Dict[str, Rounds]) -> None:
    whole = [sum(parts) for parts in zip(found["nginx"], found["loop"], found["sqlite"])]
    ratios = ratio(found["service"], whole)
    table.add(
        f"{rows:,} rows", "µs", found["service"], ratio=ratios, to="the three", bar=f"<= {bar:g}",
        met=statistics.median(ratios) <= bar,
    )  # fmt: skip
    table.add("  nginx takes and answers the same", "µs", found["nginx"])
    table.add("  a bare loop over the rows", "µs", found["loop"])
    table.add("  SQLite commits the same group", "µs", found["sqlite"])
    table.add("  reports in a group", "", found["group"])
    samples = [rows / us for us in found["service"]]
    table.add("  samples in a CPU-second", "million", samples)


def answers(bench: Bench) -> Table:
    table = Table("answers", "Answer times of 1,000 connections that report 100 rows each 10 s")
    found: Dict[str, List[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        with nginx_sink(Path(directory)) as nginx:
            with Service(directory).start() as service:
                paths = ",".join(add_apps(service, APPS))
                for _ in range(bench.rounds(5)):
                    for name, port in (("nginx", nginx.port), ("service", service.port)):
                        figures = bench.loaded(
                            port, paths, 1000, 10 if not bench.quick else 3, interval_ms=10000,
                            series=10,
                        )  # fmt: skip
                        assert figures["others"] == 0, figures
                        for figure in ("p50_ms", "p99_ms", "max_ms"):
                            found[f"{name} {figure}"].append(figures[figure])
    bars = [COMMIT_MS + 3 * ms for ms in found["nginx p99_ms"]]
    ratios = ratio(found["service p99_ms"], bars)
    table.add(
        "p99", "ms", found["service p99_ms"], ratio=ratios, to=f"{COMMIT_MS} ms + 3 x nginx's p99",
        bar="<= 1", met=statistics.median(ratios) <= 1,
    )  # fmt: skip
    table.add("p50", "ms", found["service p50_ms"])
    table.add("the slowest", "ms", found["service max_ms"])
    for figure, label in (("p99_ms", "p99"), ("p50_ms", "p50"), ("max_ms", "the slowest")):
        table.add(f"nginx, {label}", "ms", found[f"nginx {figure}"])
    return table
