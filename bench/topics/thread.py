"""CPU time of the native thread while its process answers about 5,000 requests a second."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from typing import Dict, List

import kernel
from appservers import SERVERS, AppServer, Load, wrk
from measure import Rounds, Table
from sink import Sink
from workbench import Missing, Workbench, agent_on

RATE = 5000  # about
CONNECTIONS = 8
PAUSE_MS = 1  # and about half as much for the answer
BAR = 0.5


def run(bench: Workbench) -> List[Table]:
    table = Table("thread", f"The native thread at about {RATE:,} requests a second")
    table.notes.append("reports leave every 5 s, six times as often as by default")
    for server in SERVERS:
        try:
            kernel.need_linux()
            server.need()
            measure(bench, table, server)
        except Missing as reason:
            table.notes.append(f"{server.name}: {reason}")
    return [table]


def measure(bench: Workbench, table: Table, server: AppServer) -> None:
    rates: Rounds = []
    of_process: Rounds = []
    of_core: Rounds = []
    with bench.temporary() as directory, Sink() as sink:
        on = {**agent_on(sink.url), "DYNOSCALE_PUBLISH_FREQUENCY": "5"}
        with server.started(bench, Path(directory), "on", CONNECTIONS, on) as served:
            wrk(served.port, bench.seconds(2), CONNECTIONS, PAUSE_MS)
            for _ in range(bench.rounds(5)):
                load, spent, seconds = during_load(bench, served.process.pid, served.port)
                rates.append(load.requests_per_s)
                of_process.append(100 * spent["agent"] / spent["all"])
                of_core.append(100 * spent["agent"] / seconds)
    table.add(f"{server.name}: rate", "requests/s", rates)
    table.add(
        f"{server.name}: the thread's part of the process's CPU time",
        "%",
        of_process,
        bar=f"<= {BAR:g} %",
        met=statistics.median(of_process) <= BAR,
    )
    table.add(f"{server.name}: the thread's part of one CPU", "%", of_core)


def during_load(bench: Workbench, pid: int, port: int) -> tuple[Load, Dict[str, float], float]:
    """The load, and the CPU time spent in the same seconds."""
    result: List[Load] = []
    duration = bench.seconds(5)
    load = threading.Thread(
        target=lambda: result.append(wrk(port, duration, CONNECTIONS, PAUSE_MS))
    )
    before, started = kernel.cpu_seconds(pid), time.monotonic()
    load.start()
    load.join()
    after, seconds = kernel.cpu_seconds(pid), time.monotonic() - started
    return result[0], {name: after[name] - before[name] for name in after}, seconds
