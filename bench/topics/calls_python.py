"""Added time a request in Python: the wrappers around a trivial WSGI app and a trivial ASGI app,
gunicorn's hook, and the peers' wrappers."""

from __future__ import annotations

import statistics
from typing import Dict, List, Tuple

import peers
from measure import Rounds, Table, difference, each, ratio
from sink import Sink
from topics.calls_ruby import PEER_BAR, add_floor, judge
from workbench import AGENT_OFF, BENCH, PYTHON, Missing, SilentService, Workbench, agent_on

HOOK_BAR = 1.5
LOOKUPS = "looking up the header in environ, in C"
LOOK = "getting req.headers and looking at 15 names, in C"


def run(bench: Workbench) -> List[Table]:
    return [wrapper(bench), hook(bench), asgi(bench), beside_peers(bench)]


def on_and_off(bench: Workbench, kind: str) -> Tuple[Dict[str, Rounds], Dict[str, Rounds]]:
    command = [PYTHON, BENCH / "python/calls.py", kind]
    rounds = bench.rounds(21)
    with SilentService() as service:
        on = bench.values_of_processes(rounds, command, bench.python(**agent_on(service.url)))
    return on, bench.values_of_processes(rounds, command, bench.python(**AGENT_OFF))


def wrapper(bench: Workbench) -> Table:
    table = Table("python", "Python: ns added to a call of the app")
    on, off = on_and_off(bench, "wsgi")
    passing = difference(on["passthrough"], on["bare"])
    added = difference(on["middleware"], on["bare"])
    add_floor(table, on)
    table.add("C wrapper that passes on", "ns", passing)
    judge(table, "DynoscaleWsgiApp", added, passing, on["floor"])
    beyond(table, "DynoscaleWsgiApp", added, passing, on["floor"], on["lookups"], LOOKUPS)
    added = difference(off["middleware"], off["bare"])
    noise = max(off["bare"]) - min(off["bare"])
    table.add(
        "agent off",
        "ns",
        added,
        ratio=ratio(added, difference(off["passthrough"], off["bare"])),
        to="C pass-on",
        bar="within the app's noise",
        met=statistics.median(added) <= noise,
    )
    return table


def hook(bench: Workbench) -> Table:
    table = Table("gunicorn-hook", "gunicorn's pre_request: ns a call, 15 headers, the stamp last")
    on, off = on_and_off(bench, "hook")
    empty = difference(on["empty hook"], on["nothing"])
    ours = difference(on["hook"], on["nothing"])
    times = ratio(ours, each(lambda a, b: a + b, empty, on["floor"]))
    table.add("empty C hook", "ns", empty)
    table.add("clock + 13 digits + push, in C", "ns", on["floor"])
    table.add("pre_request", "ns", ours, ratio=ratio(ours, empty), to="empty C hook")
    table.add(
        "pre_request again",
        "ns",
        ours,
        ratio=times,
        to="empty C hook + clock + 13 digits + push",
        bar=f"<= {HOOK_BAR:g} x",
        met=statistics.median(times) <= HOOK_BAR,
    )
    beyond(table, "pre_request", ours, empty, on["floor"], on["look"], LOOK)
    off_calls = difference(off["hook"], off["nothing"])
    empty = difference(off["empty hook"], off["nothing"])
    table.add(
        "pre_request, agent off",
        "ns",
        off_calls,
        ratio=ratio(off_calls, empty),
        to="empty C hook",
    )
    return table


def asgi(bench: Workbench) -> Table:
    table = Table("asgi", "Python, ASGI: ns added to a call of the app, 15 headers, the stamp last")
    on, off = on_and_off(bench, "asgi")
    passing = difference(on["passthrough"], on["bare"])
    added = difference(on["middleware"], on["bare"])
    add_floor(table, on)
    table.add("C wrapper that passes on", "ns", passing)
    judge(table, "DynoscaleAsgiApp", added, passing, on["floor"], barred=False)
    added = difference(off["middleware"], off["bare"])
    passing = difference(off["passthrough"], off["bare"])
    table.add("agent off", "ns", added, ratio=ratio(added, passing), to="C pass-on")
    return table


def beyond(
    table: Table, label: str, ours: Rounds, passing: Rounds, floor: Rounds, part: Rounds, what: str
) -> None:
    """What a request needs in this host besides the floor, by itself, and what is left of ours."""
    table.add(what, "ns", part)
    all_parts = each(lambda *parts: sum(parts), passing, floor, part)
    table.add(f"{label}, with that", "ns", ours, ratio=ratio(ours, all_parts), to="all of these")


def beside_peers(bench: Workbench) -> Table:
    table = Table("python-peers", "Python: added by wrappers, measured by timeit")
    script = BENCH / "python/peer.py"
    rounds = bench.rounds(5)
    ours: List[float] = []
    fastest = float("inf")
    for name in peers.PYTHON_PEERS:
        try:
            home = peers.python_home(name)
        except Missing as reason:
            table.notes.append(f"{name}: {reason}")
            continue
        with SilentService() as silent, Sink() as sink:
            theirs = bench.values(
                [PYTHON, script, name, rounds],
                {"PYTHONPATH": home, **peers.reporting_to(sink.url)},
            )
            mine = bench.values(
                [PYTHON, script, "dynoscale", rounds], bench.python(**agent_on(silent.url))
            )
        ours = difference(mine["middleware"], mine["bare"])
        added = difference(theirs["middleware"], theirs["bare"])
        times = ratio(added, ours)
        table.add(name, "ns", added, ratio=times, to="DynoscaleWsgiApp")
        fastest = min(fastest, statistics.median(added))
    if ours:
        less = [value / fastest for value in ours]
        met = statistics.median(less) <= 1 / PEER_BAR
        table.add(
            "DynoscaleWsgiApp",
            "ns",
            ours,
            ratio=less,
            to="the fastest peer",
            bar=f"{PEER_BAR} x less",
            met=met,
        )
    return table
