"""Memory that runs out in a real process: in each command, in the start, and while reports, pages and a platform
are under way, in the service and in what keeps the credentials. A command is done or says why not; the service
goes on, or ends with a sentence; what was answered is there. What is called inside is in tests/service/test_memory.c.

ALLOCATIONS=100: how many allocations fail of each, alone and with all after them; else a few.
"""

from __future__ import annotations

import http.client
import mmap
import os
import random
import struct
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from dynoscaled import Command, keepers
from faults import OBJECTS, Senders
from processes import ProcessError, free_port
from reports import PATIENCE, counted
from service import Service
from test_machine import RULES, THREE, more_ticks, orders, set_up

LIBRARY = OBJECTS / "tests" / "service_faults" / "memory.so"
ALLOCATIONS = int(os.environ.get("ALLOCATIONS", "20"))
ALL_AFTER = 1 << 40

class Memory:
    """What memory.c is told, and what it counted."""

    def __init__(self, folder: Path) -> None:
        path = folder / "memory-orders"
        path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self.orders = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.env = {"LD_PRELOAD": str(LIBRARY), "FAULTS_MEMORY": str(path)}
        assert LIBRARY.exists(), f"there is no {LIBRARY}: `make test-faults-service` makes it"
        self.allow()

    def allow(self) -> None:
        self.orders[:32] = struct.pack("=4q", -1, 0, 0, 0)

    def refuse(self, left: int, times: int = 1) -> None:
        """After so many more allocations, so many fail."""
        self.orders[:8] = struct.pack("=q", -1)
        self.orders[8:32] = struct.pack("=3q", times, 0, 0)
        self.orders[:8] = struct.pack("=q", left)

    @property
    def made(self) -> int:
        return int(struct.unpack("=q", self.orders[16:24])[0])

    @property
    def failed(self) -> int:
        return int(struct.unpack("=q", self.orders[24:32])[0])


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path)


@pytest.fixture
def service(tmp_path: Path, memory: Memory) -> Iterator[Service]:
    """One whose memory runs out when it is told to; not started yet."""
    listen = f"127.0.0.1:{free_port()}"
    with Service(tmp_path, "--tick-s", "1", listen=listen, env=memory.env) as one:
        yield one


def rounds(count: int) -> Iterator[int]:
    """Which allocation of so many fails: the first ones, and others evenly."""
    yield from range(min(count, 8))
    yield from range(8, count, max(1, count // ALLOCATIONS))


COMMANDS: Dict[str, List[str]] = {
    "app list": [],
    "app add": ["new{number}"],
    "rules check": ["{folder}/rules.yaml"],
    "rules put": ["shop", "{folder}/rules.yaml"],
    "rules plan": ["shop", "{folder}/rules.yaml"],
    "rules get": ["shop"],
    "platform show": ["shop"],
    "boost": ["shop", "web", "3"],
    "audit": [],
    "replay": ["shop", "web"],
    "export": ["shop"],
    "token add": ["--scope", "admin"],
    "token list": [],
    "backup": ["{folder}/backup-{number}"],
    "restore": ["{folder}/backup", "--replace"],
    "doctor": [],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("served", [False, True], ids=["alone", "by a service"])
def test_a_command_is_done_or_says_why_not(memory: Memory, tmp_path: Path, name: str, served: bool) -> None:
    """In its own process, and as the client of a service, whose memory lasts."""
    with Service(tmp_path, "--tick-s", "1") as service:
        try_command(service, memory, tmp_path, name, served)


def try_command(service: Service, memory: Memory, tmp_path: Path, name: str, served: bool) -> None:
    command = Command(service.data)
    command.done("app", "add", "shop")
    (tmp_path / "rules.yaml").write_text(RULES)
    command.done("rules", "put", "shop", str(tmp_path / "rules.yaml"))
    command.done("backup", str(tmp_path / "backup"))
    if served and name == "restore":
        pytest.skip("a restore is for data that no service uses")
    if served:
        service.start()
        service.wait_until(lambda: service.get("/readyz").status == 200, "be ready", PATIENCE)
        more_ticks(service, 1)
    line = [service.program, *name.split(), *COMMANDS[name], "--data", str(service.data)]
    env = {**os.environ, **memory.env}

    def run(number: int) -> "subprocess.CompletedProcess[str]":
        filled = [part.format(folder=tmp_path, number=number) for part in line]
        return subprocess.run(filled, env=env, capture_output=True, text=True, timeout=PATIENCE)

    usual, count = run(0), memory.made
    assert usual.returncode >= 0 and count > 0
    for times in (1, ALL_AFTER):
        for number, left in enumerate(rounds(count)):
            memory.refuse(left, times)
            done = run(1 + number * 2 + (times > 1))
            where = (left, times, done)
            assert 0 <= done.returncode <= 2, where
            assert done.returncode == 0 or done.stderr.strip() or done.stdout.strip(), where
            if done.returncode == 0 and usual.returncode == 0 and name == "app list":
                assert done.stdout == usual.stdout, where
    memory.allow()
    # Whatever was refused, the data is whole, and what was done is there.
    assert run(10**6).returncode == usual.returncode
    assert "shop" in command.done("app", "list")
    assert command("rules", "get", "shop").stdout == RULES


def test_a_start_succeeds_or_says_why_not_and_the_next_one_works(service: Service, memory: Memory) -> None:
    set_up(service, THREE)
    memory.allow()
    service.start()
    count = memory.made
    service.stop(seconds=PATIENCE)
    for times in (1, ALL_AFTER):
        for left in rounds(count):
            memory.refuse(left, times)
            try:
                service.start()
            except ProcessError:
                memory.allow()
                end = service.printed.strip()
                service.stop(seconds=PATIENCE, expected=(1, 2))
                assert "dynoscaled: " in end, (left, times, end)
                continue
            memory.allow()
            assert service.get("/healthz").status == 200
            service.stop(seconds=PATIENCE)
    service.start()
    assert service.get("/healthz").status == 200


def test_what_fails_while_all_is_under_way_harms_nothing(service: Service, memory: Memory) -> None:
    """One allocation, or some in a row, of any thread of any of the three processes."""
    began, chance = time.time(), random.Random(5)
    service.start()
    senders = Senders(service.port, set_up(service, THREE))
    more_ticks(service, 2)
    own, pages = [service.pid, *keepers(service)], 0
    for _ in range(ALLOCATIONS * 10):
        times = chance.choice([1, 1, 1, 3, 30])
        memory.refuse(chance.randrange(400), times)
        service.wait_until(lambda: memory.failed >= times, "meet the fault", PATIENCE)
        try:
            pages += service.get(chance.choice(["/", "/signin", "/healthz", "/api/v1/setup"])).status == 200
        except (OSError, http.client.HTTPException):
            pass  # there was no memory for the connection
    memory.allow()
    before = senders.total()
    service.wait_until(lambda: senders.total() >= before + 50, "answer again", PATIENCE)
    more_ticks(service, 3)
    total = senders.end()
    assert counted(service, begin=began) == total and pages > 0
    assert not orders(service), orders(service)
    assert [service.pid, *keepers(service)] == own, service.log
    assert Command(service.data)("replay", "shop", "web").returncode == 0
    service.stop(seconds=PATIENCE)
