#!/usr/bin/env python3
"""What several services on one PostgreSQL cost, under reports as agents send them.

    python3 bench/service/machines.py [--apps 10000] [--seconds 120] [--receivers 1,2,3,4] [--senders 2]
                                      [--to DIR]

Each app has one dyno and five series (requests, two signals of them, two job queues) and reports
once each ten seconds over connections that last, with a key of its own for each report. Printed for
each number of receivers: reports and parts a second, CPU time of the services and of PostgreSQL for
each report and part, what PostgreSQL wrote to its log for each report, the memory of each service, the
slowest answers, ticks, those that were late (more than 3 s), how long they took, and how old the oldest part
is: those are folded when they are 15 to 25 minutes old, so a run that tells of that lasts for half an hour.
--to writes that as machines.txt and machines.svg. Services, database and senders share
this machine: a number of receivers that takes no more than fewer do says that the machine is full.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import multiprocessing
import os
import queue
import random
import re
import selectors
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "service"), str(ROOT / "bench")]

import plot  # noqa: E402
from postgresql import Cluster  # noqa: E402
from service import Service  # noqa: E402

Sent = Tuple[int, int, List[float]]
"""Of a sender: reports that were taken, reports that were refused, and seconds until each answer."""

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
EVERY_S = 10
TICK_HZ = os.sysconf("SC_CLK_TCK")
RULES = """zone: UTC
processes:
  web:
    scaling: on
    rules:
      - {name: default, dynos: {min: 1, max: 9}}
"""


def token(app: int) -> str:
    return f"load{app:039d}"


def make_apps(cluster: Cluster, database: str, apps: int) -> None:
    """Straight into the tables: what is measured begins with the reports."""
    folder = Path(tempfile.mkdtemp())
    tokens = "".join(
        f"\\\\x{hashlib.sha256(token(app).encode()).hexdigest()}\t{app}\tload\t0\t0\n"
        for app in range(1, apps + 1)
    )
    path = folder / "tokens"
    path.write_text(tokens)
    folder.chmod(0o755)
    body = RULES.replace("'", "''")
    cluster.sql(
        f"INSERT INTO app (name, zone, created_s) SELECT 'app-' || n, 'UTC', 0 FROM generate_series(1, {apps}) n;"
        f"INSERT INTO rules SELECT n, 1, 0, 'load', '{body}' FROM generate_series(1, {apps}) n;"
        f"COPY report_token (hash, app, hint, created_s, expires_s) FROM '{path}';"
        "INSERT INTO series (app, source, signal, newest_s) SELECT app.id, s.source, s.signal, 0 FROM app, "
        "(VALUES ('web', 'wait'), ('web', 'busy'), ('web', 'slots'), ('rq:default', 'wait'), ('rq:low', 'wait')) "
        "s (source, signal);"
        "INSERT INTO counter VALUES ('config', 1) ON CONFLICT (name) DO UPDATE SET value = counter.value + 1",
        database,
    )  # fmt: skip


def report(app: int, number: int) -> bytes:
    now = int(time.time())
    rows = []
    for second in range(now - EVERY_S, now):
        rows += [f"{second},{random.randrange(120)},web,", f"{second},{random.randrange(90)},web,busy"]
        rows.append(f"{second},5,web,slots")
    rows += [f"{now},{random.randrange(900)},rq:default,", f"{now},{random.randrange(900)},rq:low,"]
    body = "\r\n".join(rows) + "\r\n"
    head = (
        f"POST /api/v1/report/{token(app)} HTTP/1.1\r\nHost: load\r\nContent-Type: text/csv\r\n"
        f"User-Agent: dynoscale-python;2.1.0\r\nX_DYNO: web.1\r\nHTTP_X_DYNO: web.1\r\n"
        f"X_REQUEST_START: t={now}\r\nIdempotency-Key: {app:016x}{number:016x}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.sent_at = 0.0
        self.answer = b""


def send(apps: List[int], ports: List[int], until: float, results: multiprocessing.Queue[Sent]) -> None:
    """Each app's report when it is due, on whichever connection is free."""
    # Each in its turn: one that is idle for long is closed.
    ready = collections.deque(Connection(ports[number % len(ports)]) for number in range(32 * len(ports)))
    selector = selectors.DefaultSelector()
    for connection in ready:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    began, next_app, number = time.monotonic(), 0, 0
    done, busy, waits = 0, 0, []
    while time.monotonic() < until or len(ready) < 32 * len(ports):
        due = began + (number * len(apps) + next_app) * EVERY_S / len(apps)
        while ready and time.monotonic() >= due and time.monotonic() < until:
            connection = ready.popleft()
            connection.sent_at, connection.answer = time.monotonic(), b""
            connection.socket.sendall(report(apps[next_app], number))
            next_app += 1
            if next_app == len(apps):
                next_app, number = 0, number + 1
            due = began + (number * len(apps) + next_app) * EVERY_S / len(apps)
        for key, _ in selector.select(0.002):
            connection = key.data
            connection.answer += connection.socket.recv(65536)
            if not connection.answer.endswith(b"}\n"):
                if connection.answer.startswith(b"HTTP/1.1 503") and connection.answer.endswith(b"}"):
                    busy += 1
                    ready.append(connection)
                continue
            waits.append(time.monotonic() - connection.sent_at)
            done += connection.answer.startswith(b"HTTP/1.1 200")
            ready.append(connection)
    results.put((done, busy, random.sample(waits, min(len(waits), 20000))))


