"""A platform stops a dyno: it sends SIGTERM to all of its processes, maybe twice. What was recorded
arrives, under every server."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, Set

import pytest
from app_servers import BASIC, FRAMEWORKS, AppServer, Classic
from namespaces import own_pids, why_no_pids
from processes import DidNotEnd, Process, free_port
from receiver import ReceiverProcess

REQUESTS = 30
AGAIN_SECONDS = 0.05
STOP_SECONDS = 90
# The service answers so late that the second signal comes while the report is on its way.
ANSWER_SECONDS = 0.3
# The interval is long, so that whatever arrives was sent because the process ended.
SETTINGS = {"DYNO": "web.1", "DYNOSCALE_PUBLISH_FREQUENCY": "600"}

# A server in an at_exit block serves for longer than an exit may take.
CLASSIC_SECONDS = 2.5

# Without Rails, which does not change how its server ends.
SERVERS = [
    pytest.param(server, id=server.name, marks=marks)
    for servers, marks in ((BASIC, ()), (FRAMEWORKS, pytest.mark.frameworks))
    for server in servers
    if server.language == "ruby" and "rails" not in server.name
]


def ask(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"X-Request-Start": str(int(time.time() * 1000)), "Connection": "close"}
    connection.request("GET", "/", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"hello\n")
    connection.close()


def parents() -> Dict[int, int]:
    """Running process => its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        state, parent = text.rpartition(") ")[2].split()[:2]
        if state not in "XZ":
            found[int(entry.name)] = int(parent)
    return found


def dyno_of(pid: int) -> Set[int]:
    """The running processes among this one and its descendants."""
    all_parents = parents()
    dyno = {pid} & all_parents.keys()
    while True:
        children = {child for child, parent in all_parents.items() if parent in dyno}
        if children <= dyno:
            return dyno
        dyno |= children


def send_term(pids: Set[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


def wait_for_end(process: Process, pids: Set[int]) -> None:
    """Waits until none of the processes runs: workers may outlive their master."""
    deadline = time.monotonic() + STOP_SECONDS
    while living := pids & parents().keys():
        if process.running is False and living == {process.pid}:
            return
        if time.monotonic() > deadline:
            raise DidNotEnd(f"{process.name} did not end: {living}\n{process.log}")
        time.sleep(0.01)


def once(process: Process, pids: Set[int]) -> None:
    send_term(pids)


def twice(process: Process, pids: Set[int]) -> None:
    send_term(pids)
    time.sleep(AGAIN_SECONDS)
    send_term(pids)


Stop = Callable[[Process, Set[int]], None]


def rows_of(server: AppServer, directory: Path, stop: Stop, first: bool) -> int:
    """The number of rows that arrive for REQUESTS requests. `first`: the server is PID 1."""
    port = free_port()
    with ReceiverProcess() as receiver:
        receiver.behave("ok", delay=ANSWER_SECONDS)
        settings = {**SETTINGS, "DYNOSCALE_URL": f"{receiver.url}/token"}
        process = server.process(port, directory, settings)
        if first:
            process.command = [*own_pids(), *process.command]
        with process.start():
            process.wait_for_port(port, STOP_SECONDS)
            if isinstance(server, Classic):
                time.sleep(CLASSIC_SECONDS)
            for _ in range(REQUESTS):
                ask(port)
            dyno = dyno_of(process.pid) - ({process.pid} if first else set())
            stop(process, dyno)
            wait_for_end(process, dyno)
            return len(receiver.rows())


def rows(server: AppServer, tmp_path: Path, stop: Stop, first: bool = False) -> int:
    reason = server.missing() or (why_no_pids() if first else None)
    if reason:
        pytest.skip(reason)
    directories: Iterator[Path] = (tmp_path / str(number) for number in itertools.count())

    def run() -> int:
        directory = next(directories)
        directory.mkdir()
        return rows_of(server, directory, stop, first)

    return server.retried(run)


@pytest.mark.parametrize("server", SERVERS)
def test_every_row_arrives_when_all_processes_get_sigterm(
    server: AppServer, tmp_path: Path
) -> None:
    assert rows(server, tmp_path, once) == REQUESTS


@pytest.mark.parametrize("server", SERVERS)
def test_every_row_arrives_when_all_processes_get_sigterm_twice(
    server: AppServer, tmp_path: Path
) -> None:
    assert rows(server, tmp_path, twice) == REQUESTS


@pytest.mark.parametrize("server", SERVERS)
def test_every_row_arrives_when_the_server_is_process_1_and_gets_sigterm_twice(
    server: AppServer, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a process namespace takes root")
    assert rows(server, tmp_path, twice, first=True) == REQUESTS
