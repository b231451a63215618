#!/usr/bin/env python3
"""Ten times the reports that the service can take, for minutes, beside apps that report as usual.

    python3 tests/service/soak/overload.py [--seconds 120] [--rows 500] [--series 100] [--times 10]

First the usual apps report and pages are read alone, for a third of the time; then a flood comes from a
few apps: a thousand dynos, each of which has a report to send at any time and sends it again until
it is answered with 2xx, so often that the service is offered so many times what it takes. In the
end the flood stops, what waits is sent, and all rows are counted.

Exits 0 only if each row that was sent is there once, what was not taken was answered with 503 and
Retry-After, and memory was flat in the last two thirds of the flood. Times are printed for both, and as
ratios: sender and service share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import multiprocessing
import random
import re
import statistics
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Deque, Dict, List, NamedTuple, Tuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "support")]

from reports import Row, add_app, command, counted, csv, headers  # noqa: E402
from service import Service  # noqa: E402
from wire_async import Broken, Client  # noqa: E402

FLOODING = 4  # apps
DYNOS = 1000  # of all of these
USUAL = 20  # apps
USUAL_EVERY_S = 2.0
PAGES = ("/healthz", "/signin", "/api/v1/apps")
SAMPLE_S = 1.0
FLAT_MIB = 4.0
LEAST_PAUSE_S, MOST_PAUSE_S = 0.02, 30.0


class Flood(NamedTuple):
    """What a flood came to."""

    sent: List[int]  # reports of each app
    tries: int
    busy: int
    wrong: List[str]


def body_of(rows: int, series: int) -> bytes:
    """Rows of the last ten seconds."""
    now, chance = int(time.time()), random.Random(4)
    all_rows: List[Row] = [
        (now - row % 10, chance.randrange(2000), "web" if row % series == 0 else f"rq:queue-{row % series}", "")
        for row in range(rows)
    ]
    return zlib.compress(csv(all_rows), wbits=31)


async def flood(port: int, paths: List[str], given: argparse.Namespace, end: "threading.Event", counts: Dict[str, int]) -> Flood:
    found = Flood([0] * len(paths), 0, 0, [])
    body, made = body_of(given.rows, given.series), time.time()
    pause = 1.0

    async def dyno(number: int) -> Tuple[int, int]:
        nonlocal body, made
        client, sent, tries, busy = Client(port), 0, 0, 0
        await asyncio.sleep(random.random())
        while not end.is_set():
            if time.time() - made > 5:
                body, made = body_of(given.rows, given.series), time.time()
            mine, sent = body, sent + 1
            lines = {**headers(f"{number:016x}{sent:016x}", f"web.{number}"), "Content-Encoding": "gzip"}
            while True:
                counts["tries"] += 1
                tries += 1
                try:
                    reply = await client.request("POST", paths[number % len(paths)], mine, lines)
                except Broken:
                    counts["broken"] += 1
                    await asyncio.sleep(pause)
                    continue
                if reply.status == 503:
                    busy += 1
                    if not int(reply.headers.get("retry-after", "0")):
                        found.wrong.append("503 without Retry-After")
                    await asyncio.sleep(pause * (0.5 + random.random()))
                    continue
                if reply.status != 200:
                    found.wrong.append(f"{reply.status} {reply.body!r}")
                break
            counts["taken"] += 1
            found.sent[number % len(paths)] += 1
        client.close()
        return tries, busy

    async def keep_pace() -> None:
        """So that the tries are so many times what is taken."""
        nonlocal pause
        before: Deque[Tuple[int, int]] = collections.deque(maxlen=6)
        while True:
            before.append((counts["tries"], counts["taken"]))
            await asyncio.sleep(1)
            tries, taken = counts["tries"] - before[0][0], counts["taken"] - before[0][1]
            pause *= 1.25 if tries > given.times * max(taken, 1) else 0.8
            pause = min(max(pause, LEAST_PAUSE_S), MOST_PAUSE_S)

    keeper = asyncio.create_task(keep_pace())
    results = await asyncio.gather(*(dyno(number) for number in range(DYNOS)))
    keeper.cancel()
    return found._replace(tries=sum(r[0] for r in results), busy=sum(r[1] for r in results))


def flood_process(
    port: int, paths: List[str], given: argparse.Namespace, end: "threading.Event", results: "multiprocessing.Queue[Tuple[Flood, Dict[str, int]]]"
) -> None:
    counts = {"tries": 0, "taken": 0, "broken": 0}
    results.put((asyncio.run(flood(port, paths, given, end, counts)), counts))


class Usual:
    """Apps that report as always, and somebody who reads pages."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.paths = [add_app(service, f"usual-{number}") for number in range(USUAL)]
        token = command(service, "token", "add", "--scope", "read").split()[0]
        self.by = {"Authorization": f"Bearer {token}"}
        self.sent = [0] * USUAL
        self.reports: List[float] = []
        self.pages: List[float] = []
        self.memory: List[float] = []
        self.busy = self.broken = 0
        self.ticks = self.late = 0.0
        self.wrong: List[str] = []

    async def report(self, number: int, end: float) -> None:
        client = Client(self.service.port)
        await asyncio.sleep(USUAL_EVERY_S * number / USUAL)
        while time.monotonic() < end:
            began = time.monotonic()
            self.sent[number] += 1
            body = csv([(int(time.time()) - second, 20, "web", "") for second in range(10)])
            lines = headers(f"{number:016x}{self.sent[number]:016x}")
            while True:
                try:
                    reply = await client.request("POST", self.paths[number], body, lines)
                except Broken:
                    self.broken += 1
                    continue
                if reply.status == 200:
                    break
                self.busy += 1
                if reply.status != 503:
                    self.wrong.append(f"{reply.status} {reply.body!r}")
                    break
                await asyncio.sleep(1)
            self.reports.append(time.monotonic() - began)
            await asyncio.sleep(max(0.0, began + USUAL_EVERY_S - time.monotonic()))
        client.close()

    async def read(self, end: float) -> None:
        client, number = Client(self.service.port), 0
        while time.monotonic() < end:
            number += 1
            began = time.monotonic()
            reply = await client.request("GET", PAGES[number % len(PAGES)], b"", self.by)
            self.pages.append(time.monotonic() - began)
            if reply.status != 200:
                self.wrong.append(f"{PAGES[number % len(PAGES)]}: {reply.status}")
            await asyncio.sleep(0.2)
        client.close()

    async def watch(self, end: float) -> None:
        client = Client(self.service.port)
        while time.monotonic() < end:
            text = (await client.request("GET", "/metrics")).body.decode()
            found = {name: float(value) for name, value in re.findall(r"^dynoscaled_(\w+) (\S+)$", text, re.M)}
            self.memory.append(found["resident_bytes"] / 2**20)
            self.ticks, self.late = found["ticks_total"], found["ticks_late_total"]
            await asyncio.sleep(SAMPLE_S)
        client.close()

    async def go_on(self, seconds: float) -> None:
        self.reports, self.pages, self.memory = [], [], []
        end = time.monotonic() + seconds
        await asyncio.gather(*(self.report(n, end) for n in range(USUAL)), self.read(end), self.watch(end))

    def times(self) -> Dict[str, float]:
        def at(values: List[float], share: float) -> float:
            return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e3

        return {
            "report p50": at(self.reports, 0.5), "report p99": at(self.reports, 0.99),
            "page p50": at(self.pages, 0.5), "page p99": at(self.pages, 0.99),
        }  # fmt: skip


