"""What HTTP costs, beside an nginx that takes and answers the same reports: CPU time, answer times
with 1,000 connections, memory and wake-ups when idle.

    python3 bench/service/over_http.py LOAD [--quick]

LOAD is bench/service/load.c, built. Rounds alternate between the two; figures are medians, bars are
of ratios within a round.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Tuple

from served import (
    Process, Service, add_app, cpu_of_load, load, nginx_sink, resident_mb, wake_ups, write_results,
)  # fmt: skip

COMMIT_MS = 15


def median(values: List[float]) -> float:
    return statistics.median(values)


def cpu(program: Path, service: Service, path: str, sink: Tuple[Process, int], rounds: int, seconds: float,
        rows: int, connections: int) -> Dict[str, float]:  # fmt: skip
    """HTTP alone is a request with the same body that is read whole and answered on the loop."""
    nginx, port = sink
    found: Dict[str, List[float]] = {"nginx": [], "alone": [], "committed": []}
    for _ in range(rounds):
        shape = {"rows": rows}
        us, _ = cpu_of_load(nginx.pid, program, port, path, connections, seconds, **shape)
        found["nginx"].append(us)
        us, _ = cpu_of_load(
            service.pid, program, service.port, "/healthz", connections, seconds,
            **shape, method="GET",
        )  # fmt: skip
        found["alone"].append(us)
        us, figures = cpu_of_load(
            service.pid, program, service.port, path, connections, seconds, **shape
        )
        assert figures["others"] == 0, figures
        found["committed"].append(us)
    ratios = [one / other for one, other in zip(found["alone"], found["nginx"])]
    figures = {f"{name}_us": median(values) for name, values in found.items()}
    return {**figures, "http_ratio": median(ratios)}


def answer_times(program: Path, service: Service, path: str, port: int, seconds: float) -> Dict[str, float]:
    """1,000 connections that report each 10 s, as agents do."""
    reference = load(program, port, path, 1000, seconds, interval_ms=10000)
    measured = load(program, service.port, path, 1000, seconds, interval_ms=10000)
    bar = COMMIT_MS + 3 * reference["p99_ms"]
    return {
        "nginx_p99_ms": reference["p99_ms"], "p50_ms": measured["p50_ms"],
        "p99_ms": measured["p99_ms"], "bar_ms": bar, "met": measured["p99_ms"] <= bar,
        "others": measured["others"], "resident_mb": resident_mb(service.pid),
    }  # fmt: skip


def idle(seconds: float) -> Dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        with Service(directory).start() as service:
            time.sleep(min(seconds, 5))
            before = wake_ups(service.pid)
            time.sleep(seconds)
            woken = (wake_ups(service.pid) - before) / seconds
            return {"resident_mb": resident_mb(service.pid), "wake_ups_a_second": woken}


def main() -> None:
    program, quick = Path(sys.argv[1]), "--quick" in sys.argv
    rounds, seconds = (1, 1.0) if quick else (5, 4.0)
    results: Dict[str, object] = {"idle": idle(3 if quick else 30)}
    with tempfile.TemporaryDirectory() as directory:
        sink = nginx_sink(Path(directory))
        with sink[0], Service(directory, "--held-mb", "256").start() as service:
            path = add_app(service)
            for rows in (100, 1000):
                for connections in (1, 32):
                    results[f"{rows} rows, {connections} connections"] = cpu(
                        program, service, path, sink, rounds, seconds, rows, connections
                    )
            results["1,000 connections, one report in 10 s each"] = answer_times(
                program, service, path, sink[1], 5 if quick else 30
            )
    for name, figures in results.items():
        print(name)
        for figure, value in figures.items():  # type: ignore[attr-defined]
            print(f"  {figure:20} {value if isinstance(value, bool) else f'{value:.2f}'}")
    write_results("http", results)


if __name__ == "__main__":
    main()
