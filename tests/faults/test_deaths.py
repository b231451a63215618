"""Workers that are killed, and services that hang while servers are told to stop."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import pytest
from app_servers import AppServer, Gunicorn, Unicorn, Uvicorn
from at_once import AtOnce
from processes import PATIENCE
from receiver import ReceiverProcess
from under_load import Load, Run, UwsgiOfEitherTerm, gunicorn, puma, unicorn

AT_ONCE = 4

GRACEFUL: Dict[str, Tuple[Callable[[], AppServer], int]] = {
    "puma cluster": (lambda: puma(2), signal.SIGTERM),
    "unicorn": (unicorn, signal.SIGQUIT),
    "unicorn at once": (unicorn, signal.SIGTERM),
    "gunicorn": (gunicorn, signal.SIGTERM),
    "gunicorn gthread": (lambda: gunicorn("gthread"), signal.SIGTERM),
    "uwsgi": (UwsgiOfEitherTerm, signal.SIGTERM),
}
each_server = pytest.mark.parametrize("name", GRACEFUL)

# It has one process, which waits for the agent twice: at the app's shutdown and at exit.
STOPPED: Dict[str, Tuple[Callable[[], AppServer], int]] = {
    **GRACEFUL,
    "uvicorn": (lambda: Uvicorn("uvicorn", "counting_asgi_app:app"), signal.SIGTERM),
}


def server_of(name: str) -> Tuple[AppServer, int]:
    make, number = STOPPED[name]
    server = make()
    reason = server.missing()
    if reason is not None:
        pytest.skip(reason)
    return server, number


def total(calls: Dict[int, int]) -> int:
    return sum(calls.values())


# ---- SIGKILL ---------------------------------------------------------------------------------


@each_server
def test_a_killed_worker_takes_nothing_of_the_others_along(name: str, tmp_path: Path) -> None:
    server, number = server_of(name)
    with ReceiverProcess() as receiver:
        run = Run(server, tmp_path, receiver.url)
        with run.process:
            run.process.start().wait_for_port(run.port)
            with Load(run.port):
                victim, *others = run.wait_for_workers(2)
                os.kill(victim, signal.SIGKILL)
                run.wait_for_workers(2, other_than=[victim])  # a new one has taken its place
                run.end(number)
        rows = receiver.summary()["rows"]
    calls = run.calls()
    # On a slow machine the victim may have reported something before it is killed.
    assert total(calls) - calls[victim] <= rows <= total(calls)


class ImpatientGunicorn(Gunicorn):
    def __init__(self) -> None:
        super().__init__("gunicorn", "sync", preload=False, wrapper=True, hook="")

    def command(self, port: int, directory: Path) -> List[str]:
        return [*super().command(port, directory), "--timeout", "1"]


class ImpatientUnicorn(Unicorn):
    def __init__(self) -> None:
        super().__init__("unicorn", preload=False)
        self.app = unicorn().app

    def command(self, port: int, directory: Path) -> List[str]:
        command = super().command(port, directory)
        with (directory / "unicorn.rb").open("a") as config:
            config.write("timeout 3\n")
        return [*command, "-E", "deployment"]


@pytest.mark.parametrize(
    "server, path, own_too",
    [
        # SIGABRT first, whose handler exits: even the hanging worker sends what it has.
        pytest.param(ImpatientGunicorn(), "/?600", True, id="gunicorn"),
        # Then, where no handler can run, SIGKILL.
        pytest.param(ImpatientGunicorn(), "/deaf", False, id="gunicorn, deaf"),
        pytest.param(ImpatientUnicorn(), "/?600", False, id="unicorn"),
    ],
)
def test_a_worker_that_exceeds_the_server_s_time_out(
    server: AppServer, path: str, own_too: bool, tmp_path: Path
) -> None:
    if server.missing():
        pytest.skip(str(server.missing()))
    with ReceiverProcess() as receiver:
        run = Run(server, tmp_path, receiver.url)
        with run.process:
            run.process.start().wait_for_port(run.port)
            with Load(run.port):
                before = run.wait_for_workers(2)
            hang(run.port, path)
            run.process.wait_until(
                lambda: len(run.living(before)) == 1, "kill the worker that hangs"
            )
            (survivor,) = run.living(before)
            with Load(run.port):
                run.wait_for_workers(2, other_than=set(before) - {survivor})
            run.end(signal.SIGTERM)
        rows = receiver.summary()["rows"]
    calls = run.calls()
    lost = sum(n for pid, n in calls.items() if pid in before and pid != survivor)
    assert lost > 0
    # The native thread runs while the interpreter hangs, so it may have sent them.
    assert total(calls) - (0 if own_too else lost) <= rows <= total(calls)


def hang(port: int, path: str) -> None:
    """Returns when the connection is cut, as the one that answers is killed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", path, headers={"X-Request-Start": str(int(time.time() * 1000))})
        connection.getresponse()


# ---- A stop while the service hangs ----------------------------------------------------------


class Stop(NamedTuple):
    log: str
    keys: List[str]  # of the reports that came, each time that they came


def stop_while_it_hangs(name: str, directory: Path) -> Stop:
    make, number = STOPPED[name]
    with ReceiverProcess() as receiver:
        receiver.behave("stall")
        run = Run(make(), directory, receiver.url, DYNOSCALE_PUBLISH_FREQUENCY="3600")
        with run.process:
            run.process.start().wait_for_port(run.port)
            with Load(run.port):
                run.wait_for_workers(2 if name in GRACEFUL else 1)
            run.process.stop(number, expected=(0, -number))
        keys = [report["headers"]["idempotency-key"] for report in receiver.reports()]
        return Stop(run.process.log, keys)


@pytest.fixture(scope="module")
def stops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtOnce[str, Stop]]:
    names = [str(name) for name in STOPPED if STOPPED[name][0]().missing() is None]

    def run(name: str) -> Stop:
        return stop_while_it_hangs(name, tmp_path_factory.mktemp("stop"))

    with AtOnce(run, names, AT_ONCE) as outcomes:
        yield outcomes


@pytest.mark.parametrize("name", STOPPED)
def test_a_service_that_hangs_holds_no_server_up(
    name: str, stops: AtOnce[str, Stop], request: pytest.FixtureRequest
) -> None:
    """A report times out after 15 s, which is said where somebody listens still, and is sent again.
    The server ends before."""
    server_of(name)
    stop = stops.of(name, request)
    assert not re.search("timed out|Timeout was", stop.log), stop.log
    assert stop.keys and len(set(stop.keys)) == len(stop.keys)
