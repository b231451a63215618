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

BAR = 1.25
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
    judge(table, "DynoscaleWsgiApp", added, passing, on["floor"], BAR)
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
    judge(table, "DynoscaleAsgiApp", added, passing, on["floor"])
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
    """A process of each in turns."""
    table = Table("python-peers", "Python: added by wrappers, measured by timeit, in turns")
    homes: Dict[Tuple[str, str], str] = {}
    for peer in peers.PYTHON_PEERS:
        try:
            homes[peer] = peers.python_home(*peer)
        except Missing as reason:
            table.notes.append(f"{peer[0]}: {reason}")
    ours: Rounds = []
    theirs: Dict[Tuple[str, str], Rounds] = {peer: [] for peer in homes}
    for _ in range(bench.rounds(15) if homes else 0):
        with SilentService() as silent:
            ours.append(added(bench, "dynoscale", bench.python(**agent_on(silent.url))))
        for peer, home in homes.items():
            with Sink() as sink, bench.temporary() as directory:
                settings = {"PYTHONPATH": home, "DYNOSCALE_DATA_DIR_NAME": directory}
                settings.update(peers.reporting_to(sink.url))
                theirs[peer].append(added(bench, peer[0], settings))
    for (name, version), values in theirs.items():
        times = ratio(values, ours)
        table.add(f"{name} {version}", "ns", values, ratio=times, to="DynoscaleWsgiApp")
    if theirs:
        fastest = min(theirs.values(), key=statistics.median)
        less = ratio(ours, fastest)
        table.add(
            "DynoscaleWsgiApp",
            "ns",
            ours,
            ratio=less,
            to="the fastest peer",
            bar=f"{PEER_BAR} x less",
            met=statistics.median(less) <= 1 / PEER_BAR,
        )
    return table


def added(bench: Workbench, name: str, settings: Dict[str, str]) -> float:
    values = bench.values([PYTHON, BENCH / "python/peer.py", name, 1], settings)
    return values["middleware"][0] - values["bare"][0]