def cpu_of(pid: int) -> float:
    """Seconds, of the process and of those of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICK_HZ


def cpu_of_servers(data: Path) -> float:
    total = 0.0
    master = int((data / "postmaster.pid").read_text().split()[0])
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(path.parent.name) == master or int(fields[1]) == master:
                total += sum(map(int, fields[11:13])) / TICK_HZ
        except (OSError, ValueError, IndexError):
            continue
    return total


def own_metric(service: Service, name: str) -> float:
    """Without those of 10,000 apps."""
    found = re.search(rf"^dynoscaled_{name} (\S+)$", service.get("/metrics").text, re.MULTILINE)
    assert found, name
    return float(found.group(1))


def log_bytes(cluster: Cluster) -> int:
    return int(cluster.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"))


def line(row: Dict[str, float]) -> str:
    def shown(name: str, value: float) -> str:
        return f"{value:>{len(name)}.{0 if value >= 100 or value == int(value) else 1}f}"

    return "  ".join(shown(name, value) for name, value in row.items())


def write(to: Path, given: argparse.Namespace, rows: List[Dict[str, float]]) -> None:
    to.mkdir(parents=True, exist_ok=True)
    title = f"{given.apps} apps, {given.apps * 5} series, {given.seconds:.0f} s for each number of receivers"
    (to / "machines.txt").write_text("\n".join([title, "", "  ".join(rows[0]), *map(line, rows)]) + "\n")
    series: Dict[str, List[plot.Point]] = {}
    for row in rows:
        ours, theirs = row["service us/report"], row["postgres us/report"]
        for name, cost in (("both", ours + theirs), ("PostgreSQL", theirs), ("all receivers", ours)):
            series.setdefault(name, []).append((row["receivers"], cost, cost, cost))
    plot.lines(to / "machines.svg", title, "receivers", "CPU time of a report, µs", series)


def gather(
    results: multiprocessing.Queue[Sent], senders: int, services: List[Service]
) -> Tuple[List[Sent], List[float]]:
    """What each sender counted, and meanwhile how long each tick took."""
    found: List[Sent] = []
    ticks: List[float] = []
    seen: Dict[str, float] = {}
    while len(found) < senders:
        try:
            found.append(results.get(timeout=2))
        except queue.Empty:
            for service in services:
                at = own_metric(service, "last_tick_timestamp_seconds")
                if at and seen.get(service.name) != at:
                    ticks.append(own_metric(service, "last_tick_seconds"))
                seen[service.name] = at
    return found, sorted(ticks) or [0.0]


def start_services(stack: ExitStack, directory: str, env: Dict[str, str], receivers: int) -> List[Service]:
    services = []
    for n in range(receivers):
        data = Path(directory) / str(n)
        service = Service(directory, "--public-metrics", data=data, name=f"service-{n}", env=env)
        services.append(stack.enter_context(service.start()))
    return services


def start_senders(given: argparse.Namespace, ports: List[int], results: multiprocessing.Queue[Sent]) -> List[multiprocessing.Process]:
    """Each sends for its share of the apps, to one receiver first and to the others where that fails."""
    until = time.monotonic() + given.seconds
    senders = []
    for n in range(given.senders):
        apps = list(range(1 + n, given.apps + 1, given.senders))
        first = n % len(ports)
        args = (apps, ports[first:] + ports[:first], until, results)
        senders.append(multiprocessing.Process(target=send, args=args))
        senders[-1].start()
    return senders


class Used(NamedTuple):
    """What was used up to a moment."""

    at: float
    receivers_cpu: float
    postgresql_cpu: float
    log_bytes: int

    @classmethod
    def now(cls, cluster: Cluster, services: List[Service]) -> Used:
        cpu = sum(cpu_of(service.pid) for service in services)
        return cls(time.monotonic(), cpu, cpu_of_servers(cluster.data), log_bytes(cluster))


def of_reports(gathered: List[Sent], parts: int, before: Used, after: Used) -> Dict[str, float]:
    done = sum(taken for taken, _, _ in gathered)
    waits = sorted(wait for _, _, waits in gathered for wait in waits) or [0.0]
    took = after.at - before.at
    ours = (after.receivers_cpu - before.receivers_cpu) * 1e6
    theirs = (after.postgresql_cpu - before.postgresql_cpu) * 1e6
    return {
        "reports/s": done / took,
        "503": sum(refused for _, refused, _ in gathered),
        "parts/s": parts / took,
        "service us/report": ours / max(done, 1),
        "service us/part": ours / parts,
        "postgres us/report": theirs / max(done, 1),
        "postgres us/part": theirs / parts,
        "log B/report": (after.log_bytes - before.log_bytes) / max(done, 1),
        "p50 ms": waits[len(waits) // 2] * 1e3,
        "p99 ms": waits[len(waits) * 99 // 100] * 1e3,
    }


def of_services(services: List[Service], ticks: List[float]) -> Dict[str, float]:
    """`ticks`: how long each of them took, in order."""
    return {
        "MiB each": max(own_metric(service, "resident_bytes") for service in services) / 2**20,
        "ticks": sum(own_metric(service, "ticks_total") for service in services),
        "late": sum(own_metric(service, "ticks_late_total") for service in services),
        "tick p50 ms": ticks[len(ticks) // 2] * 1e3,
        "longest tick ms": ticks[-1] * 1e3,
    }


def measure(cluster: Cluster, receivers: int, given: argparse.Namespace) -> Dict[str, float]:
    url = cluster.database()
    database = url.rsplit("/", 1)[1]
    env = {"DYNOSCALED_DATABASE": url, "DYNOSCALED_KEY": KEY}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        with Service(directory, name="first", data=Path(directory) / "first", env=env).start():
            make_apps(cluster, database, given.apps)  # in the tables that it made
        services = start_services(stack, directory, env, receivers)
        before = Used.now(cluster, services)
        results: multiprocessing.Queue[Sent] = multiprocessing.Queue()
        senders = start_senders(given, [service.port for service in services], results)
        gathered, ticks = gather(results, len(senders), services)
        for sender in senders:
            sender.join()
        after = Used.now(cluster, services)
        parts = int(cluster.sql("SELECT count(*) FROM part", database)) or 1
        age = "SELECT extract(epoch FROM now())::bigint - min(start_s) FROM part"
        oldest = int(cluster.sql(age, database) or 0)
        found: Dict[str, float] = {
            "receivers": receivers,
            **of_reports(gathered, parts, before, after),
            **of_services(services, ticks),
            "oldest part s": oldest,
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--apps", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--receivers", default="1,2,3,4")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as directory, Cluster(directory, "shared_buffers=256MB") as cluster:
        cluster.start()
        for receivers in map(int, given.receivers.split(",")):
            rows.append(measure(cluster, receivers, given))
            if len(rows) == 1:
                print("  ".join(rows[0]))
            print(line(rows[-1]), flush=True)
    if given.to:
        write(given.to, given, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
