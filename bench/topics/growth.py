"""How the cost of a request grows: with threads, with processes, and with a full buffer."""

from __future__ import annotations

from typing import Dict, List

import plot
from measure import Table, quartiles, ratio
from workbench import SilentService, Workbench

THREADS = [1, 2, 4, 8, 16, 32, 64]
PROCESSES = [1, 2, 4, 8, 16]
SERIES = {
    "threads": ("threads, buffer emptied as in life", THREADS),
    "full": ("threads, buffer full", THREADS),
    "processes": ("processes", PROCESSES),
}


def run(bench: Workbench) -> List[Table]:
    table = Table("growth", "How the cost of a request grows: ns of its thread's CPU")
    drawn: Dict[str, List[plot.Point]] = {}
    with SilentService() as service:
        for mode, (label, counts) in SERIES.items():
            one: List[float] = []
            drawn[label] = []
            for count in counts[:: 3 if bench.quick else 1]:
                command = [bench.native("growth"), service.url, mode, count, bench.rounds(7)]
                values = bench.values(command)[mode]
                one = one or values
                row = table.add(
                    f"{label}: {count}", "ns", values, ratio=ratio(values, one), to="1"
                )
                drawn[label].append((count, row.median, *quartiles(values)))
    plot.lines(
        bench.directory / "growth.svg",
        "CPU time of a request (dynoscale_agent_request)",
        "threads, or processes, all at once",
        "ns",
        drawn,
    )
    return [table]
