#!/usr/bin/python3
"""Runs ways of scaling over windows of traffic, and prints what each costs: dyno-hours and slow
minutes, medians over seeds. `make bench-policy`; README.md says what is compared and how."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import plot  # noqa: E402

DAY = 86400
COLUMNS = ("name window seed hours minutes slow mostly p99 longest scalings over1 over30 lost "
           "requests share largest").split()


class Window(NamedTuple):
    name: str
    options: str


class Method(NamedTuple):
    name: str
    options: str
    family: str  # methods of one family are one line of the frontier


def of_file(name: str, file: str, day: int, length: int = DAY) -> Window:
    return Window(name, f"trace={file} from={day * DAY} len={length}")


# One half of the windows and of the seeds is for tuning, the other for what is reported.
MADE = {
    "tune": [Window(f"{kind}1", f"trace={kind} shape=1 len={DAY}")
             for kind in ("daily", "flash", "batch", "steps")],
    "report": [Window(f"{kind}2", f"trace={kind} shape=2 len={DAY}")
               for kind in ("daily", "flash", "batch", "steps", "quiet")]
    + [Window("weekend2", f"trace=weekly shape=2 from={4 * DAY} len={2 * DAY}"),
       Window("noisy2", f"trace=daily shape=3 noise=.2 len={DAY}"),
       Window("deploys2", f"trace=daily shape=4 deploys=6 len={DAY}")],
}
WC98, ELB = "wc98_jun8_jul10.csv", "nab_elb_request_count.csv"
AAPL, GOOG = "nab_twitter_aapl.csv", "nab_twitter_goog.csv"
FILES = {
    "tune": [of_file("wc98", WC98, 7), of_file("wc98c", WC98, 28), of_file("elb", ELB, 3),
             of_file("aapl", AAPL, 4), of_file("goog", GOOG, 14)],
    "report": [of_file("wc98a", WC98, 17), of_file("wc98b", WC98, 21), of_file("elb", ELB, 12),
               of_file("aapl", AAPL, 17), of_file("aapl2", AAPL, 32), of_file("goog", GOOG, 33)],
    # Days that nothing was ever run on before the results of them.
    "unseen": [of_file("wc98d", WC98, 12), of_file("elb5", ELB, 5), of_file("aapl25", AAPL, 25),
               of_file("goog41", GOOG, 41), of_file("llm", "azure_llm_conv.csv", 0, 3480)],
}
SEEDS = {"tune": "4,5,6", "report": "1,2,3", "unseen": "7,8,9"}


def knobs(name: str, policy: str, knob: str, values: Sequence[str], more: str = "") -> List[Method]:
    return [Method(f"{name} {value}", f"policy={policy} {knob}={value} {more}", name)
            for value in values]


OURS = [Method(care, f"policy=service method=automatic care={care}", "automatic")
        for care in ("lean", "balanced", "strict")]
MAIN = OURS + [
    Method("Dynoscale's steps", "policy=steps", "steps"),
    Method("steps, as served", "policy=service method=steps", "steps"),
    Method("HireFire", "policy=hirefire", "HireFire"),
    Method("Heroku", "policy=heroku", "Heroku"),
    Method("Judoscale 3/10 min", "policy=judoscale", "Judoscale"),
    Method("Judoscale 60 s/5 min", "policy=judoscale upfreq=60 downdelay=300", "Judoscale"),
    Method("HPA 45", "policy=hpa target=.45", "HPA"),
    Method("KEDA concurrency 70", "policy=keda target=.7", "KEDA concurrency"),
    Method("KEDA rate 85", "policy=keda-rate target=.85", "KEDA rate"),
    Method("Knative 35", "policy=knative target=.35", "Knative"),
    Method("AWS 45", "policy=aws target=.45", "AWS"),
    Method("oracle", "policy=oracle xstar=11.5", "oracle"),
]
KNOBS = (
    knobs("HPA", "hpa", "target", [".4", ".5", ".6"])
    + knobs("KEDA concurrency", "keda", "target", [".45", ".55"])
    + knobs("KEDA rate", "keda-rate", "target", [".6", ".7", ".95"])
    + knobs("Knative", "knative", "target", [".3", ".4", ".5"])
    + knobs("AWS", "aws", "target", [".35", ".55"])
    + knobs("Judoscale", "judoscale", "downdelay", ["120", "180"], "upfreq=60")
    + knobs("Judoscale by 2,", "judoscale", "downdelay", ["300"], "upfreq=60 by=2")
    + knobs("HireFire", "hirefire", "every", ["15"])
    + knobs("steps by 2,", "steps", "upwait", ["30"], "by=2")
    + knobs("steps", "steps", "up", [".05"], "down=.02")
    + knobs("static", "static", "n", ["12", "18"])
    + knobs("oracle", "oracle", "xstar", ["10.5", "12.5"])
)

Result = Dict[str, float]
Results = Dict[Tuple[str, str], List[Result]]


def simulate(simulator: str, traces: str, method: Method, window: Window, seed: str,
             more: str) -> Tuple[str, str, Result]:
    words = f"{window.options} {more} {method.options}".split()
    words = [f"trace={traces}/{word[6:]}" if word.startswith("trace=") and ".csv" in word else word
             for word in words]
    run = subprocess.run([simulator, *words, f"seed={seed}", f"tag={window.name}"],
                         capture_output=True, text=True, check=True)
    values = run.stdout.strip().split(",")
    return method.name, window.name, dict(zip(COLUMNS[3:], map(float, values[3:])))


def run_all(arguments: argparse.Namespace, methods: Sequence[Method], windows: Sequence[Window],
            more: str) -> Results:
    simulator = os.environ.get("SIMULATE", "build/cc/bench/policy/simulate")
    results: Results = {}
    at_once = int(os.environ.get("JOBS", "0")) or os.cpu_count()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        jobs = [pool.submit(simulate, simulator, arguments.traces, method, window, seed, more)
                for window in windows for method in methods
                for seed in arguments.seeds.split(",")]
        for job in jobs:
            method_name, window_name, result = job.result()
            results.setdefault((method_name, window_name), []).append(result)
    return results


def median(results: Results, method: str, window: str, column: str) -> float:
    return statistics.median(result[column] for result in results[method, window])


def total(results: Results, method: str, windows: Sequence[Window], column: str) -> float:
    return sum(median(results, method, window.name, column) for window in windows)


def scalings_an_hour(results: Results, method: str, windows: Sequence[Window]) -> float:
    minutes = total(results, method, windows, "minutes")
    return 60 * total(results, method, windows, "scalings") / max(minutes, 1)


def print_table(title: str, results: Results, methods: Sequence[Method],
                windows: Sequence[Window]) -> None:
    print(f"\n{title}\n")
    print(f"{'':22}" + "".join(f"{window.name:>11}" for window in windows)
          + f"{'hours':>9}{'slow':>7}{'scal/h':>8}{'most':>6}")
    for method in methods:
        cells = "".join(f"{median(results, method.name, window.name, 'hours'):6.0f}/"
                        f"{median(results, method.name, window.name, 'slow'):<4.0f}"
                        for window in windows)
        largest = max(median(results, method.name, window.name, "largest") for window in windows)
        print(f"{method.name:22}{cells}{total(results, method.name, windows, 'hours'):9.0f}"
              f"{total(results, method.name, windows, 'slow'):7.0f}"
              f"{scalings_an_hour(results, method.name, windows):8.1f}{largest:6.0f}")


def print_losses(results: Results, methods: Sequence[Method], windows: Sequence[Window]) -> None:
    """Peers that need no more of either than one of ours needs, and less of one."""
    print("\nWhere we lose: a peer with no more dyno-hours and no more slow minutes\n")
    found = False
    for ours in [method for method in methods if method.family == "automatic"]:
        hours = total(results, ours.name, windows, "hours")
        slow = total(results, ours.name, windows, "slow")
        for peer in methods:
            if peer.family in ("automatic", "oracle"):
                continue
            peer_hours = total(results, peer.name, windows, "hours")
            peer_slow = total(results, peer.name, windows, "slow")
            if peer_hours <= hours and peer_slow <= slow and (peer_hours, peer_slow) != (hours, slow):
                found = True
                print(f"  {ours.name} ({hours:.0f} h, {slow:.0f} slow) by {peer.name} "
                      f"({peer_hours:.0f} h, {peer_slow:.0f} slow), in sum")
        for window in windows:
            for peer in methods:
                if peer.family in ("automatic", "oracle"):
                    continue
                pair = [(median(results, name, window.name, "hours"),
                         median(results, name, window.name, "slow"))
                        for name in (ours.name, peer.name)]
                if pair[1][0] < pair[0][0] * .99 and pair[1][1] < pair[0][1] - 2:
                    found = True
                    print(f"  {window.name}: {ours.name} {pair[0][0]:.0f}/{pair[0][1]:.0f} by "
                          f"{peer.name} {pair[1][0]:.0f}/{pair[1][1]:.0f}")
    if not found:
        print("  nowhere")


def frontier(results: Results, methods: Sequence[Method], windows: Sequence[Window],
             folder: Path) -> None:
    families: Dict[str, List[Tuple[float, float]]] = {}
    for method in methods:
        point = (total(results, method.name, windows, "hours"),
                 total(results, method.name, windows, "slow"))
        families.setdefault(method.family, []).append(point)
    plot.frontier({name: sorted(points) for name, points in families.items()},
                  "Dyno-hours and slow minutes, in sum", folder / "frontier.svg")


def draw(table: Path, folder: Path) -> None:
    """The frontier of a table that was printed before, of all methods by their families."""
    families: Dict[str, List[Tuple[float, float]]] = {}
    lines = table.read_text().splitlines()
    for method in MAIN + list(KNOBS):
        for line in lines:
            if not line.startswith(f"{method.name:22}"[:22]) or "/" not in line:
                continue
            hours, slow = map(float, line.split()[-4:-2])
            families.setdefault(method.family, []).append((hours, slow))
            break
    plot.frontier({name: sorted(points) for name, points in families.items()},
                  "Dyno-hours and slow minutes, in sum", folder / "frontier.svg")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", default="", help="a folder with CSV files; else made traces")
    parser.add_argument("--seeds", default="")
    parser.add_argument("--set", choices=list(SEEDS), default="report")
    parser.add_argument("--only", default="", help="windows, by name")
    parser.add_argument("--options", default="", help="options for all: 'bootlo=60 boothi=120'")
    parser.add_argument("--method", action="append", default=[],
                        help="NAME:OPTIONS instead of the usual ones")
    parser.add_argument("--quick", action="store_true", help="one seed, the main methods")
    parser.add_argument("--draw", type=Path, help="draw the frontier of a table, and run nothing")
    parser.add_argument("--to", type=Path, default=Path("build/policy"))
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or ("1" if arguments.quick else SEEDS[arguments.set])
    return arguments


def main() -> None:
    arguments = read_arguments()
    if arguments.draw:
        draw(arguments.draw, arguments.to)
        return
    methods = MAIN if arguments.quick else MAIN + list(KNOBS)
    if arguments.method:
        methods = [Method(*(text.partition(":")[::2]), text.partition(":")[0])
                   for text in arguments.method]
    windows = (FILES if arguments.traces else MADE)[arguments.set]
    if arguments.only:
        windows = [window for window in windows if window.name in arguments.only.split(",")]
    results = run_all(arguments, methods, windows, arguments.options)
    print_table(f"Dyno-hours/slow minutes, windows '{arguments.set}', medians of seeds "
                f"{arguments.seeds} {arguments.options}", results, methods, windows)
    if not arguments.method:
        print_losses(results, methods, windows)
        frontier(results, methods, windows, arguments.to)


if __name__ == "__main__":
    main()
