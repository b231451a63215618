#!/usr/bin/env python3
"""A long run of the service, and a check of all that it did.

    python3 tests/service/soak/soak.py [--minutes 60] [--apps 200] [--data DIR]

Apps report as agents do and are scaled through a platform that fails at random; people read pages,
watch streams of events and change rules. In the first and the last sixth the service is ended now
and then, by SIGKILL and SIGTERM; between them it lives on, and its memory is watched from
that life's 25th minute (of a shorter run: from its first quarter) on. Exits 0 only if memory is
flat, each row that was answered is there once, no order was wrong, and ledger and platform agree.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "support")]

import judge  # noqa: E402
from agents import App  # noqa: E402
from false_platform import FalsePlatform  # noqa: E402
from people import People, Ranges, rules  # noqa: E402
from processes import free_port  # noqa: E402
from reports import command, counted  # noqa: E402
from service import Service  # noqa: E402
from wire_async import Broken, Client  # noqa: E402

SETTLED_S = 1500.0  # fifteen minutes of windows, and the first that are folded
SAMPLE_S = 5.0
RESTART_S = 40.0
FLAT = 0.02  # memory may be so much more at the end, of what it was: peaks that differ
MINUTES_COMPARED = 5
REPLAYED = 5  # apps whose decisions are made again
ACT_TIMEOUT_S = 5
WORKERS = (1, 5)
USUAL = (1, 6)


class Sample(NamedTuple):
    life: int
    at_s: float
    mib: float


class Soak:
    def __init__(self, directory: Path, minutes: float, count: int) -> None:
        self.seconds = minutes * 60
        self.port = free_port()
        self.service = Service(
            directory, "--private-platforms", "--public-metrics", "--act-timeout-s", str(ACT_TIMEOUT_S),
            listen=f"127.0.0.1:{self.port}",
        )  # fmt: skip
        self.random = random.Random(3)
        self.platform = FalsePlatform()
        self.count = count
        self.apps: Dict[str, App] = {}
        self.ranges: Dict[str, Ranges] = {}
        self.people: Optional[People] = None
        self.samples: List[Sample] = []
        self.late: Dict[int, float] = {}  # ticks of each life
        self.ticks: Dict[int, float] = {}
        self.life = 0
        self.kills: List[float] = []
        self.stops = 0
        self.began_s = 0.0
        self.wrong: List[str] = []

    # ---- The world ------------------------------------------------------------------------------

    async def set_up(self) -> None:
        await self.platform.start()
        self.service.start()
        token = command(self.service, "token", "add", "--scope", "admin").split()[0]
        client, by = Client(self.port), {"Authorization": f"Bearer {token}"}

        async def call(method: str, path: str, body: Any) -> Any:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            kind = "application/yaml" if isinstance(body, bytes) else "application/json"
            reply = await client.request(method, "/api/v1/apps" + path, data, {**by, "Content-Type": kind})
            assert reply.status in (200, 201), reply
            return json.loads(reply.body)

        self.began_s = time.time()
        for number in range(self.count):
            name, workers = f"app-{number}", number % 4 == 0
            added = await call("POST", "", {"name": name})
            await call("PUT", f"/{name}/rules", rules(*USUAL, workers))
            for process in ("web", "worker"):
                self.platform.add((name, process), 2)
            url = f"http://127.0.0.1:{self.platform.port}/"
            platform = {"kind": "webhook", "settings": {"url": url}, "force": True}
            await call("PUT", f"/{name}/platform", platform)
            path = "/api/" + added["report_url"].split("/api/", 1)[1]
            self.apps[name] = App(name, path, self.platform, self.port, number, workers, number % 10 == 9)
            self.ranges[name] = Ranges(*USUAL)
        client.close()
        changed = {name: (self.ranges[name], app.workers) for name, app in self.apps.items() if not app.falls}
        some = dict(list(changed.items())[:: max(1, len(changed) // 20)])
        self.people = People(self.port, token, list(self.apps), some)

    # ---- What goes on ---------------------------------------------------------------------------

    async def restart(self) -> None:
        """By turns: SIGKILL of all its processes, SIGTERM, SIGKILL of the one that listens alone."""
        way = self.life % 3
        if way != 1:
            self.kills.append(time.time())
        if way == 0:
            await asyncio.to_thread(self.service.kill)
        elif way == 1:
            self.stops += 1
            await asyncio.to_thread(self.service.stop, signal.SIGTERM, 60.0)
        else:
            await asyncio.to_thread(self.service.stop, signal.SIGKILL, 60.0, (-signal.SIGKILL,))
        self.life += 1
        await asyncio.to_thread(self.service.start)

    async def restarts(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(min(RESTART_S, self.seconds / 30) * (0.5 + self.random.random()))
            await self.restart()

    async def watch(self, end: asyncio.Event) -> None:
        """Memory and ticks."""
        client = Client(self.port)
        while not end.is_set():
            life = self.life
            try:
                text = (await client.request("GET", "/metrics")).body.decode()
            except Broken:
                text = ""
            if text and life == self.life:
                found = {name: float(value) for name, value in re.findall(r"^dynoscaled_(\w+) (\S+)$", text, re.M)}
                self.samples.append(Sample(life, time.monotonic(), found["resident_bytes"] / 2**20))
                self.late[life], self.ticks[life] = found["ticks_late_total"], found["ticks_total"]
            await asyncio.sleep(SAMPLE_S)
        client.close()

    async def tell(self, end: asyncio.Event) -> None:
        """A line a minute."""
        began = time.monotonic()
        while not end.is_set():
            await asyncio.sleep(60)
            mib = self.samples[-1].mib if self.samples else 0
            reports = sum(app.reports for app in self.apps.values())
            print(
                f"{(time.monotonic() - began) / 60:4.0f} min  {mib:6.1f} MiB  {reports:8} reports  "
                f"{len(self.platform.sets):6} orders called  {self.life} restarts", flush=True,
            )  # fmt: skip

    async def run(self) -> None:
        people = self.people
        assert people
        end, apps_end = asyncio.Event(), asyncio.Event()
        agents = [asyncio.create_task(app.run(apps_end)) for app in self.apps.values()]
        others = [asyncio.create_task(self.watch(end)), asyncio.create_task(self.tell(end))]
        others += [asyncio.create_task(person) for person in people.run(end)]
        began = time.monotonic()
        await self.restarts(began + self.seconds / 6)
        await asyncio.sleep(self.seconds * 2 / 3)
        await self.restarts(began + self.seconds - RESTART_S)
        await asyncio.sleep(max(0.0, began + self.seconds - time.monotonic()))
        apps_end.set()
        await asyncio.gather(*agents)  # what waits is sent
        end.set()
        for other in others:
            other.cancel()
        for result in await asyncio.gather(*others, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    # ---- What came of it ------------------------------------------------------------------------

    def settled(self) -> List[Sample]:
        """Of the longest life, without its beginning."""
        lives = [sample.life for sample in self.samples]
        longest = max(set(lives), key=lives.count)
        samples = [sample for sample in self.samples if sample.life == longest]
        from_s = samples[0].at_s + (SETTLED_S if self.seconds >= 3600 else self.seconds / 6)
        return [sample for sample in samples if sample.at_s >= from_s]

    def check_memory(self) -> str:
        samples = self.settled()
        begin, end = samples[0].at_s, samples[-1].at_s
        least = MINUTES_COMPARED * 60
        first = statistics.median(s.mib for s in samples if s.at_s <= begin + least)
        last = statistics.median(s.mib for s in samples if s.at_s >= end - least)
        if self.seconds >= 3600 and last > first * (1 + FLAT):
            self.wrong.append(f"memory grew from {first:.1f} to {last:.1f} MiB in {(end - begin) / 60:.0f} minutes")
        return (
            f"memory {first:.1f} MiB, {(end - begin) / 60:.0f} minutes later {last:.1f}; "
            f"most {max(s.mib for s in self.samples):.1f}"
        )

    def check_rows(self) -> str:
        rows, apps = 0, self.apps.values()
        for app in apps:
            self.wrong += app.wrong
            for source, answered in app.answered.items():
                kept = counted(self.service, source, self.began_s - 60, app.name)
                rows += kept
                if kept != answered:
                    self.wrong.append(f"{app.name} {source}: {answered} rows were answered with 2xx, {kept} are there")
        reports, busy, broken = (sum(getattr(app, what) for app in apps) for what in ("reports", "busy", "broken"))
        return f"{reports} reports with {rows} rows of waits: each there once; sent again: {busy} after 503, {broken} cut off"

    def check_orders(self, orders: List[judge.Order]) -> str:
        sets = self.platform.sets
        self.wrong += judge.ledger_against_platform(self.platform, orders, self.kills)
        self.wrong += judge.two_in_flight(self.platform)
        self.wrong += judge.out_of_range(orders, self.ranges, WORKERS)
        self.wrong += judge.from_no_data(orders, self.apps)
        failed = sum(call.status != 200 for call in sets)
        done = sum(order.done for order in orders)
        return f"{len(orders)} orders, {done} done, by {len(sets)} calls of which {failed} failed; {self.platform.reads} readings"

    def check_people(self) -> str:
        people = self.people
        assert people
        self.wrong += people.wrong
        waits = sorted(people.waits)
        return (
            f"{people.answered} pages and calls (p50 {waits[len(waits) // 2] * 1e3:.0f} ms, p99 "
            f"{waits[len(waits) * 99 // 100] * 1e3:.0f} ms), {people.events} events, {people.changes} changes of rules; "
            f"{people.busy} times 503, {people.broken} cut off"
        )

    def check_replay(self) -> str:
        ticks = 0
        for name in list(self.apps)[:REPLAYED]:
            hours = int(self.seconds / 3600) + 2
            line = [self.service.program, "replay", name, "web", "--from", f"-{hours}h", "--data", str(self.service.data)]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            ticks += sum(map(int, re.findall(r"(\d+) ticks", done.stdout)))
            if done.returncode != 0:
                self.wrong.append(f"replay of {name}: {done.stdout[-300:]}{done.stderr[-300:]}")
        return f"decisions of {REPLAYED} apps made again, the same"

    def report(self) -> List[str]:
        ticks, late = sum(self.ticks.values()), sum(self.late.values())
        lines = [
            f"{self.seconds / 60:.0f} minutes, {len(self.apps)} apps, {len(self.kills)} SIGKILL, {self.stops} SIGTERM",
            self.check_memory(),
            self.check_rows(),
            self.check_replay(),
            self.check_people(),
            f"{ticks:.0f} ticks, {late:.0f} of them more than 3 s late",
        ]
        self.service.stop(seconds=60.0)
        lines.insert(3, self.check_orders(judge.orders(self.service.data)))
        if "ERROR" in self.service.log:
            self.wrong += re.findall(r".* ERROR .*", self.service.log)[:10]
        return lines


def soak(directory: Path, given: argparse.Namespace) -> int:
    run = Soak(directory, given.minutes, given.apps)

    async def live() -> List[str]:
        await run.set_up()
        await run.run()
        return await asyncio.to_thread(run.report)  # the platform answers to the service's end

    with run.service:
        print("\n".join(["", *asyncio.run(live())]))
    shown = run.wrong[:30]
    for line in shown:
        print(f"WRONG: {line}")
    if len(run.wrong) > len(shown):
        print(f"WRONG: and {len(run.wrong) - len(shown)} more")
    return 1 if run.wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--apps", type=int, default=200)
    parser.add_argument("--data", type=Path, help="keep data and logs in this folder")
    given = parser.parse_args()
    if given.data:
        given.data.mkdir(parents=True, exist_ok=True)
        return soak(given.data, given)
    with tempfile.TemporaryDirectory() as directory:
        return soak(Path(directory), given)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
