"""What it costs to be there: memory, wake-ups, ticks."""

from __future__ import annotations

import random
import re
import statistics
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Dict, List, Tuple

from measure import Rounds, Table
from served import Bench, Service, add_apps, ask, resident_mb, wake_ups, with_keepers_mb

from reports import csv, headers, post

APPS, SERIES, SECONDS, ROWS_A_SECOND = 100, 10, 900, 10
TICK_S = 10  # of a service with the usual settings


def bodies(seconds: int, series: int) -> List[bytes]:
    """The last seconds of each series, a report for each."""
    now, numbers, made = int(time.time()), random.Random(1), []
    for number in range(series):
        source = f"rq:low,{number}" if number else "web"
        made.append(
            csv(
                [
                    (now - second, min(int(numbers.lognormvariate(3, 0.8)), 3600000), source, "")
                    for second in range(seconds)
                    for _ in range(ROWS_A_SECOND)
                ]
            )
        )
    return made


def report_all(service: Service, paths: List[str], reports: List[bytes]) -> None:
    numbers = random.Random()
    for path in paths:
        for body in reports:
            answer = post(service.port, path, body, headers(f"{numbers.getrandbits(128):032x}"))
            assert answer.status == 200, answer


def memory(bench: Bench) -> Table:
    """Every live window of 15 minutes is full, then 1,000 connections report each 10 s."""
    apps = 10 if bench.quick else APPS
    table = Table("memory", f"Resident memory: {apps} apps of {SERIES} series, 15 minutes of each")
    full: Rounds = []
    with tempfile.TemporaryDirectory() as directory:
        with Service(directory).start() as service:
            paths = add_apps(service, apps)
            report_all(service, paths, bodies(SECONDS - 60, SERIES))
            filled = resident_mb(service.pid)
            loading = threading.Thread(
                target=bench.loaded,
                args=(service.port, ",".join(paths), 1000, 5 if bench.quick else 30),
                kwargs={"interval_ms": 10000, "series": SERIES},
            )
            loading.start()
            while loading.is_alive():
                full.append(resident_mb(service.pid))
                time.sleep(0.5)
            loading.join()
    table.add("the windows are full", "MB", [filled])
    table.add("the most under load", "MB", [max(full)], bar="<= 64", met=max(full) <= 64)
    return table


def idle(bench: Bench) -> Table:
    seconds = 5 if bench.quick else 30
    table = Table("idle", f"A service without apps, for {seconds} s")
    with tempfile.TemporaryDirectory() as directory:
        with Service(directory).start() as service:
            time.sleep(2)  # for the end of its start
            before = wake_ups(service.pid)
            time.sleep(seconds)
            woken = (wake_ups(service.pid) - before) / seconds
            held = with_keepers_mb(service.pid)
    table.add("resident memory, with the keepers' own", "MB", [held], bar="<= 16", met=held <= 16)
    table.add("wake-ups", "a second", [woken], bar="<= 5", met=woken <= 5)
    return table


# ---- Ticks --------------------------------------------------------------------------------------


class Formation(BaseHTTPRequestHandler):
    """A receiver of webhooks: two dynos of everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"2")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


RULES = "processes: {web: {rules: [{name: default, dynos: {min: 2, max: 2}}]}}"


def control_ns(pid: int) -> int:
    """CPU time of the thread that decides."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "control":
            return int((task / "schedstat").read_text().split()[0])
    raise RuntimeError("the service has no thread `control`")


def ticks_of(service: Service) -> Tuple[int, int]:
    return int(service.metric("ticks_total")), control_ns(service.pid)


def tick_us(bench: Bench, processes: int, url: str) -> Rounds:
    """CPU µs of a tick in which each process is decided for on fresh reports."""
    rounds: Rounds = []
    with tempfile.TemporaryDirectory() as directory:
        with Service(directory, "--tick-s", "1", "--private-platforms").start() as service:
            paths = add_apps(service, processes)
            for number in range(processes):
                app = f"/api/v1/apps/app{number:04}"
                ask(service, "PUT", f"{app}/platform", {"kind": "webhook", "settings": {"url": url}})
                ask(service, "PUT", f"{app}/rules", RULES)
            report = bodies(60, 1)
            for _ in range(bench.rounds(5)):
                report_all(service, paths, report)
                ticks, cpu = ticks_of(service)
                while True:
                    time.sleep(0.2)
                    now, used = ticks_of(service)
                    if now >= ticks + 5:
                        break
                rounds.append((used - cpu) / 1000 / (now - ticks))
            check_decided(service, processes)
    return rounds


def check_decided(service: Service, processes: int) -> None:
    """That what was measured is what a tick does: the last one knew the wait and the dynos."""
    app = f"/api/v1/apps/app{processes - 1:04}"
    said = ask(service, "GET", f"{app}/processes/web/wanted")
    if not re.search(r"p95|web", str(said["reason"])):
        raise RuntimeError(f"the ticks did not know the queue time: {said}")


def tick(bench: Bench) -> Table:
    table = Table("tick", "CPU of a tick of processes that report and have a platform")
    counts = [25, 50] if bench.quick else [100, 200, 400]
    found: Dict[int, Rounds] = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Formation) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        for count in counts:
            found[count] = tick_us(bench, count, f"http://127.0.0.1:{receiver.server_port}/")
        receiver.shutdown()
    first = statistics.median(found[counts[0]]) / counts[0]
    for count, rounds in found.items():
        each = statistics.median(rounds) / count / first
        if count == counts[0]:
            share = [us / 1e6 / TICK_S * 100 * (100 / count) for us in rounds]
            table.add(
                "100 processes, of a CPU", "%", share, bar="<= 0.2", met=statistics.median(share) <= 0.2
            )
            table.add(f"{count} processes", "µs a tick", rounds)
        else:
            table.add(
                f"{count} processes", "µs a tick", rounds, ratio=[each],
                to=f"a process among {counts[0]}", bar="<= 1.2", met=each <= 1.2,
            )  # fmt: skip
    table.notes.append("ticks of the service with --tick-s 1; the share is of one each 10 s")
    return table
