"""People in the pages: they read, watch streams of events and change rules."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Coroutine, Dict, List, NamedTuple, Optional, Tuple

from wire_async import Broken, Client, read_head

PAGES = ["/", "/signin", "/account", "/people", "/apps/{app}", "/apps/{app}/rules", "/apps/{app}/why"]
CALLS = [
    "/api/v1/apps",
    "/api/v1/apps/{app}",
    "/api/v1/apps/{app}/audit",
    "/api/v1/apps/{app}/events",
    "/api/v1/apps/{app}/rules",
    "/api/v1/apps/{app}/sources",
    "/api/v1/apps/{app}/series?source=web&signal=wait&from=-1h&step=60",
    "/api/v1/apps/{app}/processes/web",
    "/api/v1/apps/{app}/processes/web/chart?from=-1h&step=60",
    "/api/v1/apps/{app}/processes/web/ledger?from=-10m",
    "/api/v1/apps/{app}/processes/web/explain",
    "/metrics",
]
STREAM_S = 60

RULES = """\
zone: UTC
processes:
  web:
    scaling: on
    rules:
      - {{name: default, dynos: {{min: {least}, max: {most}}}, window: 30,
         up: {{threshold_ms: 100, step: 1, wait: 20}}, down: {{threshold_ms: 50, step: 1, wait: 60}}}}
"""
WORKERS = """\
  worker:
    scaling: on
    rules:
      - {name: default, queues: ["rq:*"], dynos: {min: 1, max: 5}, window: 30,
         up: {threshold_ms: 2000, step: 1, wait: 20}, down: {threshold_ms: 1000, step: 1, wait: 60}}
"""


def rules(least: int, most: int, workers: bool) -> bytes:
    return (RULES.format(least=least, most=most) + (WORKERS if workers else "")).encode()


class Range(NamedTuple):
    """Of an app's web, from some moment between `began_s` and `ended_s`; None: nobody said whether."""

    least: int
    most: int
    began_s: float
    ended_s: Optional[float]


class Ranges:
    """Those that an app's rules had."""

    def __init__(self, least: int, most: int) -> None:
        self.all = [Range(least, most, 0.0, 0.0)]

    def in_force(self, at_s: float, slack_s: float) -> List[Range]:
        """All that may have been, at a moment give or take."""
        found = []
        for number, one in enumerate(self.all):
            later = [other.ended_s for other in self.all[number + 1 :] if other.ended_s is not None]
            if one.began_s <= at_s + slack_s and (not later or later[0] >= at_s - slack_s):
                found.append(one)
        return found


class People:
    def __init__(self, port: int, token: str, apps: List[str], ranges: Dict[str, Tuple[Ranges, bool]]) -> None:
        self.port, self.apps, self.ranges = port, apps, ranges
        self.by = {"Authorization": f"Bearer {token}"}
        self.random = random.Random(2)
        self.waits: List[float] = []
        self.answered = self.events = self.changes = self.broken = self.busy = 0
        self.wrong: List[str] = []

    def _note(self, what: str, status: int) -> bool:
        if status == 200:
            self.answered += 1
        elif status == 503:
            self.busy += 1
        else:
            self.wrong.append(f"{what} was answered with {status}")
        return status == 200

    async def read(self, end: asyncio.Event) -> None:
        """Pages and what they ask for."""
        client = Client(self.port)
        while not end.is_set():
            path = self.random.choice(PAGES + CALLS).format(app=self.random.choice(self.apps))
            began = time.monotonic()
            try:
                self._note(path, (await client.request("GET", path, headers=self.by)).status)
                self.waits.append(time.monotonic() - began)
            except Broken:
                self.broken += 1
            await asyncio.sleep(self.random.random())
        client.close()

    async def watch(self, end: asyncio.Event) -> None:
        """A stream of events of all apps, opened anew each minute."""
        while not end.is_set():
            client = Client(self.port)
            try:
                reader = await client.open("GET", "/api/v1/events", b"", self.by)
                first, _ = await asyncio.wait_for(read_head(reader), STREAM_S)
                self._note("/api/v1/events", int(first.split()[1]))
                until = time.monotonic() + STREAM_S
                while time.monotonic() < until and not end.is_set():
                    line = await asyncio.wait_for(reader.readline(), STREAM_S)
                    if not line:
                        raise EOFError("the service has ended")
                    self.events += line.startswith(b"event:")
            except (OSError, EOFError, asyncio.TimeoutError):
                self.broken += 1
                await asyncio.sleep(0.5)
            finally:
                client.close()

    async def change(self, end: asyncio.Event) -> None:
        """The ranges of some apps."""
        client = Client(self.port)
        while not end.is_set():
            app = self.random.choice(list(self.ranges))
            ranges, workers = self.ranges[app]
            least, most, began = self.random.randint(1, 3), self.random.randint(4, 8), time.time()
            ended: Optional[float] = None
            try:
                reply = await client.request("PUT", f"/api/v1/apps/{app}/rules", rules(least, most, workers), self.by)
                if self._note("rules", reply.status):
                    ended = time.time()
                    self.changes += 1
            except Broken:
                self.broken += 1
            ranges.all.append(Range(least, most, began, ended))
            await asyncio.sleep(1 + 2 * self.random.random())
        client.close()

    def run(self, end: asyncio.Event) -> List[Coroutine[Any, Any, None]]:
        every = [self.read] * 6 + [self.watch] * 4 + [self.change]
        return [person(end) for person in every]
