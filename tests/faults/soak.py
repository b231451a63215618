#!/usr/bin/env python3
"""Long hours: puma and gunicorn under a steady load, with a service that fails at random.

    python3 tests/faults/soak.py --seconds 3600

Beside each server runs the same one with the agent off, under the same load: what grows in the one
and not in the other is the agent's. Prints a table of the resident memory of all workers, in MiB.
Exits 0 only if memory is flat from the tenth minute on (in a shorter run, from its first sixth on)
and every request that was answered has arrived at the service exactly once.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "servers")]

from app_servers import AppServer  # noqa: E402
from processes import Process, free_port  # noqa: E402
from receiver import ReceiverProcess  # noqa: E402
from served import SETTINGS, TOKEN  # noqa: E402
from under_load import group_of, gunicorn, parent_of, puma, wait_for_group  # noqa: E402

CONNECTIONS = 4
REQUESTS_A_SECOND = 200  # of each server
SAMPLES = 120
SETTLED_SECONDS = 600
FLAT_MIB = 1.0  # the most MiB that the agent's server may grow more than the other

FAILURES = [
    *[{"mode": "ok"}] * 12,
    {"mode": "status", "status": 500},
    {"mode": "status", "status": 503, "headers": {"Retry-After": "2"}},
    {"mode": "status", "status": 429, "headers": {"Retry-After": "1"}},
    {"mode": "status", "status": 408},
    {"mode": "stall"},
    {"mode": "drip", "seconds": 0.02},
    {"mode": "close", "at": "request"},
    {"mode": "close"},
    {"mode": "reset", "at": "request"},
    {"mode": "reset"},
    {"mode": "garbage"},
    {"mode": "huge", "size": 1_000_000},
    {"mode": "gzip_bomb", "size": 10_000_000},
    {"mode": "deep"},
    {"mode": "redirect"},
]


class SteadyLoad:
    """Requests at a steady rate over lasting connections; every answer has to be right."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._ended = threading.Event()
        self._lock = threading.Lock()
        ask = [threading.Thread(target=self._ask, daemon=True) for _ in range(CONNECTIONS)]
        self._threads = ask
        self.answered = 0
        self.errors: List[str] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        due = time.monotonic()
        while not self._ended.is_set():
            try:
                error = self._request(connection)
            except (OSError, http.client.HTTPException) as failure:
                connection.close()
                error = f"{type(failure).__name__}: {failure}"
            with self._lock:
                self.answered += not error
                self.errors += [error] if error else []
            due = max(due + CONNECTIONS / REQUESTS_A_SECOND, time.monotonic() - 1)
            self._ended.wait(max(0.0, due - time.monotonic()))
        connection.close()

    @staticmethod
    def _request(connection: http.client.HTTPConnection) -> str:
        connection.request("GET", "/1", headers={"X-Request-Start": str(int(time.time() * 1000))})
        answer = connection.getresponse()
        body = answer.read()
        right = (answer.status, body) == (200, b"answer to /1\n")
        return "" if right else f"{answer.status}: {body[:80]!r}"


class Served(NamedTuple):
    process: Process
    load: SteadyLoad

    def workers(self) -> List[int]:
        master = self.process.pid
        return sorted(pid for pid in group_of(master) if parent_of(pid) == master)

    def memory_mib(self) -> float:
        """Of all workers."""
        return sum(resident_mib(pid) for pid in self.workers())


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


SERVERS: Dict[str, AppServer] = {"puma": puma(2), "gunicorn": gunicorn("gthread")}


def serve(name: str, server: AppServer, directory: Path, url: str) -> Served:
    directory = directory / name
    directory.mkdir()
    port = free_port()
    settings = {**SETTINGS, "DYNOSCALE_LOG_LEVEL": "warn", "DYNOSCALE_PUBLISH_FREQUENCY": "5"}
    settings["DYNOSCALE_URL"] = f"{url}/{TOKEN}" if url else ""
    return Served(server.process(port, directory, settings), SteadyLoad(port))


def watch(
    all_served: Dict[str, Served], receiver: ReceiverProcess, seconds: float
) -> List[List[float]]:
    """Samples of the memory of each, with a line a sample; from when it should be flat on."""
    settled = min(SETTLED_SECONDS, seconds / 6)
    started, pause = time.monotonic(), seconds / SAMPLES
    names = [f"{name:>13}" for name in all_served]
    print("seconds", *names, f"{'rows':>9} {'failed':>7}", sep="  ")
    samples: List[List[float]] = []
    for number in range(1, SAMPLES + 1):
        time.sleep(max(0.0, started + number * pause - time.monotonic()))
        memory = [served.memory_mib() for served in all_served.values()]
        if time.monotonic() - started >= settled:
            samples.append(memory)
        if number % 4 == 0:
            summary = receiver.summary()
            failed = summary["reports"] - summary["accepted"]
            columns = [f"{number * pause:7.0f}", *(f"{mib:13.1f}" for mib in memory)]
            print(*columns, f"{summary['rows']:9} {failed:7}", sep="  ", flush=True)
    return samples


def growth(samples: List[float]) -> float:
    """The median of the last third minus that of the first."""
    third = max(1, len(samples) // 3)
    return statistics.median(samples[-third:]) - statistics.median(samples[:third])


def soak(seconds: float, directory: Path) -> List[str]:
    """What went wrong."""
    wrong = []
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(ReceiverProcess())
        receiver.behave("random", of=FAILURES, seed=1)
        all_served = {}
        for name, server in SERVERS.items():
            if server.missing() is not None:
                return [f"{name}: {server.missing()}"]
            for variant, url in (("", receiver.url), (" without", "")):
                served = serve(name + variant, server, directory, url)
                stack.enter_context(served.process).start().wait_for_port(served.load.port)
                stack.callback(served.load.stop)
                all_served[name + variant] = served
        for served in all_served.values():
            served.load.start()
        samples = watch(all_served, receiver, seconds)

        receiver.behave("ok")
        for served in all_served.values():
            served.load.stop()
        answered = sum(all_served[name].load.answered for name in SERVERS)
        # A transfer that hangs is given up after 15 seconds, and its batch is sent again.
        receiver.wait(rows=answered, seconds=60)
        for name, served in all_served.items():
            served.process.stop(SERVERS[name.split()[0]].stop_signal, 30, (0, -15, 143))
            wait_for_group(served.process)
        summary = receiver.summary()

        print()
        for name, served in all_served.items():
            load = served.load
            print(f"{name:18} {load.answered:9} requests answered, {len(load.errors)} errors")
            wrong += [f"{name}: {error}" for error in served.load.errors[:3]]
        grown = {name: growth(list(mib)) for name, mib in zip(all_served, zip(*samples))}
        for name in SERVERS:
            more = grown[name] - grown[f"{name} without"]
            line = f"grew by {grown[name]:+.2f} MiB, {more:+.2f} more than without the agent"
            print(f"{name:18} {line}")
            if more > FLAT_MIB:
                wrong.append(f"{name} {line}")
        print(f"{'service':18} {summary}")
        if summary["rows"] != answered or summary["malformed"]:
            wrong.append(f"{answered} requests were answered, {summary['rows']} rows arrived")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        wrong = soak(options.seconds, Path(directory))
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
