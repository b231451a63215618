"""Start-up: `require` and `import` beside an empty extension's, and the first request."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Dict, List

from measure import Rounds, Table, difference, ratio
from workbench import BENCH, PYTHON, SilentService, Workbench, agent_on

IMPORT_BAR_MS = 3
FIRST_BAR_US = 50
FORKED_BAR = 1.3
REQUIRE_BAR = 12


def run(bench: Workbench) -> List[Table]:
    table = Table("startup", "Start-up: in fresh processes")
    with SilentService() as service:
        on = agent_on(service.url)
        ruby = [*bench.ruby, BENCH / "ruby/first.rb"]
        python = [PYTHON, BENCH / "python/first.py"]
        add(table, bench, "require", ruby, ["reference_empty", "dynoscale_ruby/middleware"], on)
        modules = ["reference_empty", "dynoscale.wsgi"]
        add(table, bench, "import", python, modules, bench.python(**on))
    return [table]


def add(
    table: Table,
    bench: Workbench,
    verb: str,
    command: List[object],
    libraries: List[str],
    settings: Dict[str, str],
) -> None:
    values: Dict[str, Dict[str, Rounds]] = {library: defaultdict(list) for library in libraries}
    for number in range(-2, bench.rounds(21)):
        for library in libraries:
            for name, rounds in bench.values([*command, library], settings).items():
                if number >= 0:  # the first ones fill caches of files and of compiled Python
                    values[library][name] += rounds
    empty, ours = (values[library] for library in libraries)
    first: Rounds = []
    alone: Rounds = []
    thread: Rounds = []
    for _ in ours["first"]:  # each process forks several, one after another
        children = bench.values([*command, libraries[1], "forked"], settings)
        first.append(statistics.median(children["first"]))
        children = bench.values([*command, libraries[0], "forked"], settings)
        alone.append(statistics.median(children["alone"]))
        thread.append(statistics.median(children["thread"]))
    forked = difference(first, alone)
    over = difference(ours["require"], empty["require"])
    constructor = "Middleware.new" if verb == "require" else "DynoscaleWsgiApp(app)"
    table.add(f"{verb} of an empty extension", "ms", empty["require"])
    table.add(
        f"{verb} of ours, over that",
        "ms",
        over,
        bar=f"<= {IMPORT_BAR_MS} ms",
        met=statistics.median(over) <= IMPORT_BAR_MS,
    )
    times = ratio(ours["require"], empty["require"])
    table.add(
        f"{verb} of ours",
        "ms",
        ours["require"],
        ratio=times,
        to="an empty extension",
        bar=f"<= {REQUIRE_BAR} x" if verb == "require" else "",
        met=statistics.median(times) <= REQUIRE_BAR if verb == "require" else None,
    )
    table.add(f"{constructor}, which reads the settings and prepares", "us", ours["new"])
    table.add("starting a thread that does nothing", "us", empty["thread"])
    table.add(
        "first request, which starts the thread",
        "us",
        ours["first"],
        ratio=ratio(ours["first"], empty["thread"]),
        to="starting a thread",
        bar=f"<= {FIRST_BAR_US} us",
        met=statistics.median(ours["first"]) <= FIRST_BAR_US,
    )
    table.add("second request", "us", ours["second"])
    table.add("a request to the app alone in a forked process", "us", alone)
    table.add("starting a thread there", "us", thread)
    times = ratio(forked, thread)
    table.add(
        "first request there, which starts the thread, over the app alone",
        "us",
        forked,
        ratio=times,
        to="starting a thread there",
        bar=f"<= {FORKED_BAR} x",
        met=statistics.median(times) <= FORKED_BAR,
    )
