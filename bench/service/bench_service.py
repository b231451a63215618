#!/usr/bin/env python3
"""What the service costs, each figure beside a reference of the same run.

    python3 bench/service/bench_service.py [--quick] [--only TOPIC,...] [--to DIRECTORY]

`make bench-service` builds what it needs first. Rounds of the service and of its reference
alternate; a ratio is of one round, and what is judged is the median of the ratios.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

from served import ROOT, Bench  # noqa: E402

import data_costs  # noqa: E402
import request_costs  # noqa: E402
import standing_costs  # noqa: E402
from bench import machine  # noqa: E402
from measure import Table, print_bars, store  # noqa: E402

TOPICS: Dict[str, Callable[[Bench], Table]] = {
    "report": request_costs.report,
    "rows": data_costs.rows,
    "answers": request_costs.answers,
    "charts": data_costs.charts,
    "trials": data_costs.trials,
    "memory": standing_costs.memory,
    "idle": standing_costs.idle,
    "disk": data_costs.disk,
    "start": data_costs.start,
    "tick": standing_costs.tick,
}


def main() -> int:
    options = arguments()
    options.to.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.programs, options.quick)
    run: Dict[str, Any] = {"command": "make bench-service", **machine(options)}
    del run["ruby"], run["minutes"]
    for name, value in run.items():
        print(f"{name:12} {value}")
    tables: List[Table] = []
    with (options.to / "tables.txt").open("w", encoding="utf-8") as copy:
        print("".join(f"{name:12} {value}\n" for name, value in run.items()), end="", file=copy)
        for topic in options.only or TOPICS:
            began = time.monotonic()
            table = TOPICS[topic](bench)
            load = os.getloadavg()[0]
            table.notes.append(f"{time.monotonic() - began:.0f} s; load at the end {load:.1f}")
            table.print(sys.stdout)
            table.print(copy)
            tables.append(table)
            document = {"run": run, "topics": [one.as_json() for one in tables]}
            store(options.to / "results.json", document)
    print_bars(tables)
    print(f"Stored in {options.to}")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few and short rounds: does it run?")
    parser.add_argument("--only", type=topics, help=f"of {','.join(TOPICS)}", metavar="TOPIC,...")
    parser.add_argument("--to", type=Path, default=ROOT / "build/bench/service", metavar="DIRECTORY")
    parser.add_argument(
        "--programs", type=Path, default=ROOT / "build/cc/bench/service", metavar="DIRECTORY",
        help="where load and data are, built",
    )  # fmt: skip
    parser.set_defaults(minutes=0)
    return parser.parse_args()


def topics(text: str) -> List[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in TOPICS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no topic {unknown[0]!r}: there are {', '.join(TOPICS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
