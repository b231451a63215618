"""All processes of a dyno get SIGTERM at once, as platforms send it: what was recorded arrives.
Also if it comes twice, 50 ms apart; if the server is PID 1 of a container; and with the server's
other signals."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional

import pytest
from app_servers import (
    WORKER,
    AppServer,
    Cheroot,
    Daphne,
    Flask,
    Gunicorn,
    Hypercorn,
    Passenger,
    PassengerForPython,
    PythonServer,
    Twisted,
    Uvicorn,
    Uwsgi,
    UwsgiForRuby,
    Waitress,
    Wsgiref,
)
from at_once import AtOnce, selected
from namespaces import own_pids, why_no_pids
from processes import DidNotEnd, Process, free_port
from receiver import ReceiverProcess

REQUESTS = 30
ANSWER_SECONDS = 0.5  # of the service: longer than from the first signal to the second
APART_SECONDS = 0.05
STOP_SECONDS = 60
AT_ONCE = 4


@dataclass(frozen=True)
class Case:
    server: AppServer
    times: int
    first: bool = False
    number: int = signal.SIGTERM
    to_all: bool = True

    @property
    def name(self) -> str:
        words = [self.server.name, signal.Signals(self.number).name]
        words += ["twice"] if self.times == 2 else []
        words += ["as PID 1"] if self.first else []
        return ", ".join(words if self.to_all else [*words, "to the master"])

    def missing(self) -> Optional[str]:
        if not self.first:
            return self.server.missing()
        if isinstance(self.server, Passenger):
            return "as PID 1 Passenger waits for ever for processes that it has not started"
        return why_no_pids() or self.server.missing()


def gunicorn(worker: str, app: str = "", preload: bool = False) -> Gunicorn:
    name = f"gunicorn {worker.rpartition('.')[2]}{' preload' if preload else ''}"
    return Gunicorn(name, worker, preload, wrapper=True, hook="", app=app)


BASIC: List[PythonServer] = [
    Uwsgi("uwsgi"),
    Uwsgi("uwsgi lazy-apps", "--lazy-apps"),
    Uwsgi("uwsgi enable-threads", "--enable-threads", "--threads", "2"),
    gunicorn("sync"),
    gunicorn("sync", preload=True),
    gunicorn("gthread"),
    gunicorn("uvicorn.workers.UvicornWorker", "wrapped_asgi_app:app").needing("uvicorn"),
    gunicorn(WORKER, "bare_asgi_app:app").needing("uvicorn"),
    Uvicorn("uvicorn", "wrapped_asgi_app:app"),
    Uvicorn("uvicorn workers", "--workers", "2", "wrapped_asgi_app:app"),
    Waitress("waitress"),
    Flask("flask"),
    Wsgiref("wsgiref"),
]
FRAMEWORKS: List[AppServer] = [
    Uvicorn("uvicorn django", "django_project.asgi:application").with_django(),
    Uvicorn("uvicorn without lifespan", "--lifespan", "off", "wrapped_asgi_app:app"),
    Uvicorn("uvicorn workers django", "--workers", "2", "django_project.asgi:application")
    .with_django(),
    gunicorn("eventlet").needing("eventlet"),
    gunicorn("gevent").needing("gevent"),
    gunicorn("tornado").needing("tornado"),
    Cheroot("cheroot"),
    Daphne("daphne", "wrapped_asgi_app:app"),
    Twisted("twisted"),
    Hypercorn("hypercorn", "wrapped_asgi_app:app"),
    Hypercorn("hypercorn workers", "--workers", "2", "wrapped_asgi_app:app"),
    PassengerForPython("passenger"),
    UwsgiForRuby("uwsgi for ruby"),
    UwsgiForRuby("uwsgi for ruby lazy-apps", "--lazy-apps"),
]
TIMES_AND_FIRST = [(1, False), (2, False), (2, True)]
# gunicorn's quick stop, which sends its workers SIGQUIT; and Ctrl-C, which all get.
QUICK = [(signal.SIGQUIT, False), (signal.SIGINT, True)]

def parameters() -> Iterator[object]:
    for servers, marks in ((BASIC, ()), (FRAMEWORKS, (pytest.mark.frameworks,))):
        for server in servers:
            for times, first in TIMES_AND_FIRST:
                case = Case(server, times, first)
                yield pytest.param(case, id=case.name, marks=marks)
    for server in BASIC:
        if isinstance(server, Gunicorn):
            for number, to_all in QUICK:
                case = Case(server, 1, False, number, to_all)
                yield pytest.param(case, id=case.name)


def parent_of(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    state, parent = text.rpartition(") ")[2].split()[:2]
    return 0 if state in "XZ" else int(parent)


def with_descendants(top: int) -> List[int]:
    """The running processes among this one and its descendants."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {pid: parent_of(pid) for pid in pids}
    found = [top]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def ask(port: int, stamped: bool = True) -> None:
    stamp = {"X-Request-Start": f"t={time.time():.3f}"} if stamped else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STOP_SECONDS)
    connection.request("GET", "/", headers={"Connection": "close", **stamp})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"hello\n")
    connection.close()


def send_signal(pids: List[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def await_end(process: Process) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while process.running:
        if time.monotonic() > deadline:
            raise DidNotEnd(f"{process.name} did not end:\n{process.log}")
        time.sleep(0.01)


def rows_after(case: Case, directory: Path) -> int:
    port = free_port()
    with ReceiverProcess() as receiver:
        receiver.behave("ok", delay=ANSWER_SECONDS)
        settings = {"DYNO": "web.1", "DYNOSCALE_URL": f"{receiver.url}/token"}
        process = case.server.process(port, directory, settings)
        if case.first:
            process.command = [*own_pids(), *process.command]
        with process.start():
            process.wait_for_port(port, STOP_SECONDS)
            ask(port, stamped=False)
            for _ in range(REQUESTS):
                ask(port)
            for number in range(case.times):
                time.sleep(APART_SECONDS if number else 0)
                pids = with_descendants(process.pid) if case.to_all else [process.pid]
                send_signal(pids[1:] if case.first else pids, case.number)
            if not case.first or case.server.handles_term:  # else the kernel lets it go on
                await_end(process)
            # Workers may outlive what they belong to.
            receiver.wait(seconds=STOP_SECONDS, rows=REQUESTS)
        return int(receiver.summary()["rows"])


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AtOnce[Case, int]]:
    possible = [case for case in selected(request, "case") if case.missing() is None]

    def run(case: Case) -> int:
        return case.server.retried(lambda: rows_after(case, tmp_path_factory.mktemp("term")))

    with AtOnce(run, possible, AT_ONCE) as outcomes:
        yield outcomes


@pytest.mark.parametrize("case", list(parameters()))
def test_what_was_recorded_arrives(
    case: Case, runs: AtOnce[Case, int], request: pytest.FixtureRequest
) -> None:
    reason = case.missing()
    if reason is not None:
        pytest.skip(reason)
    assert runs.of(case, request) == REQUESTS
