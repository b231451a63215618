#!/usr/bin/python3
"""Is the simulator true? The same half hour twice: with real servers, and simulated.

    bench/policy/validate.py --simulate build/cc/bench/policy/simulate [--minutes 30] [--to DIRECTORY]

Real: nginx, gunicorn whose workers are the dynos (each takes --boot seconds to start), our agent in
them, `dynoscaled` with the automatic method, requests that come by chance at the rates of a trace, and
wait and compute for times that are drawn. Simulated: the same trace, with the service time that was
measured. Printed: worker-minutes, slow minutes and scalings of both; drawn: both numbers of dynos.

It needs two cores with nothing else to do, and build/dynoscaled and the agents, built.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
for place in ("bench", "tests/support", "tests/servers", "tests/loop"):
    sys.path.insert(0, str(ROOT / place))

import plot  # noqa: E402
from app_servers import PYTHON, environment  # noqa: E402
from loops import Loop, eventually  # noqa: E402
from processes import Nginx, Process, free_port  # noqa: E402

SLOTS, MEAN_S, CV, COMPUTED = 4, 0.15, 1.5, 0.1  # COMPUTED: the share of a request that takes a CPU
LEAST, MOST = 2, 10
SLOW_S, SLOW_SHARE = 0.1, 0.05
RULES = f"""
processes:
  web:
    rules:
      - name: default
        dynos: {{min: {LEAST}, max: {MOST}}}
        method: automatic
"""
APP = f'''
import json, math, os, random, time
from pathlib import Path
from dynoscale.wsgi import DynoscaleWsgiApp

time.sleep(float(os.environ["BOOT_S"]))
SIGMA2 = math.log(1 + {CV} ** 2)
drawn = random.Random(os.getpid())

def work(environ, start_response):
    began = time.time()
    stamp = float(environ.get("HTTP_X_REQUEST_START", f"t={{began}}").lstrip("t="))
    takes = min(drawn.lognormvariate(math.log({MEAN_S}) - SIGMA2 / 2, SIGMA2 ** .5), 10)
    until = time.thread_time() + takes * {COMPUTED}
    while time.thread_time() < until:
        sum(range(1000))
    time.sleep(max(0, began + takes - time.time()))
    body = json.dumps({{"wait": began - stamp, "service": time.time() - began}}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]

app = DynoscaleWsgiApp(work)
(Path(os.environ["UP"]) / str(os.getpid())).touch()
'''
# A worker is a dyno: it has a name of its own, and is gone from those that are up when it ends.
CONFIG = """
import os
from pathlib import Path

def post_fork(server, worker):
    os.environ["DYNO"] = f"web.{worker.age}"

def child_exit(server, worker):
    up = Path(os.environ["UP"]) / str(worker.pid)
    if up.exists():
        up.unlink()
"""
# Ordered are the workers that there are, or will be; up those that have loaded the app.
PLATFORM = """\
#!{python}
import json, os, signal, sys, time
from pathlib import Path
folder = Path(__file__).parent
master = int((folder / "master").read_text())

def workers():
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        count += int(parent) == master and state not in "ZX"
    return count

if sys.argv[1] == "read":
    count = workers()
    print(json.dumps({{"ordered": count, "up": min(count, len(list((folder / "up").iterdir())))}}))
else:
    wanted, deadline = int(sys.argv[3]), time.monotonic() + 60
    while (now := workers()) != wanted and time.monotonic() < deadline:
        os.kill(master, signal.SIGTTIN if now < wanted else signal.SIGTTOU)
        seen = time.monotonic()
        while workers() == now and time.monotonic() < seen + 12:
            time.sleep(0.05)
