"""Apps whose dynos report as agents do: each batch again, under its key, until it is answered."""

from __future__ import annotations

import asyncio
import bisect
import math
import random
import time
import uuid
from typing import Dict, List, NamedTuple, Set, Tuple

from false_platform import FalsePlatform
from reports import csv, headers
from wire_async import Broken, Client

EVERY_S = 10
AGAIN_S = 1.0
ROWS_A_SECOND = 3
SILENT_FOR_S = 180
SILENT_EVERY_S = 480


class Batch(NamedTuple):
    key: str
    body: bytes
    rows: Dict[str, int]  # of waits, by source


class App:
    """One app: how much is asked of it changes over minutes, and its waits with that and its dynos.

    workers  it has a queue of jobs and a process type that works on it
    falls    it is silent for three minutes of each eight
    """

    def __init__(
        self, name: str, path: str, platform: FalsePlatform, port: int, seed: int, workers: bool, falls: bool
    ) -> None:
        self.name, self.path, self.platform, self.port = name, path, platform, port
        self.random = random.Random(seed)
        self.workers, self.falls = workers, falls
        self.base, self.period_s = 1.0 + 2.5 * self.random.random(), 360 + 360 * self.random.random()
        self.phase = 2 * math.pi * self.random.random()
        self.answered: Dict[str, int] = {"web": 0, "rq:default": 0}
        self.sent: List[float] = []  # when reports were, which may be known from then on
        self.reports = self.busy = self.broken = 0
        self.wrong: List[str] = []
        self.waiting = 0  # batches that are not answered yet
        self.began_s = time.time()

    def silent(self) -> bool:
        return self.falls and (time.time() - self.began_s) % SILENT_EVERY_S > SILENT_EVERY_S - SILENT_FOR_S

    def _load(self, now_s: float) -> float:
        return self.base * (1.1 + math.sin(self.phase + 2 * math.pi * now_s / self.period_s))

    def _wait_ms(self, process: str, now_s: float, least: float, slow: float) -> int:
        dynos = max(1, self.platform.up((self.name, process)))
        over = max(0.0, self._load(now_s) / dynos - 0.8)
        return min(int(self.random.expovariate(1 / (least + slow * over))), 500_000)

    def _batch(self, number: int) -> Batch:
        now, rows = int(time.time()), []
        for second in range(now - EVERY_S, now):
            rows += [(second, self._wait_ms("web", second, 12, 800), "web", "") for _ in range(ROWS_A_SECOND)]
            rows += [(second, self.random.randrange(5), "web", "busy"), (second, 5, "web", "slots")]
        counted = {"web": EVERY_S * ROWS_A_SECOND}
        if self.workers and number == 1:
            rows.append((now - 1, self._wait_ms("worker", now, 100, 8000), "rq:default", ""))
            counted["rq:default"] = 1
        return Batch(uuid.uuid4().hex, csv(rows), counted)

    async def _send(self, client: Client, number: int, batch: Batch) -> bool:
        lines = headers(batch.key, f"web.{number}", "dynoscale-python;2.1.0")
        self.sent.append(time.time())
        try:
            reply = await client.request("POST", self.path, batch.body, lines)
        except Broken:
            self.broken += 1
            return False
        if reply.status == 503:
            self.busy += 1
            return False
        if reply.status != 200:
            self.wrong.append(f"a report was answered with {reply.status}: {reply.body[:200]!r}")
            return True
        self.reports += 1
        for source, rows in batch.rows.items():
            self.answered[source] += rows
        return True

    async def _dyno(self, number: int, end: asyncio.Event) -> None:
        """Until the platform runs fewer, or the end; what waits is sent before."""
        client, batches = Client(self.port), []  # type: Tuple[Client, List[Batch]]
        due = time.monotonic() + EVERY_S * self.random.random()
        while True:
            lives = not end.is_set() and self.platform.up((self.name, "web")) >= number
            if not lives and not batches:
                break
            if lives and time.monotonic() >= due and not self.silent():
                batches.append(self._batch(number))
                self.waiting += 1
            while due <= time.monotonic():
                due += EVERY_S
            while batches and await self._send(client, number, batches[0]):
                batches.pop(0)
                self.waiting -= 1
            wait = AGAIN_S if batches else min(AGAIN_S, due - time.monotonic())
            await asyncio.sleep(max(0.01, wait * (0.75 + 0.5 * self.random.random())))
        client.close()

    async def run(self, end: asyncio.Event) -> None:
        dynos: Dict[int, asyncio.Task[None]] = {}
        ended: Set[asyncio.Task[None]] = set()
        while not end.is_set():
            for number in range(1, self.platform.up((self.name, "web")) + 1):
                if number not in dynos or dynos[number].done():
                    if number in dynos:
                        ended.add(dynos[number])
                    dynos[number] = asyncio.create_task(self._dyno(number, end))
            await asyncio.sleep(1)
        await asyncio.gather(*dynos.values(), *ended)

    def last_sent(self, at_s: float) -> float:
        """When a report had been sent last, at a moment; 0: never."""
        place = bisect.bisect_right(self.sent, at_s)
        return self.sent[place - 1] if place else 0.0
