"""What a request costs more once the service asks for the signals of requests: in turns with one that
does not ask."""

from __future__ import annotations

import statistics
from typing import List

from measure import Table, difference
from receiver import ReceiverProcess
from workbench import BENCH, PYTHON, Workbench, agent_on

BAR_NS = 15  # besides the one reading of the clock
ASKS = {"publish_frequency": 3600, "signals": ["busy", "slots", "unstamped"]}
ENTRY_POINTS = {
    "WSGI": "python/asked.py",
    "gunicorn's two hooks": "python/asked.py",
    "ASGI": "python/asked.py",
    "Ruby": "ruby/asked.rb",
}


def run(bench: Workbench) -> List[Table]:
    table = Table("asked", "Signals of requests: ns more where the service asks for them")
    clock = None
    for entry_point, script in ENTRY_POINTS.items():
        command = bench.ruby if entry_point == "Ruby" else [PYTHON]
        with ReceiverProcess() as asking, ReceiverProcess() as quiet:
            asking.behave("ok", **ASKS)
            quiet.behave("ok", publish_frequency=3600)
            urls = [f"{asking.url}/token", f"{quiet.url}/token"]
            settings = agent_on(urls[0])
            env = settings if entry_point == "Ruby" else bench.python(**settings)
            found = bench.values([*command, BENCH / script, entry_point, bench.rounds(21), *urls], env)
        if clock is None:
            clock = statistics.median(found["clock"])
            table.add("one reading of the clock", "ns", found["clock"])
        more = difference(found["asked"], found["not asked"])
        table.add(
            entry_point,
            "ns",
            more,
            bar=f"<= the clock + {BAR_NS} ns",
            met=statistics.median(more) <= clock + BAR_NS,
        )
    return [table]
