"""Throughput and latency of real app servers under wrk, the agent on against the same server
without it, in turns."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

from appservers import SERVERS, AppServer, Load, wrk
from measure import Rounds, Table, ratio
from sink import Sink
from workbench import Missing, Workbench, agent_on

CONNECTIONS = 4


def run(bench: Workbench) -> List[Table]:
    table = Table("servers", "App servers under wrk, agent on against off, in turns")
    for server in SERVERS:
        try:
            server.need()
            measure(bench, table, server)
        except Missing as reason:
            table.notes.append(f"{server.name}: {reason}")
    return [table]


def measure(bench: Workbench, table: Table, server: AppServer) -> None:
    loads: Dict[bool, List[Load]] = {True: [], False: []}
    with bench.temporary() as name, Sink() as sink:
        directory = Path(name)
        on = agent_on(sink.url)
        with server.started(bench, directory, "on", CONNECTIONS, on) as served:
            with server.started(bench, directory, "off", CONNECTIONS, {}) as bare:
                ports = {True: served.port, False: bare.port}
                for port in ports.values():
                    wrk(port, bench.seconds(2), CONNECTIONS)
                for number in range(bench.rounds(12)):
                    # On first, off first, off first, on first ...: a drift favours neither.
                    for agent in (True, False) if number % 4 in (0, 3) else (False, True):
                        loads[agent].append(wrk(ports[agent], bench.seconds(2), CONNECTIONS))
    for label, unit, of in (
        ("throughput", "requests/s", lambda load: load.requests_per_s),
        ("p50", "ms", lambda load: load.p50_ms),
        ("p99", "ms", lambda load: load.p99_ms),
    ):
        with_agent: Rounds = [of(load) for load in loads[True]]
        without: Rounds = [of(load) for load in loads[False]]
        times = ratio(with_agent, without)
        table.add(f"{server.name}: {label}", unit, with_agent, ratio=times, to="without")
