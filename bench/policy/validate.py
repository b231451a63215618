#!/usr/bin/python3
"""Is the simulator true? The same half hour twice: with real servers, and simulated.

    bench/policy/validate.py --simulate build/cc/bench/policy/simulate [--minutes 30] [--to DIRECTORY]

Real (real.py): nginx, a gunicorn for each dyno (each takes --boot seconds to start), our agent in
them, `dynoscaled` with the automatic method, requests that come by chance at the rates of a trace, and
wait and compute for times that are drawn. Simulated: the same trace, with the service times and the
boots that were measured. Printed: worker-minutes, slow minutes and scalings of both; drawn: both
numbers of dynos. --of draws and compares a real half hour that was kept.

It needs build/dynoscaled and the agents, built. A busy machine is queue time: what of it there was is
printed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
for place in ("bench", "tests/support", "tests/servers", "tests/loop"):
    sys.path.insert(0, str(ROOT / place))

import plot  # noqa: E402
import real  # noqa: E402

SLOW_S, SLOW_SHARE = 0.1, 0.05
SEEDS = range(1, 10)
ROUTES = {"random": "random", "lc": "least connections"}


def trace(seconds: int, peak: float) -> List[float]:
    """Requests a second: a slow rise and fall, a jump at once that lasts, a short burst, and noise."""
    drawn = random.Random(5)
    rates, noise = [], 0.0
    for second in range(seconds):
        place = second / seconds
        if second % 20 == 0:
            noise = drawn.gauss(0, 0.05)
        rate = 0.3 + 0.3 * math.sin(math.pi * place)
        rate += 0.45 if 0.4 < place < 0.55 else 0
        rate += 0.5 * min(1, (place - 0.75) / 0.02) if 0.75 < place < 0.82 else 0
        rates.append(peak * rate * (1 + noise))
    return rates


class Outcome(NamedTuple):
    dynos: List[int]  # ordered, at equal distances in time
    apart_s: float
    slow_minutes: int
    slow_share: float  # of all requests
    requests: int

    @property
    def minutes(self) -> float:
        return sum(self.dynos) * self.apart_s / 60

    @property
    def scalings(self) -> List[Tuple[int, int, int]]:
        """Second, from, to; changes a few seconds apart are one."""
        found: List[Tuple[int, int, int]] = []
        for i in range(1, len(self.dynos)):
            before, now, second = self.dynos[i - 1], self.dynos[i], int(i * self.apart_s)
            if before == now:
                continue
            if found and second - found[-1][0] <= 8 and (now > before) == (found[-1][2] > found[-1][1]):
                found[-1] = (second, found[-1][1], now)
            else:
                found.append((second, before, now))
        return found


def outcome(measured: real.Measured) -> Outcome:
    """A request that failed is a slow one."""
    count: Dict[int, List[int]] = {}
    waits = [(one.arrival, one.wait) for one in measured.requests]
    for arrival, wait in waits + [(arrival, math.inf) for arrival in measured.failed]:
        minute = count.setdefault(int(arrival // 60), [0, 0])
        minute[0] += 1
        minute[1] += wait > SLOW_S
    slow_minutes = sum(slow > SLOW_SHARE * all_ for all_, slow in count.values())
    share = sum(slow for _, slow in count.values()) / sum(all_ for all_, _ in count.values())
    return Outcome(measured.ordered, 1, slow_minutes, share, len(measured.requests))


class World(NamedTuple):
    """What the simulator is told of the real half hour."""

    rates: List[float]
    route: str
    mean_s: float  # service time
    cv: float
    boot_s: Tuple[float, float]  # from, to


def simulated(program: str, folder: Path, world: World, seed: int) -> Outcome:
    rates = world.rates
    rows = "".join(f"{second},{rate}\n" for second, rate in enumerate(rates))
    (folder / "trace.csv").write_text("second,requests\n" + rows)
    span = min(300, len(rates))
    peak = max(statistics.fmean(rates[i:i + span]) for i in range(len(rates) - span + 1))
    log = folder / f"simulated-{seed}.csv"
    words = {"policy": "service", "method": "automatic", "trace": folder / "trace.csv", "from": 0,
             "len": len(rates), "peak": peak, "c": real.SLOTS, "mean": world.mean_s,
             "cv": world.cv, "route": world.route, "bootlo": world.boot_s[0],
             "boothi": world.boot_s[1], "min": real.LEAST, "max": real.MOST,
             "start": real.LEAST, "deploys": 0, "crash": 0, "cycle": 0, "seed": seed, "log": log}
    line = subprocess.run([program, *(f"{name}={value}" for name, value in words.items())],
                          capture_output=True, text=True, check=True).stdout.split(",")
    dynos = [int(row.split(",")[2]) for row in log.read_text().splitlines()]
    return Outcome(dynos, 10, int(line[5]), float(line[14]) / 100, int(line[13]))


def describe(name: str, outcome: Outcome) -> None:
    moves = " ".join(f"{second // 60}:{second % 60:02} {before}→{after}"
                     for second, before, after in outcome.scalings)
    print(f"{name:20} {outcome.minutes:7.1f} {outcome.slow_minutes:5} "
          f"{100 * outcome.slow_share:6.2f} {outcome.requests:9}  {moves}")


def draw(path: Path, rates: Sequence[float], outcomes: Dict[str, Outcome]) -> None:
    lines = {name: [(i * one.apart_s / 60, n) for i, n in enumerate(one.dynos)]
             for name, one in outcomes.items()}
    minutes = [(i / 60, statistics.fmean(rates[i:i + 60])) for i in range(0, len(rates), 60)]
    plot.over_time(path, "The same half hour, real and simulated", "minutes", "dynos", lines,
                   "requests a second", minutes)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulate", required=True, help="build/cc/bench/policy/simulate")
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--peak", type=float, default=70, help="requests a second")
    parser.add_argument("--boot", type=float, default=20, help="seconds")
    parser.add_argument("--route", choices=list(ROUTES), default="random")
    parser.add_argument("--of", type=Path, help="a folder of a run before, instead of a new one")
    parser.add_argument("--to", type=Path, default=ROOT / "build/policy/validate")
    return parser.parse_args()


def measure(given: argparse.Namespace) -> Tuple[Path, List[float], str, real.Measured]:
    """A new real half hour, or one that was kept."""
    if given.of:
        kept = json.loads((given.of / "real.json").read_text())
        requests = [real.Request(*one) for one in kept["measured"][1]]
        measured = real.Measured(kept["measured"][0], requests, *kept["measured"][2:])
        return given.of, kept["rates"], kept["route"], measured
    folder = given.to.resolve() / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    print(f"{given.minutes} minutes of real servers; all of it is kept in {folder}", flush=True)
    rates = trace(given.minutes * 60, given.peak)
    measured = real.run(folder / "real", rates, given.boot, given.route)
    kept = {"rates": rates, "route": given.route, "measured": measured}
    (folder / "real.json").write_text(json.dumps(kept))
    return folder, rates, given.route, measured


def print_machine(measured: real.Measured, world: World) -> None:
    quickest = sorted(one.wait for one in measured.requests)[len(measured.requests) // 2]
    print(f"load of the machine: {measured.load:.1f}; requests were sent {1000 * measured.late:.0f} "
          f"ms late (p99), half of them waited at most {1000 * quickest:.1f} ms; "
          f"{len(measured.failed)} failed")
    print(f"a request took {1000 * world.mean_s:.0f} ms, cv {world.cv:.2f}; "
          f"a boot {world.boot_s[0]:.1f} to {world.boot_s[1]:.1f} s; router: {ROUTES[world.route]}")


def main() -> int:
    given = arguments()
    folder, rates, route, measured = measure(given)
    service = [request.service for request in measured.requests]
    mean = statistics.fmean(service)
    boots = measured.boots[real.LEAST:] or measured.boots
    world = World(rates, route, mean, statistics.pstdev(service) / mean, (min(boots), max(boots)))
    print_machine(measured, world)
    found = outcome(measured)
    print(f"{'':20} {'minutes':>7} {'slow':>5} {'slow %':>6} {'requests':>9}  scalings")
    describe("real", found)
    runs = [simulated(given.simulate, folder, world, seed) for seed in SEEDS]
    for seed, one in zip(SEEDS, runs):
        describe(f"simulated, seed {seed}", one)
    minutes = statistics.median(one.minutes for one in runs)
    slow = statistics.median(one.slow_minutes for one in runs)
    off = 100 * (minutes / found.minutes - 1)
    print(f"\nworker-minutes: simulated {off:+.1f} % (bar: 10); slow minutes: "
          f"{slow - found.slow_minutes:+.0f} (bar: 3); medians of {len(runs)} seeds")
    draw(folder / "dynos.svg", rates,
         {"real": found, **{f"simulated, seed {seed}": runs[seed - 1] for seed in (1, 2, 3)}})
    return 0 if abs(off) <= 10 and abs(slow - found.slow_minutes) <= 3 else 1


if __name__ == "__main__":
    sys.exit(main())
