"""Reporting: rows a second as CSV, and the CPU time from samples to reports that were accepted."""

from __future__ import annotations

import statistics
from typing import List

from measure import Table, each, ratio
from sink import Sink
from workbench import SilentService, Workbench

SAMPLES = 100_000
BAR = 20


def run(bench: Workbench) -> List[Table]:
    table = Table("reporting", f"Reporting: {SAMPLES:,} samples to reports that were accepted")
    with SilentService() as service:
        parts = bench.values([bench.native("parts"), service.url, bench.rounds(9)])
    millions = each(lambda ns: 1000 / ns, parts["csv"])
    table.add(
        "CSV encoding",
        "million rows/s",
        millions,
        ratio=ratio(parts["csv"], parts["memcpy"]),
        to="memcpy of the same bytes (time)",
        bar=f">= {BAR}",
        met=statistics.median(millions) >= BAR,
    )
    with Sink() as sink:
        command = [bench.native("reporting"), sink.url, SAMPLES, bench.rounds(9)]
        whole = bench.values(command)
    table.add("memcpy of the same bytes, from cold memory", "ms of CPU", whole["memcpy ms"])
    table.add(
        "from request to accepted report, libcurl and kernel included",
        "ms of CPU",
        whole["cpu ms"],
        ratio=ratio(whole["cpu ms"], whole["memcpy ms"]),
        to="memcpy",
    )
    table.add(
        "of that, the requests themselves",
        "ms of CPU",
        whole["record cpu ms"],
        ratio=ratio(whole["record cpu ms"], whole["cpu ms"]),
        to="the whole",
    )
    return [table]
