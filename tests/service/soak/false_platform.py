"""A platform that runs nothing, fails at random and notes each call."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Dict, List, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

from wire_async import read_head

BOOT_S = 8.0
STALL_S = 30.0  # longer than the service waits

# What becomes of a call: (weight, status or None for no answer, whether it is done, seconds).
SETS: List[Tuple[int, Optional[int], bool, float]] = [
    (70, 200, True, 0.0),
    (8, 200, True, 1.0),
    (4, 503, False, 0.0),
    (4, 503, True, 0.0),
    (3, 429, False, 0.0),
    (3, 409, False, 0.0),
    (3, None, False, 0.0),
    (3, None, True, 0.0),
    (1, None, False, STALL_S),
    (1, None, True, STALL_S),
]
READS: List[Tuple[int, Optional[int], bool, float]] = [
    (960, 200, True, 0.0),
    (10, 200, True, 0.5),
    (10, 500, False, 0.0),
    (10, 200, False, 0.0),  # an answer that is no number
    (8, None, False, 0.0),
    (2, None, False, STALL_S),
]

Process = Tuple[str, str]  # app, type


class Set:
    """An order that arrived. `done`: the number counts from its arrival on. `unheard`: its caller had
    given up before it was read, and nothing is done."""

    def __init__(self, process: Process, wanted: int, status: Optional[int], done: bool, unheard: bool) -> None:
        self.process, self.wanted, self.status, self.done = process, wanted, status, done
        self.unheard = unheard
        self.began_s = time.time()
        self.ended_s: Optional[float] = None  # answered, or its caller has left


class FalsePlatform:
    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.formation: Dict[Process, int] = {}
        self.added: Dict[Process, List[float]] = {}  # when each dyno was
        self.sets: List[Set] = []
        self.reads = 0
        self.port = 0

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def add(self, process: Process, dynos: int) -> None:
        self.formation[process] = dynos
        self.added[process] = [0.0] * dynos

    def up(self, process: Process) -> int:
        """Dynos that have booted."""
        return sum(time.time() - added >= BOOT_S for added in self.added[process])

    def _run(self, process: Process, wanted: int) -> None:
        self.formation[process] = wanted
        added = self.added[process]
        del added[wanted:]
        added += [time.time()] * (wanted - len(added))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, headers = await read_head(reader)
                method, target, _ = first.split(" ", 2)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                answer = self._set(body, reader) if method == "POST" else self._read(target, reader)
                status, text = await answer
                if status is None:
                    return
                more = "Retry-After: 1\r\n" if status == 429 else ""
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}"
                    f"Content-Length: {len(text)}\r\n\r\n{text}".encode()
                )
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _wait(self, seconds: float, reader: asyncio.StreamReader) -> bool:
        """Whether the caller is still there after so long."""
        if seconds == 0:
            return True
        try:
            return bool(await asyncio.wait_for(reader.read(1), seconds))
        except asyncio.TimeoutError:
            return True
        except OSError:
            return False

    async def _set(self, body: bytes, reader: asyncio.StreamReader) -> Tuple[Optional[int], str]:
        told = json.loads(body)
        process = (told["app"], told["process"])
        _, status, done, seconds = self.random.choices(SETS, [way[0] for way in SETS])[0]
        for _ in range(3):
            await asyncio.sleep(0)  # so that an end that has arrived is seen
        unheard = reader.at_eof()
        call = Set(process, told["wanted"], status, done and not unheard, unheard)
        self.sets.append(call)
        if call.done:
            self._run(process, call.wanted)
        try:
            there = await self._wait(seconds, reader)
        finally:
            call.ended_s = time.time()
        return (status if there else None), "{}"

    async def _read(self, target: str, reader: asyncio.StreamReader) -> Tuple[Optional[int], str]:
        asked = parse_qs(urlsplit(target).query)
        process = (asked["app"][0], asked["process"][0])
        self.reads += 1
        _, status, right, seconds = self.random.choices(READS, [way[0] for way in READS])[0]
        if not await self._wait(seconds, reader):
            return None, ""
        ordered, up = self.formation[process], self.up(process)
        text = json.dumps({"ordered": ordered, "up": up, "booting": ordered - up})
        return status, text if right else "<html>"