"""


def trace(seconds: int, peak: float) -> List[float]:
    """Requests a second: a slow rise and fall, a jump in the middle third, and noise."""
    drawn = random.Random(5)
    rates, noise = [], 0.0
    for second in range(seconds):
        place = second / seconds
        if second % 20 == 0:
            noise = drawn.gauss(0, 0.05)
        rate = 0.35 + 0.3 * math.sin(math.pi * place) + (0.3 if 0.45 < place < 0.6 else 0)
        rates.append(peak * rate * (1 + noise))
    return rates


class Request(NamedTuple):
    arrival: float  # seconds from the beginning
    wait: float
    service: float


class Visitors:
    """Requests that come whether those before are answered or not."""

    def __init__(self, port: int, rates: Sequence[float]) -> None:
        self.port, self.rates = port, rates
        self.done: List[Request] = []
        self.failed = 0

    async def visit(self, arrival: float) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 120)
            writer.close()
            said = json.loads(answer.split(b"\r\n\r\n", 1)[1])
            self.done.append(Request(arrival, said["wait"], said["service"]))
        except (OSError, ValueError, IndexError, asyncio.TimeoutError):
            self.failed += 1

    async def run(self) -> None:
        drawn, began, at = random.Random(7), time.monotonic(), 0.0
        visits = []
        while True:
            at += drawn.expovariate(self.rates[min(int(at), len(self.rates) - 1)])
            if at >= len(self.rates):
                break
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            visits.append(asyncio.ensure_future(self.visit(at)))
        await asyncio.gather(*visits)


class Counter(threading.Thread):
    """How many dynos there are, with those that start, each second."""

    def __init__(self, master: int, seconds: int) -> None:
        super().__init__(daemon=True)
        self.children = Path(f"/proc/{master}/task/{master}/children")
        self.seconds = seconds
        self.ordered: List[int] = []

    def run(self) -> None:
        began = time.monotonic()
        for second in range(self.seconds):
            time.sleep(max(0.0, began + second - time.monotonic()))
            self.ordered.append(len(self.children.read_text().split()))


class Outcome(NamedTuple):
    dynos: List[int]  # ordered, at equal distances in time
    apart_s: float
    slow_minutes: int
    requests: int

    @property
    def minutes(self) -> float:
        return sum(self.dynos) * self.apart_s / 60

    @property
    def scalings(self) -> List[Tuple[int, int, int]]:
        """Second, from, to; changes a few seconds apart are one."""
        found: List[Tuple[int, int, int]] = []
        for i in range(1, len(self.dynos)):
            before, now, second = self.dynos[i - 1], self.dynos[i], int(i * self.apart_s)
            if before == now:
                continue
            if found and second - found[-1][0] <= 8 and (now > before) == (found[-1][2] > found[-1][1]):
                found[-1] = (second, found[-1][1], now)
            else:
                found.append((second, before, now))
        return found


def slow_minutes(requests: Sequence[Request]) -> int:
    count: Dict[int, List[int]] = {}
    for request in requests:
        minute = count.setdefault(int(request.arrival // 60), [0, 0])
        minute[0] += 1
        minute[1] += request.wait > SLOW_S
    return sum(slow > SLOW_SHARE * all_ for all_, slow in count.values())


def real(folder: Path, rates: Sequence[float], boot_s: float) -> Tuple[Outcome, List[Request]]:
    (folder / "up").mkdir(parents=True)
    (folder / "validated.py").write_text(APP)
    (folder / "gunicorn.conf.py").write_text(CONFIG)
    platform = folder / "platform"
    platform.write_text(PLATFORM.format(python=PYTHON))
    platform.chmod(0o755)
    port = free_port()
    with ExitStack() as stack:
        loop = stack.enter_context(Loop(folder))
        url = loop.add_app("validated", RULES)
        env = environment({"DYNOSCALE_URL": url, "DYNOSCALE_DYNOS": "all", "BOOT_S": str(boot_s),
                           "UP": str(folder / "up"), "NO_PROXY": "127.0.0.1"})
        command = [PYTHON, "-m", "gunicorn", "--config", str(folder / "gunicorn.conf.py"),
                   "--workers", str(LEAST), "--worker-class", "gthread", "--threads", str(SLOTS),
                   "--bind", f"127.0.0.1:{port}", "--backlog", "2048", "--timeout", "600",
                   "--worker-connections", str(SLOTS), "--chdir", str(folder), "validated:app"]
        server = stack.enter_context(Process(command, folder, "gunicorn", env, folder))
        server.start()
        (folder / "master").write_text(str(server.pid))
        eventually(lambda: len(list((folder / "up").iterdir())) >= LEAST,
                   f"all workers are up; {folder}/gunicorn.log says more")
        nginx = stack.enter_context(Nginx(folder, port))
        nginx.start()
        data = ["--data", str(loop.service.data)]
        subprocess.run([loop.service.program, "platform", "set", "validated", "command", *data, "--",
                        str(platform)], check=True, timeout=60)  # fmt: skip
        counter, visitors = Counter(server.pid, len(rates)), Visitors(nginx.port, rates)
        counter.start()
        asyncio.run(visitors.run())
        counter.join()
        (folder / "ledger.json").write_text(json.dumps(loop.ledger("validated")))
    if visitors.failed:
        print(f"  {visitors.failed} requests failed")
    return Outcome(counter.ordered, 1, slow_minutes(visitors.done), len(visitors.done)), visitors.done


def simulated(program: str, folder: Path, rates: Sequence[float], boot_s: float, mean: float,
              cv: float, route: str, seed: int) -> Outcome:
    rows = "".join(f"{second},{rate}\n" for second, rate in enumerate(rates))
    (folder / "trace.csv").write_text("second,requests\n" + rows)
    span = min(300, len(rates))
    peak = max(statistics.fmean(rates[i:i + span]) for i in range(len(rates) - span + 1))
    log = folder / f"simulated-{route}-{seed}.csv"
    words = {"policy": "service", "method": "automatic", "trace": folder / "trace.csv", "from": 0,
             "len": len(rates), "peak": peak, "c": SLOTS, "mean": mean, "cv": cv, "route": route,
             "bootlo": boot_s, "boothi": boot_s + 1, "min": LEAST, "max": MOST, "start": LEAST,
             "deploys": 0, "crash": 0, "seed": seed, "log": log}
    line = subprocess.run([program, *(f"{name}={value}" for name, value in words.items())],
                          capture_output=True, text=True, check=True).stdout.split(",")
    dynos = [int(row.split(",")[2]) for row in log.read_text().splitlines()]
    return Outcome(dynos, 10, int(line[5]), int(line[13]))


def describe(name: str, outcome: Outcome) -> None:
    moves = " ".join(f"{second // 60}:{second % 60:02} {before}→{after}"
                     for second, before, after in outcome.scalings)
    print(f"{name:32} {outcome.minutes:7.1f} {outcome.slow_minutes:5} {outcome.requests:9}  {moves}")


def draw(path: Path, rates: Sequence[float], outcomes: Dict[str, Outcome]) -> None:
    lines = {name: [(i * one.apart_s / 60, n) for i, n in enumerate(one.dynos)]
             for name, one in outcomes.items()}
    minutes = [(i / 60, statistics.fmean(rates[i:i + 60])) for i in range(0, len(rates), 60)]
    plot.over_time(path, "The same half hour, real and simulated", "minutes", "dynos", lines,
                   "requests a second", minutes)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulate", required=True, help="build/cc/bench/policy/simulate")
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--peak", type=float, default=45, help="requests a second")
    parser.add_argument("--boot", type=float, default=20, help="seconds")
    parser.add_argument("--to", type=Path, default=ROOT / "build/policy/validate")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    folder = given.to.resolve() / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    rates = trace(given.minutes * 60, given.peak)
    print(f"{given.minutes} minutes of real servers; all of it is kept in {folder}")
    load = os.getloadavg()[0]
    found, requests = real(folder / "real", rates, given.boot)
    service = [request.service for request in requests]
    mean = statistics.fmean(service)
    cv = statistics.pstdev(service) / mean
    print(f"load of the machine before: {load:.1f}; a request took {1000 * mean:.0f} ms, cv {cv:.2f}")
    print(f"{'':32} {'minutes':>7} {'slow':>5} {'requests':>9}  scalings")
    describe("real", found)
    runs = {"real": found}
    within = []
    for route in ("lc", "random"):
        for seed in (1, 2, 3):
            one = simulated(given.simulate, folder, rates, given.boot, mean, cv, route, seed)
            describe(f"simulated, {'least connections' if route == 'lc' else route}, seed {seed}", one)
            if seed == 1:
                runs[f"simulated, {'least connections' if route == 'lc' else route}"] = one
            if route == "lc":
                within.append(one)
    minutes = statistics.median(one.minutes for one in within)
    slow = statistics.median(one.slow_minutes for one in within)
    off = 100 * (minutes / found.minutes - 1)
    print(f"\nworker-minutes: simulated {off:+.1f} % (bar: 10); slow minutes: "
          f"{slow - found.slow_minutes:+.0f} (bar: 3); gunicorn's workers take from "
          "one socket, so least connections is what compares")
    draw(folder / "dynos.svg", rates, runs)
    return 0 if abs(off) <= 10 and abs(slow - found.slow_minutes) <= 3 else 1


if __name__ == "__main__":
    sys.exit(main())
