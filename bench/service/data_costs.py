"""What the service's data costs: reading rows, commits, charts, disk, memory with 100 apps of 10
series, and a start with 30 days on disk beside one with an hour.

    python3 bench/service/data_costs.py DATA [--quick]

DATA is bench/service/data.c, built: it says what each figure is compared with.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List

from served import Service, add_app, resident_mb, write_results

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "service"))

from reports import csv, headers, post  # noqa: E402

APPS, SERIES, SECONDS, ROWS_A_SECOND = 100, 10, 900, 10


def from_c(program: Path, what: str, folder: Path) -> Dict[str, Dict[str, object]]:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([program, what, folder], capture_output=True, text=True, check=True)
    found: Dict[str, Dict[str, object]] = {}
    for line in done.stdout.splitlines():
        name, value, reference, unit = line.split("\t")
        found[name] = {"value": float(value), "reference": float(reference), "unit": unit}
        if float(reference):
            found[name]["ratio"] = float(value) / float(reference)
    return found


def report_all(service: Service, path: str, numbers: random.Random) -> None:
    """15 minutes of ten series, in reports that are as long as they may be."""
    now = int(time.time())
    for series in range(SERIES):
        source = f"rq:queue{series}" if series else "web"
        rows = [
            (now - second, min(int(numbers.lognormvariate(3, 0.8)), 3600000), source, "")
            for second in range(SECONDS - 30)
            for _ in range(ROWS_A_SECOND)
        ]
        answer = post(service.port, path, csv(rows), headers(f"{numbers.getrandbits(128):032x}"))
        assert answer.status == 200, answer


def memory(quick: bool) -> Dict[str, float]:
    numbers, apps = random.Random(1), 10 if quick else APPS
    with tempfile.TemporaryDirectory() as directory:
        with Service(directory).start() as service:
            before = resident_mb(service.pid)
            for app in range(apps):
                report_all(service, add_app(service, f"app{app}"), numbers)
            return {"apps": apps, "idle_mb": before, "full_mb": resident_mb(service.pid), "bar_mb": 64}


def seconds_to_start(folder: Path, data: Path) -> float:
    began = time.monotonic()
    with Service(folder, data=data).start() as service:
        took = time.monotonic() - began
        service.stop(seconds=60)
    return took


def multiply(file: Path, times: int) -> None:
    """As many series more, each with the chunks of those that there are."""
    with sqlite3.connect(file) as db:
        for copy in range(1, times):
            db.execute(
                "INSERT INTO chunk (app, series, level, start_s, points, sketches) SELECT app + ?1, "
                "series + ?1 * 1000, level, start_s, points, sketches FROM chunk WHERE app = 1", [copy]
            )  # fmt: skip
            db.execute(
                "INSERT INTO series (id, app, source, signal, newest_s) SELECT id + ?1 * 1000, "
                "app + ?1, source, signal, newest_s FROM series WHERE app = 1", [copy]
            )  # fmt: skip


def start(disk: Path, quick: bool) -> Dict[str, float]:
    """Both have the same last minutes: 20 apps that have just reported."""
    with tempfile.TemporaryDirectory() as directory:
        folder, numbers = Path(directory), random.Random(2)
        hour, month = folder / "hour", disk
        multiply(month / "dynoscaled.db", 10 if quick else 100)
        for data in (hour, month):
            with Service(folder, data=data).start() as service:
                for app in range(2 if quick else 20):
                    report_all(service, add_app(service, f"app{app}"), numbers)
                service.stop(seconds=60)
        times: Dict[Path, List[float]] = {hour: [], month: []}
        for _ in range(3 if quick else 11):
            for data, found in times.items():
                found.append(seconds_to_start(folder, data))
        an_hour, a_month = (statistics.median(found) for found in times.values())
        size = (month / "dynoscaled.db").stat().st_size
    return {
        "an_hour_ms": an_hour * 1000, "30_days_ms": a_month * 1000, "ratio": a_month / an_hour,
        "30_days_mb": size / 1e6,
    }  # fmt: skip


def main() -> None:
    program, quick = Path(sys.argv[1]), "--quick" in sys.argv
    results: Dict[str, Dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for what in ("rows", "live", "commit", "chart", "disk"):
            results.update(from_c(program, what, Path(directory) / what))
        results["start to ready"] = dict(start(Path(directory) / "disk", quick))
    results["memory, 100 apps of 10 series"] = dict(memory(quick))
    for name, figures in results.items():
        print(name)
        for figure, value in figures.items():
            print(f"  {figure:20} {value if isinstance(value, str) else f'{value:.2f}'}")
    write_results("data", dict(results))


if __name__ == "__main__":
    main()
