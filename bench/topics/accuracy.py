"""Accuracy: nginx stamps each request and a hop delays it for a known time. When the server calls the
app, a clock is read just before the agent reads its own. The agent's rows are compared with that
reading."""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from appservers import SERVERS, AppServer, wrk
from measure import Table
from processes import Nginx, find_nginx
from receiver import ReceiverProcess
from workbench import Missing, Workbench, agent_on

RATES = [50, 500, 2000]
DELAY_MS = 20
CONNECTIONS = {50: 4, 500: 16, 2000: 64}
BAR_MS = 1


def run(bench: Workbench) -> List[Table]:
    table = Table("accuracy", f"Accuracy: stamped by nginx, held for {DELAY_MS} ms by a hop")
    table.notes.append(
        "the whole ms that the agent reports and what the clock before it says, each sorted; "
        "rounding down is up to 1 ms of their difference"
    )
    for server in SERVERS:
        try:
            if find_nginx() is None:
                raise Missing("not measured: needs nginx")
            server.need()
            for rate in RATES[-1:] if bench.quick else RATES:
                measure(bench, table, server, rate)
        except Missing as reason:
            table.notes.append(f"{server.name}: {reason}")
    return [table]


def measure(bench: Workbench, table: Table, server: AppServer, rate: int) -> None:
    connections = CONNECTIONS[rate]
    pause_ms = max(1.0, 1000 * connections / rate - DELAY_MS - 1)
    with bench.temporary() as name, ReceiverProcess() as receiver:
        directory = Path(name)
        truth = directory / "truth"
        settings = {**agent_on(f"{receiver.url}/token"), "TRUTH": str(truth)}
        with server.started(bench, directory, "app", connections, settings) as served:
            with hop(bench, served.port) as hop_port:
                with Nginx(directory, hop_port, keepalive=connections).start() as nginx:
                    started = time.monotonic()
                    load = wrk(nginx.port, bench.seconds(5), connections, pause_ms)
                    seconds = time.monotonic() - started
            served.process.stop(expected=(0, 143, -15))
        reported = sorted(row["metric"] for row in receiver.rows())
        known = sorted(float(line) for line in truth.read_text().split())
    if len(reported) != len(known):
        raise RuntimeError(f"{len(reported)} rows for {len(known)} requests in {seconds:.0f} s")
    errors = [abs(true - row) for row, true in zip(reported, known)]
    at = f"{server.name}, {load.requests_per_s:,.0f} requests/s"
    label = f"{at}: reported, the clock before it says {statistics.median(known):.1f}"
    table.add(label, "ms", reported)
    p99 = percentile(errors, 99)
    table.add(f"{at}: p99 between the sorted lists", "ms", [p99], bar=f"<= {BAR_MS} ms", met=p99 <= BAR_MS)


def percentile(values: List[float], percent: float) -> float:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@contextmanager
def hop(bench: Workbench, to_port: int) -> Iterator[int]:
    process = subprocess.Popen(
        [str(bench.native("hop")), str(to_port), str(DELAY_MS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
