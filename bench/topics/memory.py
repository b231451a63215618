"""Resident memory after minutes at 2,000 requests a second, the service well and down."""

from __future__ import annotations

import socket
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, List

import kernel
import steadily
from measure import Rounds, Table, difference
from processes import Process
from sink import Sink
from workbench import Missing, Workbench, agent_on

RATE = 2000
BAR_MB = 3
BOUND_MB = 11  # core/README.md, "Batches"
SAMPLES = 5


def run(bench: Workbench) -> List[Table]:
    minutes = 0.1 if bench.quick else bench.minutes
    table = Table("memory", f"Resident memory after {minutes:g} min at {RATE:,} requests a second")
    try:
        kernel.need_linux()
        measure(bench, table, minutes)
    except Missing as reason:
        table.notes.append(str(reason))
    return [table]


def measure(bench: Workbench, table: Table, minutes: float) -> None:
    with bench.temporary() as directory, ExitStack() as stack:
        sink = stack.enter_context(Sink())
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        down = f"http://127.0.0.1:{closed.getsockname()[1]}/token"
        settings = {
            "without": steadily.WITHOUT_AGENT,
            "curl": {**steadily.WITHOUT_AGENT, "POST_ONCE": sink.url},
            "well": agent_on(sink.url),
            "down": agent_on(down),
        }
        processes: Dict[tuple[str, str], Process] = {}
        for language in steadily.LANGUAGES:
            for name, env in settings.items():
                one = steadily.process(bench, language, Path(directory), name, RATE, env)
                processes[language, name] = stack.enter_context(one.start())
        for one in processes.values():
            steadily.wait_until_ready(one)
        time.sleep(minutes * 60)
        megabytes: Dict[tuple[str, str], Rounds] = {key: [] for key in processes}
        for _ in range(SAMPLES):
            for key, one in processes.items():
                megabytes[key].append(kernel.resident_kb(one.pid) / 1024)
            time.sleep(1)
    for language in steadily.LANGUAGES:
        add(table, language, {name: megabytes[language, name] for name in settings})


def add(table: Table, language: str, megabytes: Dict[str, Rounds]) -> None:
    curl = difference(megabytes["curl"], megabytes["without"])
    well = difference(megabytes["well"], megabytes["curl"])
    down = difference(megabytes["down"], megabytes["curl"])
    table.add(f"{language}, without the agent", "MB", megabytes["without"])
    table.add(f"{language}: libcurl's own, after one post", "MB", curl)
    table.add(
        f"{language}: the agent's, service well, less libcurl's",
        "MB",
        well,
        bar=f"<= {BAR_MB} MB",
        met=statistics.median(well) <= BAR_MB,
    )
    table.add(
        f"{language}: the agent's, service down, less libcurl's",
        "MB",
        down,
        bar=f"<= {BOUND_MB} MB",
        met=statistics.median(down) <= BOUND_MB,
    )