def check_rows(service: Service, name: str, wanted: int, series: int, began: float, wrong: List[str]) -> int:
    sources = ["web", *(f"rq:queue-{number}" for number in range(1, series))]
    kept = sum(counted(service, source, began - 60, name) for source in sources)
    if kept != wanted:
        wrong.append(f"{name}: {wanted} rows were sent, {kept} are there")
    return kept


def overload(directory: Path, given: argparse.Namespace) -> int:
    began = time.time()
    with Service(directory, "--public-metrics").start() as service:
        flooding = [add_app(service, f"flood-{number}") for number in range(FLOODING)]
        usual = Usual(service)
        asyncio.run(usual.go_on(given.seconds / 3))
        alone, ticks, late = usual.times(), usual.ticks, usual.late
        print(f"alone, {given.seconds / 3:.0f} s: " + ", ".join(f"{k} {v:.1f} ms" for k, v in alone.items()), flush=True)
        context = multiprocessing.get_context("spawn")
        end, results = context.Event(), context.Queue()
        sender = context.Process(target=flood_process, args=(service.port, flooding, given, end, results))
        sender.start()
        before = time.monotonic()
        asyncio.run(usual.go_on(given.seconds))
        end.set()
        took = time.monotonic() - before
        flooded, memory = usual.times(), usual.memory
        found, counts = results.get(timeout=600)
        drained = time.monotonic() - before - took
        sender.join()
        wrong = usual.wrong + found.wrong
        rows = sum(
            check_rows(service, f"flood-{number}", sent * given.rows, given.series, began, wrong)
            for number, sent in enumerate(found.sent)
        )
        rows += sum(check_rows(service, f"usual-{n}", sent * 10, 1, began, wrong) for n, sent in enumerate(usual.sent))
        third = len(memory) // 3
        middle, last = statistics.median(memory[third : 2 * third]), statistics.median(memory[2 * third :])
        if last > middle + FLAT_MIB:
            wrong.append(f"memory grew from {middle:.1f} to {last:.1f} MiB")
        taken = sum(found.sent)
        print(f"flood, {took:.0f} s: {found.tries} tries, {found.tries / max(taken, 1):.1f} times what was taken: {taken} "
              f"reports, {taken / (took + drained):.0f} a second; {found.busy} answered 503 with Retry-After, "
              f"{counts['broken']} cut off; what waited was in {drained:.0f} s later")  # fmt: skip
        print("usual apps and pages meanwhile: " + ", ".join(
            f"{k} {v:.1f} ms ({v / alone[k]:.1f} times)" for k, v in flooded.items()))  # fmt: skip
        print(f"usual apps: {usual.busy} times 503, {usual.broken} cut off; "
              f"ticks {usual.ticks - ticks:.0f}, {usual.late - late:.0f} of them more than 3 s late")  # fmt: skip
        print(f"rows {rows}, each there once" if not wrong else f"rows {rows}")
        print(f"memory {middle:.1f} MiB in the middle third, {last:.1f} in the last; most {max(memory):.1f}")
    for line in wrong[:20]:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--times", type=float, default=10)
    with tempfile.TemporaryDirectory() as directory:
        return overload(Path(directory), parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
