#!/usr/bin/python3
"""How true trials of rules are: a run of the exact simulator is stored as the service stores it; rules
are tried on that, the same ones and others; and each trial is held against an exact run of the rules
that it tried. Of requests, or with --jobs of job queues. README.md has the results."""

from __future__ import annotations

import argparse
import concurrent.futures
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

from jobs import compare as of_jobs

DAY = 86400
COLUMNS = ("name window seed hours minutes slow mostly p99 longest scalings over1 over30 lost "
           "requests share largest").split()


class World(NamedTuple):
    name: str
    options: str  # of simulate
    slots: int = 4  # that agents report; 0: they don't


RULES = {
    "steps": "method=steps",
    "steps, eager": "method=steps by=2 upwait=30",
    "lean": "method=automatic care=lean",
    "balanced": "method=automatic care=balanced",
    "strict": "method=automatic care=strict",
}
WORLDS = [
    World("daily", f"trace=daily shape=2 len={DAY}"),
    World("flash crowds", f"trace=flash shape=2 len={DAY}"),
    World("batches", f"trace=batch shape=2 len={DAY}"),
    World("steps of load", f"trace=steps shape=2 len={DAY}"),
    World("quiet", f"trace=quiet shape=2 len={DAY} peak=20"),
    World("noisy", f"trace=daily shape=3 noise=.2 len={DAY}"),
    World("no busy time, no slots", f"trace=daily shape=5 len={DAY} busy=0", 0),
    World("least connections", f"trace=daily shape=6 len={DAY} route=lc"),
    World("8 slots of 300 ms", f"trace=daily shape=7 len={DAY} c=8 mean=.3", 8),
    World("boots of 60 to 120 s", f"trace=daily shape=8 len={DAY} bootlo=60 boothi=120"),
    World("service time doubled for 2 h", f"trace=daily shape=9 len={DAY} slowat=40000"),
    World("interpreter's lock", f"trace=daily shape=10 len={DAY} lock=.15"),
]


# Of jobs a minute is late by the jobs that began in it.
JOBS_COLUMNS = ["slow" if name == "begun_late" else name for name in of_jobs.COLUMNS]
JOBS_RULES = {
    "steps": "method=steps min=1",
    "steps, later": "method=steps min=1 up=30 down=5",
    "lean": "method=automatic care=lean",
    "balanced": "method=automatic care=balanced",
    "strict": "method=automatic care=strict",
}
JOBS_WORLDS = [World(system.name, system.options) for system in of_jobs.systems(2)]


class Programs(NamedTuple):
    simulate: str
    trial: str
    jobs: bool


def exact(programs: Programs, world: World, rules: str, seed: int, store: Path) -> Dict[str, float]:
    words = f"{world.options} {rules} seed={seed} store={store}".split()
    if not any(word.startswith("peak=") for word in words):
        words.append("peak=100")
    line = subprocess.run([programs.simulate, "policy=service", *words], capture_output=True,
                          text=True, check=True).stdout
    found = dict(zip(JOBS_COLUMNS if programs.jobs else COLUMNS, line.strip().split(",")))
    return {name: float(found[name]) for name in ("hours", "slow", "scalings")}


def tried(programs: Programs, world: World, rules: str, store: Path) -> Dict[str, List[float]]:
    place = [f"from={store}"] if programs.jobs else [str(store), str(world.slots)]
    words = [programs.trial, *place, *rules.split()]
    line = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return {name: [float(x) for x in re.findall(rf"{name} (\S+) (\S+) (\S+)", line)[0]]
            for name in ("hours", "slow", "scalings")}


class Pair(NamedTuple):
    world: str
    before: str
    after: str
    exact: Dict[str, float]
    trial: Dict[str, List[float]]

    def off(self, name: str) -> float:
        return self.trial[name][0] - self.exact[name]

    def inside(self, name: str) -> bool:
        _, low, high = self.trial[name]
        return low - 1e-9 <= self.exact[name] <= high + 1e-9


def run_world(programs: Programs, world: World, seed: int, folder: Path) -> List[Pair]:
    runs = {}
    all_rules = JOBS_RULES if programs.jobs else RULES
    for number, (name, rules) in enumerate(all_rules.items()):
        store = folder / f"{world.name.replace(' ', '-')}-{number}-{seed}"
        runs[name] = (exact(programs, world, rules, seed, store), store)
    return [Pair(world.name, before, after, runs[after][0],
                 tried(programs, world, all_rules[after], runs[before][1]))
            for before in all_rules for after in all_rules]


def medians(pairs: List[Pair]) -> Tuple[str, ...]:
    hours = [100 * pair.off("hours") / pair.exact["hours"] for pair in pairs]
    slow = [pair.off("slow") for pair in pairs]
    scalings = [100 * pair.off("scalings") / max(pair.exact["scalings"], 1) for pair in pairs]
    inside = [100 * sum(pair.inside(name) for pair in pairs) / len(pairs)
              for name in ("hours", "slow", "scalings")]
    worst = max(hours, key=abs)
    return (f"{statistics.median(hours):+.1f}", f"{worst:+.1f}",
            f"{statistics.median(pair.exact['slow'] for pair in pairs):.0f}",
            f"{statistics.median(slow):+.0f}", f"{min(slow):+.0f} to {max(slow):+.0f}",
            f"{statistics.median(scalings):+.0f}", " / ".join(f"{x:.0f}" for x in inside))


def print_table(pairs: List[Pair], title: str, worlds: Sequence[World]) -> None:
    print(f"\n{title}: hours off (%): median, largest; slow or late minutes: exact (median), off: median, "
          "all; scalings off (%); share within the bounds (%): hours / slow / scalings")
    rows = [(world.name, *medians([pair for pair in pairs if pair.world == world.name]))
            for world in worlds if any(pair.world == world.name for pair in pairs)]
    rows.append(("all", *medians(pairs)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulate", required=True)
    parser.add_argument("--trial", required=True)
    parser.add_argument("--jobs", action="store_true", help="of job queues")
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--only", default="", help="worlds whose names have this in them")
    parser.add_argument("--pairs", action="store_true", help="print each pair")
    arguments = parser.parse_args()
    programs = Programs(arguments.simulate, arguments.trial, arguments.jobs)
    worlds = [world for world in (JOBS_WORLDS if arguments.jobs else WORLDS)
              if arguments.only in world.name]
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(2) as threads:
        done = [threads.submit(run_world, programs, world, seed, Path(name))
                for world in worlds for seed in seeds]
        pairs = [pair for one in done for pair in one.result()]
    if arguments.pairs:
        for pair in pairs:
            print(pair.world, "|", pair.before, "→", pair.after, "|",
                  "; ".join(f"{name} {pair.exact[name]:.0f}: " +
                            " ".join(f"{x:.0f}" for x in pair.trial[name])
                            for name in ("hours", "slow", "scalings")))
    same = [pair for pair in pairs if pair.before == pair.after]
    print_table(same, "The rules that were in force", worlds)
    print_table([pair for pair in pairs if pair.before != pair.after], "Other rules",
                worlds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
