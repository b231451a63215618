#!/usr/bin/python3
"""Runs ways of scaling workers over job systems, and prints what each costs: worker-hours, jobs that
began later than 30 s, medians over seeds. `make bench-policy-jobs`; ../README.md says what is
compared and how."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
from typing import Dict, List, NamedTuple, Sequence, Tuple

COLUMNS = ("name window seed hours jobs late share minutes p95 p99 longest cut scalings "
           "largest begun_late").split()


class System(NamedTuple):
    name: str
    options: str


class Method(NamedTuple):
    name: str
    options: str


# One half of the shapes and of the seeds is for tuning, the other for what is reported.
def systems(shape: int) -> List[System]:
    quiet = f"trace=quiet shape={shape}"
    daily = f"trace=daily shape={shape}"
    return [
        System("day", f"{daily} peak=20 mean=1"),
        System("flash", f"trace=flash shape={shape} peak=20 mean=1"),
        System("levels", f"trace=steps shape={shape} peak=20 mean=1"),
        System("seldom", f"{quiet} peak=.02 mean=3 long=.5 longs=300"),
        System("hourly", f"{daily} peak=5 mean=2 batch=2000 every=3600"),
        System("peaks", f"trace=batch shape={shape} peak=20 mean=1"),
        System("long", f"{daily} peak=.3 mean=2 long=.3 longs=240"),
        System("retries", f"{daily} peak=20 mean=1 fail=.1"),
        System("deploys", f"{daily} peak=20 mean=1 deploys=6"),
        System("boots", f"{daily} peak=20 mean=1 bootlo=60 boothi=120"),
    ]


SETS = {"tune": (1, "4,5,6"), "report": (2, "1,2,3")}
METHODS = [Method(care, f"policy=service care={care}") for care in ("lean", "balanced", "strict")] + [
    Method("without working", "policy=service signals=depth"),
    Method("by age alone", "policy=service signals=age"),
    Method("holds while jobs run", "policy=service hold=1"),
    Method("steps, as served", "policy=service method=steps"),
    Method("Judoscale 3/10 min", "policy=judoscale"),
    Method("Judoscale 60 s/5 min", "policy=judoscale upfreq=60 downdelay=300"),
    Method("Judoscale by 3", "policy=judoscale upfreq=60 downdelay=300 by=3"),
    Method("HireFire latency", "policy=hirefire"),
    Method("HireFire latency, 15 s", "policy=hirefire every=15"),
    Method("HireFire queue 100", "policy=hirefire-queue ratio=100 decrement=1"),
    Method("KEDA 5", "policy=keda target=5"),
    Method("KEDA 20", "policy=keda target=20"),
    Method("KEDA 100", "policy=keda target=100"),
    Method("static 6", "policy=static n=6"),
]

Results = Dict[Tuple[str, str], List[Dict[str, float]]]


def run_all(methods: Sequence[Method], chosen: Sequence[System], seeds: str,
            more: str) -> Results:
    simulator = os.environ.get("SIMULATE", "build/cc/bench/policy/jobs/simulate")
    results: Results = {}
    for system in chosen:
        for method in methods:
            for seed in seeds.split(","):
                words = f"{system.options} {more} {method.options} seed={seed}".split()
                run = subprocess.run([simulator, *words], capture_output=True, text=True, check=True)
                values = run.stdout.strip().split(",")
                result = dict(zip(COLUMNS[3:], map(float, values[3:])))
                results.setdefault((method.name, system.name), []).append(result)
    return results


def median(results: Results, method: Method, system: System, column: str) -> float:
    return statistics.median(result[column] for result in results[method.name, system.name])


def print_tables(results: Results, methods: Sequence[Method], chosen: Sequence[System],
                 title: str) -> None:
    print(f"{title}\n\nWorker-hours/% of jobs that began later than 30 s\n")
    print(f"{'':24}" + "".join(f"{system.name:>13}" for system in chosen)
          + f"{'hours':>8}{'late min':>9}{'scal/h':>7}{'cut off':>8}{'most':>5}")
    for method in methods:
        cells = ""
        for system in chosen:
            hours = median(results, method, system, "hours")
            share = median(results, method, system, "share")
            cells += f"{f'{hours:.1f}/{share:.2f}':>13}"
        hours = sum(median(results, method, system, "hours") for system in chosen)
        minutes = sum(median(results, method, system, "minutes") for system in chosen)
        scalings = sum(median(results, method, system, "scalings") for system in chosen)
        cut = sum(median(results, method, system, "cut") for system in chosen)
        most = max(median(results, method, system, "largest") for system in chosen)
        print(f"{method.name:24}{cells}{hours:8.0f}{minutes:9.0f}"
              f"{scalings / 24 / len(chosen):7.1f}{cut:8.0f}{most:5.0f}")
    print("\np95 and longest wait before a job began, seconds\n")
    print(f"{'':24}" + "".join(f"{system.name:>13}" for system in chosen))
    for method in methods:
        cells = ""
        for system in chosen:
            p95 = median(results, method, system, "p95")
            longest = median(results, method, system, "longest")
            cells += f"{f'{p95:.0f}/{longest:.0f}':>13}"
        print(f"{method.name:24}{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=["tune", "report"], default="report")
    parser.add_argument("--seeds", default="")
    parser.add_argument("--only", default="", help="systems, by name")
    parser.add_argument("--options", default="", help="options for all: 'goal=60'")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--method", action="append", default=[],
                        help="NAME:OPTIONS instead of the usual ones")
    arguments = parser.parse_args()
    shape, usual = SETS[arguments.set]
    seeds = arguments.seeds or (usual[:1] if arguments.quick else usual)
    chosen = [system for system in systems(shape)
              if not arguments.only or system.name in arguments.only.split(",")]
    methods = [Method(*text.partition(":")[::2]) for text in arguments.method] or METHODS
    results = run_all(methods, chosen, seeds, arguments.options)
    print_tables(results, methods, chosen,
                 f"Job systems '{arguments.set}', medians of seeds {seeds} {arguments.options}")


if __name__ == "__main__":
    main()
