#!/usr/bin/python3
"""What becomes of dyno-hours and slow minutes when things go wrong, or are otherwise than usual: sums
over windows, medians over seeds, with the largest formation. README.md says what is simulated."""

from __future__ import annotations

import argparse
from typing import List, Tuple

import compare

METHODS = [
    compare.Method("lean", "policy=service care=lean", ""),
    compare.Method("balanced", "policy=service care=balanced", ""),
    compare.Method("strict", "policy=service care=strict", ""),
    compare.Method("Judoscale 60/5", "policy=judoscale upfreq=60 downdelay=300", ""),
    compare.Method("Knative 35", "policy=knative target=.35", ""),
    compare.Method("oracle", "policy=oracle xstar=11.5", ""),
]
CHANGES: List[Tuple[str, str]] = [
    ("as usual", ""),
    ("busy time not reported", "busy=0"),
    ("boots of 60 to 120 s", "bootlo=60 boothi=120"),
    ("boots of 5 to 10 s", "bootlo=5 boothi=10"),
    ("service time x2 for 2 h", "slowat=36000"),
    ("the same, busy not reported", "slowat=36000 busy=0"),
    ("service time x4 for 2 h", "slowat=36000 slowx=4"),
    ("only the first dyno, 30 s", "first=1 report=30"),
    ("reports each 30 s", "report=30"),
    ("least connections", "route=lc"),
    ("service times vary, cv 3", "cv=3"),
    ("8 % of requests take 1 s", "svc=bimodal"),
    ("8 slots of 300 ms", "c=8 mean=.3"),
    ("noise of 30 %", "noise=.3"),
    ("6 deploys, 1 crash a day", "deploys=6 crash=1"),
    ("cold start at noon, 2 dynos", "start=2 noon"),
    ("restart, all is lost", "restartat=50000 keep=0"),
    ("restart, all is kept", "restartat=50000"),
    ("10 min without reports", "silentat=50000"),
    ("an hour without reports", "silentat=50000 silentfor=3600"),
    ("a day without reports", "silentat=3600 silentfor=82800"),
    ("5 % of stamps forged", "forge=.05"),
    ("one sick dyno", "sick=4"),
    ("database of 20 slots", "dbslots=20"),
    ("the interpreter's lock", "lock=.25"),
]


def from_noon(window: compare.Window) -> compare.Window:
    """The second half of a window of a day."""
    words = dict(word.split("=", 1) for word in window.options.split())
    words["from"] = str(int(words.get("from", "0")) + compare.DAY // 2)
    words["len"] = str(compare.DAY // 2)
    return window._replace(options=" ".join(f"{name}={value}" for name, value in words.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", default="")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--only", default="", help="windows, by name")
    parser.add_argument("--change", action="append", default=[], help="changes, by name")
    arguments = parser.parse_args()
    windows = (compare.FILES if arguments.traces else compare.MADE)["report"]
    if arguments.only:
        windows = [window for window in windows if window.name in arguments.only.split(",")]
    print(f"Dyno-hours/slow minutes/largest formation, windows "
          f"{' '.join(window.name for window in windows)}, seeds {arguments.seeds}\n")
    print(f"{'':30}" + "".join(f"{method.name:>17}" for method in METHODS))
    for name, options in CHANGES:
        if arguments.change and name not in arguments.change:
            continue
        noon = options.endswith("noon")
        changed = [from_noon(window) for window in windows] if noon else windows
        results = compare.run_all(arguments, METHODS, changed, options.replace("noon", ""))
        cells = []
        for method in METHODS:
            hours = compare.total(results, method.name, windows, "hours")
            slow = compare.total(results, method.name, windows, "slow")
            largest = max(compare.median(results, method.name, window.name, "largest")
                          for window in windows)
            cells.append(f"{hours:.0f}/{slow:.0f}/{largest:.0f}")
        print(f"{name:30}" + "".join(f"{cell:>17}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
