"""The signals that the service asks for, from real servers: the times are those that the app
measured, the slots the server's threads. Without being asked they send none."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, NamedTuple
from urllib.request import Request, urlopen

import pytest
from app_servers import (
    APPS,
    PYTHON,
    AppServer,
    Passenger,
    PythonServer,
    RubyServer,
    Thin,
    Webrick,
)
from processes import Process, free_port
from receiver import ReceiverProcess

SIGNALS = ["busy", "slots", "unstamped", "begin"]
DEADLINE = 90.0  # seconds, for what takes two


class PumaOfThree(RubyServer):
    package = gem = program = "puma"
    exit_statuses = (0, 128 + signal.SIGTERM, -signal.SIGTERM)
    slots = 3

    def command(self, port: int, directory: Path) -> list[str]:
        config = directory / "puma.rb"
        config.write_text(f'bind "tcp://127.0.0.1:{port}"\nthreads 3, 3\n')
        return self.ruby("-C", str(config), str(APPS / "signals.ru"))


class UnicornOfOne(RubyServer):
    package = gem = program = "unicorn"
    stop_signal = signal.SIGQUIT
    slots = 1

    def command(self, port: int, directory: Path) -> list[str]:
        config = directory / "unicorn.rb"
        config.write_text(f'listen "127.0.0.1:{port}"\nworker_processes 1\n')
        return self.ruby("-c", str(config), str(APPS / "signals.ru"))


class Slotted:
    """The server of the other class, with an app that sleeps."""

    slots: int
    app: str

    def __init__(self, *arguments: str) -> None:
        super().__init__(*arguments)
        self.app = str(APPS / "signals.ru")


class ThinOfOne(Slotted, Thin):
    slots = 1


class ThinOfThreads(Slotted, Thin):
    slots = 20  # EventMachine's

    def command(self, port: int, directory: Path) -> list[str]:
        return [*super().command(port, directory), "--threaded"]


class WebrickOf100(Slotted, Webrick):
    slots = 100


class PassengerOfOne(Slotted, Passenger):
    slots = 1

    def command(self, port: int, directory: Path) -> list[str]:
        command = super().command(port, directory)
        return [*command, "--max-pool-size", "1", "--min-instances", "1"]


class OwnPython(PythonServer):
    def __init__(self, name: str, module: str, slots: int, *arguments: str) -> None:
        super().__init__(name)
        self.package = self.module = module
        self.slots = slots
        self._arguments = arguments

    def command(self, port: int, directory: Path) -> list[str]:
        arguments = [one.replace("PORT", str(port)) for one in self._arguments]
        return [PYTHON, "-m", self.module, *arguments]


BOTH_HOOKS = ("--config", str(APPS / "gunicorn_both_hooks.py"))
GUNICORN = ("--bind", "127.0.0.1:PORT")
SERVERS: list[Any] = [
    PumaOfThree("puma", "signals.ru", ""),
    UnicornOfOne("unicorn", "signals.ru", ""),
    ThinOfOne("thin"),
    ThinOfThreads("thin threaded"),
    WebrickOf100("webrick"),
    PassengerOfOne("passenger", "smart"),
    OwnPython("gunicorn sync", "gunicorn", 1, *GUNICORN, "signals_app:wsgi"),
    OwnPython("gunicorn gthread", "gunicorn", 4, *GUNICORN, "--threads", "4", "signals_app:wsgi"),
    OwnPython(
        "gunicorn hooks", "gunicorn", 4, *GUNICORN, "--threads", "4", *BOTH_HOOKS, "signals_app:bare"
    ),
    OwnPython(
        "gunicorn hooks and wrapper", "gunicorn", 2, *GUNICORN, "--threads", "2", *BOTH_HOOKS,
        "signals_app:wsgi",
    ),
    OwnPython("waitress", "waitress", 3, "--listen=127.0.0.1:PORT", "--threads=3", "signals_app:wsgi"),
    OwnPython(
        "hypercorn", "hypercorn", min(32, (os.cpu_count() or 1) + 4), "--bind", "127.0.0.1:PORT",
        "signals_app:wsgi_in_asgi",
    ),
    OwnPython(
        "uvicorn", "uvicorn", 50, "--port", "PORT", "--limit-concurrency", "50", "signals_app:asgi"
    ),
]


class Spent(NamedTuple):
    """In ms: as the app measured it, and around the whole of the request."""

    inside: float
    around: float

    def __add__(self, other: Spent) -> Spent:  # type: ignore[override]
        return Spent(self.inside + other.inside, self.around + other.around)


def get(port: int, ms: int, stamped: bool = True) -> Spent:
    began = time.monotonic()
    request = Request(f"http://127.0.0.1:{port}/?{ms}")
    if stamped:
        request.add_header("X-Request-Start", f"t={time.time()}")
    with urlopen(request, timeout=DEADLINE) as answer:
        inside = float(answer.read())
    return Spent(inside, (time.monotonic() - began) * 1000)


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def values(receiver: ReceiverProcess, name: str) -> list[int]:
    return [row["metric"] for row in receiver.rows() if row["metadata"] == name]


def drive(port: int, receiver: ReceiverProcess, process: Process) -> Spent:
    """Requests until the agent knows what is asked, then slow ones."""
    spent = Spent(0.0, 0.0)

    def asked() -> bool:
        nonlocal spent
        spent += get(port, 0)
        return len(values(receiver, "slots")) > 0

    until(asked, f"no slots were sent: {receiver.rows()} {process.log}")
    with ThreadPoolExecutor(3) as pool:
        for each in pool.map(lambda ms: get(port, ms), [1200, 700, 500, 400, 300, 200, 900]):
            spent += each
    for _ in range(5):
        spent += get(port, 20, stamped=False)
    return spent


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server_sends_what_is_asked(server: AppServer, tmp_path: Path) -> None:
    if server.missing():
        pytest.skip(str(server.missing()))
    port = free_port()
    with ReceiverProcess() as receiver:
        receiver.behave("ok", publish_frequency=1, signals=SIGNALS, heartbeat=1)
        settings = {
            "DYNO": "web.1", "DYNOSCALE_URL": f"{receiver.url}/token"
        }
        with server.process(port, tmp_path, settings).start() as process:
            process.wait_for_port(port)
            spent = drive(port, receiver, process)
            until(lambda: sum(values(receiver, "unstamped")) == 5, "unstamped requests are missing")
            until(
                lambda: any(not report["rows"] for report in receiver.reports()),
                "there was no heartbeat",
            )
        assert set(values(receiver, "slots")) == {server.slots}  # type: ignore[attr-defined]
        # A request ends for the server a little after its client has the answer.
        assert 0.9 * spent.inside <= sum(values(receiver, "busy")) <= 1.1 * spent.around
        assert len(values(receiver, "begin")) == 1
        assert not any(report["error"] for report in receiver.reports())


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server_sends_nothing_that_is_not_asked(server: AppServer, tmp_path: Path) -> None:
    if server.missing():
        pytest.skip(str(server.missing()))
    port = free_port()
    with ReceiverProcess() as receiver:
        receiver.behave("ok", publish_frequency=1)
        settings = {
            "DYNO": "web.1", "DYNOSCALE_URL": f"{receiver.url}/token"
        }
        with server.process(port, tmp_path, settings).start() as process:
            process.wait_for_port(port)
            until(lambda: get(port, 0) and len(receiver.reports()) > 2, "no reports")
            get(port, 10, stamped=False)
        assert {row["metadata"] for row in receiver.rows()} == {""}
