"""A newer version takes the place of this one under load: it listens on the same port before the old one
ends, and brings the schema a step forward. Afterwards the old one is refused, and harms nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, List

import pytest

from fleet import PATIENCE, Fleet, Senders
from postgresql import Cluster
from processes import free_port
from reports import add_app, counted
from service import Service

Fleets = Callable[..., Fleet]
STEP = "999_next"


@pytest.fixture(scope="module")
def newer() -> str:
    """This version with a step more: tests/machines/newer."""
    program = os.environ.get("TEST_NEWER")
    if not program:
        pytest.skip("$TEST_NEWER names no newer version: make test-machines builds one")
    return program


class Reader(threading.Thread):
    """Somebody who opens pages, one after the other, each on a connection of its own."""

    def __init__(self, port: int, broken_is_tried_again: bool = False) -> None:
        super().__init__(daemon=True)
        self.port, self.broken_is_tried_again = port, broken_is_tried_again
        self.end = threading.Event()
        self.pages = 0
        self.wrong: List[str] = []

    def run(self) -> None:
        # Not more in all than there are ports for: one whose last connection is hardly over may be reset.
        while not self.end.wait(0.03):
            self.read_one()

    def read_one(self) -> None:
        answer, step = b"", "connect"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
                step = "send"
                connection.sendall(b"GET /signin HTTP/1.0\r\nHost: a\r\n\r\n")
                step = "receive"
                while more := connection.recv(65536):
                    answer += more
        except OSError as error:
            if not self.broken_is_tried_again:
                self.wrong.append(f"{error!r} at {time.time()}, to {step}, after {answer[-100:]!r}")
            return
        if answer.startswith(b"HTTP/1.1 200") and answer.rstrip().endswith(b"</html>"):
            self.pages += 1
        else:
            self.wrong.append(f"closed at {time.time()} after {answer[-300:]!r}")

    def wait_for_more(self) -> None:
        wanted, until = self.pages + 5, time.monotonic() + PATIENCE
        while self.pages < wanted and not self.wrong:
            assert time.monotonic() < until, "no page was answered for too long"
            time.sleep(0.05)
        assert self.wrong == []

    def finish(self) -> int:
        self.end.set()
        self.join(PATIENCE)
        assert self.wrong == []
        return self.pages


def refused(old: Service) -> str:
    """What it says when it is to start on data that a newer version has stepped forward."""
    run = subprocess.run(
        old.command, env={**os.environ, **(old._env or {})}, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    return run.stderr


def test_receivers_are_replaced_by_a_newer_version_one_after_the_other(
    cluster: Cluster, fleet: Fleets, newer: str
) -> None:
    services = fleet(cluster.database(), 0, "--tick-s", "1", "--reuse-port")
    ports = [free_port(), free_port()]
    old = [services.add(port=port) for port in ports]
    senders = Senders(services, ports[0])
    others = Senders(services, ports[1], count=3, app="other")
    readers = [Reader(port) for port in ports for _ in range(16)]
    for reader in readers:
        reader.start()

    def goes_on() -> None:
        senders.wait_for_more(50)
        others.wait_for_more(50)
        for reader in readers:
            reader.wait_for_more()

    goes_on()
    for number, port in enumerate(ports):
        new = services.add(port=port, program=newer)
        # Both versions work on the new schema now, and both write.
        goes_on()
        assert counted(old[number]) > 0
        add_app(old[number], f"by-old-{number}")
        add_app(new, f"by-new-{number}")
        old[number].stop(seconds=PATIENCE)
        goes_on()
    said = refused(old[0])
    assert "newer version" in said and STEP in said
    goes_on()
    print(
        f"{sum(reader.finish() for reader in readers)} pages; {senders.finish(unbroken=True)}; "
        f"{others.finish(unbroken=True)}"
    )


def test_who_waits_to_be_accepted_is_answered_when_a_port_changes_hands(cluster: Cluster, fleet: Fleets) -> None:
    """More than are accepted at once: half have asked already, the others ask when the old one is to end."""
    services = fleet(cluster.database(), 0, "--reuse-port")
    port = free_port()
    old = services.add(port=port)
    os.kill(old.pid, signal.SIGSTOP)
    ask = b"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) for _ in range(300)
        ]
        for connection in waiting[::2]:
            connection.sendall(ask)
        services.add(port=port)
        os.kill(old.pid, signal.SIGTERM)
        os.kill(old.pid, signal.SIGCONT)
        old.wait_until(lambda: "no new connections" in old.log, "begin to end", PATIENCE)
        for connection in waiting[1::2]:
            connection.sendall(ask)
        answers = [received(connection) for connection in waiting]
    assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200"}
    old.stop(seconds=PATIENCE)


def received(connection: socket.socket) -> bytes:
    """All of it; what came until then where the connection is reset."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65536):
            answer += more
    return answer


def test_a_file_is_taken_over_by_a_newer_version(tmp_path: Path, newer: str) -> None:
    """One process has the file: for the moment between the two nobody is answered, and agents try again."""
    port, data = free_port(), tmp_path / "data"
    listen = f"127.0.0.1:{port}"
    with Service(tmp_path, "--tick-s", "1", data=data, listen=listen, name="old") as old:
        old.start()
        services = Fleet(tmp_path, "", 0)
        services.services.append(old)
        senders = Senders(services, port)
        reader = Reader(port, broken_is_tried_again=True)
        reader.start()
        senders.wait_for_more(50)
        reader.wait_for_more()
        old.stop(seconds=PATIENCE)
        with Service(tmp_path, "--tick-s", "1", data=data, listen=listen, name="new", program=newer) as new:
            new.start()
            services.services.append(new)
            senders.wait_for_more(50)
            reader.wait_for_more()
            new.stop(seconds=PATIENCE)
            said = refused(old)
            assert "newer version" in said and STEP in said
            new.start()
            senders.wait_for_more(50)
            reader.wait_for_more()
            print(f"{reader.finish()} pages; {senders.finish()}")
