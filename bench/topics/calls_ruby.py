"""Added time a request in Ruby: the middleware around a trivial Rack app, with and without YJIT,
and the peers' middlewares."""

from __future__ import annotations

import statistics
import subprocess
from typing import Dict, List, Optional

import peers
import plot
from measure import Rounds, Table, difference, each, ratio
from sink import Sink
from workbench import AGENT_OFF, BENCH, RUBY, Missing, SilentService, Workbench, agent_on

BAR = 1.2
PEER_BAR = 30
SHARED = "C pass-on + clock + 13 digits + push"


def has_yjit() -> bool:
    return subprocess.run([RUBY, "--yjit", "-e", ""], capture_output=True).returncode == 0


def run(bench: Workbench) -> List[Table]:
    tables = [calls(bench, "ruby", [])]
    if has_yjit():
        tables.append(calls(bench, "ruby-yjit", ["--yjit"]))
    else:
        tables[0].notes.append("this Ruby has no YJIT")
    return [*tables, beside_peers(bench)]


def calls(bench: Workbench, name: str, flags: List[str]) -> Table:
    table = Table(name, f"Ruby{' with YJIT' if flags else ''}: ns added to a call of the app")
    command = [*bench.ruby, *flags, BENCH / "ruby/calls.rb"]
    rounds = bench.rounds(15)
    with SilentService() as service:
        on = bench.values_of_processes(rounds, command, agent_on(service.url))
    off = bench.values_of_processes(rounds, command, AGENT_OFF)
    add_floor(table, on)
    for env, suffix in (("", ""), (", each call its own env", ", own env")):
        bare = on[f"bare{suffix}"]
        passing = difference(on[f"passthrough{suffix}"], bare)
        added = difference(on[f"middleware{suffix}"], bare)
        table.add(f"C middleware that passes on{env}", "ns", passing)
        judge(table, f"DynoscaleRuby::Middleware{env}", added, passing, on["floor"], 0 if env else BAR)
    in_ruby = difference(on["in_ruby"], on["bare"])
    passing = difference(on["passthrough"], on["bare"])
    times = ratio(in_ruby, passing)
    label = "Ruby middleware that calls one C function, and passes on"
    table.add(label, "ns", in_ruby, ratio=times, to="C pass-on")
    passing = difference(off["passthrough"], off["bare"])
    added = difference(off["middleware"], off["bare"])
    times = ratio(added, passing)
    table.add(
        "agent off",
        "ns",
        added,
        ratio=times,
        to="C pass-on",
        bar="<= 1 C call",
        met=statistics.median(times) <= 1.1,
    )
    return table


def add_floor(table: Table, values: Dict[str, Rounds]) -> None:
    table.add("the app alone, and the loop", "ns", values["bare"])
    table.add("clock + 13 digits + push, in C", "ns", values["floor"])


def judge(
    table: Table, label: str, added: Rounds, passing: Rounds, floor: Rounds, bar: float = 0
) -> None:
    """Without a bar where it is 0."""
    times = ratio(added, each(lambda a, b: a + b, passing, floor))
    row = table.add(label, "ns", added, ratio=times, to=SHARED)
    if bar:
        row.bar, row.met = f"<= {bar:g} x", statistics.median(times) <= bar


def beside_peers(bench: Workbench) -> Table:
    table = Table("ruby-peers", "Ruby: added by middlewares, measured by benchmark-ips")
    table.notes.append("each is configured to report to a service on loopback, which answers")
    ours = added(bench, "dynoscale", {})
    table.add("DynoscaleRuby::Middleware", "ns", ours)
    fastest: Optional[float] = None
    for peer in peers.RUBY:
        try:
            home = peer.install()
        except Missing as reason:
            table.notes.append(f"{peer.name}: {reason}")
            continue
        theirs = added(bench, peer.name, home)
        table.add(
            f"{peer.name} {peer.version}",
            "ns",
            theirs,
            ratio=ratio(theirs, ours),
            to="DynoscaleRuby::Middleware",
        )
        median = statistics.median(theirs)
        fastest = median if fastest is None else min(fastest, median)
    if fastest is not None:
        times = [fastest / value for value in ours]
        table.rows[0].ratio = [1 / value for value in times]
        table.rows[0].to = "the fastest peer"
        table.rows[0].bar = f"{PEER_BAR} x less"
        table.rows[0].met = statistics.median(times) >= PEER_BAR
        plot.bars(
            bench.directory / "ruby-peers.svg",
            "Time that a middleware adds to a Rack request",
            {row.label: row.median for row in table.rows},
        )
    return table


def added(bench: Workbench, name: str, settings: Dict[str, str]) -> Rounds:
    rounds: Rounds = []
    command = [*bench.ruby] if name == "dynoscale" else [RUBY, f"-I{BENCH / 'ruby'}"]
    command += [BENCH / "ruby/ips.rb", name, bench.seconds(1)]
    for _ in range(bench.rounds(5)):
        with SilentService() as silent, Sink() as sink:
            env = agent_on(silent.url)
            if name != "dynoscale":
                env = {**peers.reporting_to(sink.url), **settings}
            values = bench.values(command, env)
        rounds += difference(values["middleware"], values["bare"])
    return rounds
