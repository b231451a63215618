"""The parts of the core, beside one reading of the clock."""

from __future__ import annotations

import statistics
from typing import List

from measure import Table, each, ratio
from workbench import SilentService, Workbench

LABELS = {
    "clock": "one reading of the clock",
    "parse ms": "queue time of 13 digits (Heroku)",
    "parse nginx": "queue time of t=10.3 digits (nginx)",
    "parse us": "queue time of t=16 digits (Apache)",
    "parse ns": "queue time of 19 digits (Render)",
    "parse list": "queue time of a list of two",
    "push": "push, alone",
    "drain": "drain, a sample",
    "csv": "CSV, a row",
    "request": "dynoscale_agent_request",
    "request off": "dynoscale_agent_request, agent off",
}
BARS = {"parse ms": 10.0, "push": 10.0}


def run(bench: Workbench) -> List[Table]:
    table = Table("core", "The core: ns of each part")
    with SilentService() as service:
        values = bench.values([bench.native("parts"), service.url, bench.rounds(15)])
        contended = bench.values(
            [bench.native("growth"), service.url, "producers", 4, bench.rounds(9)]
        )["producers"]
        four = bench.values([bench.native("growth"), service.url, "threads", 4, bench.rounds(9)])
        one = bench.values([bench.native("growth"), service.url, "threads", 1, bench.rounds(9)])
    for name, label in LABELS.items():
        bar = BARS.get(name)
        table.add(
            label,
            "ns",
            values[name],
            ratio=None if name == "clock" else ratio(values[name], values["clock"]),
            to="" if name == "clock" else "clock",
            bar=f"<= {bar:g} ns" if bar else "",
            met=statistics.median(values[name]) <= bar if bar else None,
        )
    floor = each(lambda *parts: sum(parts), values["clock"], values["parse ms"], values["push"])
    table.add(
        "dynoscale_agent_request again",
        "ns",
        values["request"],
        ratio=ratio(values["request"], floor),
        to="clock + 13 digits + push",
    )
    table.add(
        "push, 4 producers, nothing else between",
        "ns of CPU",
        contended,
        ratio=ratio(contended, values["push"]),
        to="alone",
    )
    slowdown = ratio(four["threads"], one["threads"])
    table.add(
        "request, 4 threads at once",
        "ns of CPU",
        four["threads"],
        ratio=slowdown,
        to="1 thread",
        bar="no collapse: < 2 x",
        met=statistics.median(slowdown) < 2,
    )
    return [table]
