#!/usr/bin/env python3
"""Runs the benchmark: prints a table for each topic and stores them as JSON too.

    python3 bench/bench.py [--quick] [--only TOPIC,...] [--minutes N] [--to DIRECTORY]

`make bench` builds all that it needs first. What is measured, and how, is in bench/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "support")]

from measure import Table, print_bars, store  # noqa: E402
from topics import TOPICS  # noqa: E402
from workbench import BUILT, PYTHON, ROOT, RUBY, Workbench  # noqa: E402


def main() -> int:
    options = arguments()
    options.to.mkdir(parents=True, exist_ok=True)
    bench = Workbench(options.quick, options.minutes, options.to.resolve())
    run = {"run": machine(options)}
    for name, value in run["run"].items():
        print(f"{name:12} {value}")
    tables: List[Table] = []
    with (options.to / "tables.txt").open("w", encoding="utf-8") as copy:
        for topic in options.only or TOPICS:
            started = time.monotonic()
            found = TOPICS[topic](bench)
            for table in found:
                table.print(sys.stdout)
                table.print(copy)
            print(f"  [{topic}: {time.monotonic() - started:.0f} s]", flush=True)
            tables += found
            store(
                options.to / "results.json",
                {**run, "topics": [table.as_json() for table in tables]},
            )
    print_bars(tables)
    print(f"Stored in {options.to}/results.json")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few and short rounds: does it run?")
    parser.add_argument("--only", type=topics, help=f"of {','.join(TOPICS)}", metavar="TOPIC,...")
    parser.add_argument("--minutes", type=float, default=1, help="of the memory topic, 1 if unset")
    parser.add_argument("--to", type=Path, default=BUILT / "results", metavar="DIRECTORY")
    return parser.parse_args()


def topics(text: str) -> List[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in TOPICS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no topic {unknown[0]!r}: there are {', '.join(TOPICS)}")
    return names


def machine(options: argparse.Namespace) -> Dict[str, Any]:
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": first_line_of("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "quick": options.quick,
        "minutes": options.minutes,
        "processor": processor(),
        "cpus": os.cpu_count(),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "compiler": first_line_of(*(os.environ.get("CC") or "cc").split(), "--version"),
        "ruby": first_line_of(RUBY, "--version"),
        "python": first_line_of(PYTHON, "--version"),
    }


def first_line_of(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.splitlines()[0].strip()


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if "model name" in line), "unknown")


if __name__ == "__main__":
    sys.exit(main())
