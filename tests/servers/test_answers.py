"""With queue_time and server_timing on, every kind of Rack answer arrives unchanged, and each
request is one row."""

from __future__ import annotations

import socket
import time
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

import pytest
from app_servers import NEWEST, AppServer, Puma
from processes import free_port
from receiver import ReceiverProcess

SETTINGS = {"DYNO": "web.1", "DYNOSCALE_QUEUE_TIME": "on", "DYNOSCALE_SERVER_TIMING": "on"}
WAITED_MS = 3000

# path => status, body, whether the header can be there
RACK_2: Dict[str, Tuple[int, bytes, bool]] = {
    "/frozen": (200, b"whole", True),
    "/each": (200, b"whole", True),
    "/partial-hijack": (200, b"whole", True),
    "/full-hijack": (200, b"whole", False),
    "/not-modified": (304, b"", True),
    "/no-content": (204, b"", True),
    "/hints": (200, b"whole", True),
}
RACK_3 = {**RACK_2, "/stream": (200, b"whole", True), "/cookies": (200, b"whole", True)}

HINTS = ["early_hints true"]


class Answer(NamedTuple):
    status: int
    headers: List[Tuple[str, str]]
    body: bytes

    def values(self, name: str) -> List[str]:
        return [value for known, value in self.headers if known == name]


Served = Tuple[Dict[str, Tuple[int, bytes, bool]], Dict[str, Answer], List[int]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((Puma("puma", app="answers.ru", more=HINTS), RACK_2), id="Rack 2"),
        pytest.param(
            (Puma("puma", app="answers.ru", more=HINTS, gems=NEWEST), RACK_3),
            id="Rack 3",
            marks=pytest.mark.frameworks,
        ),
    ],
)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    server: AppServer
    server, expected = request.param
    reason = server.missing()
    if reason:
        pytest.skip(reason)
    directory: Path = tmp_path_factory.mktemp("answers")
    port = free_port()
    with ReceiverProcess() as receiver:
        settings = {**SETTINGS, "DYNOSCALE_URL": receiver.url}
        with server.process(port, directory, settings) as process:
            process.start().wait_for_port(port)
            answers = {path: ask(port, path) for path in expected}
            process.stop(server.stop_signal, expected=server.exit_statuses)
        yield expected, answers, [row["metric"] for row in receiver.rows()]


def ask(port: int, path: str) -> Answer:
    """By HTTP/1.0, whose answers end with the connection. Heads of 1xx are left out."""
    started_ms = int(time.time() * 1000) - WAITED_MS
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\nX-Request-Start: {started_ms}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request.encode())
        text = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, rest = text.partition(b"\r\n\r\n")
    while head.split()[1].startswith(b"1"):
        head, _, rest = rest.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = [line.split(": ", 1) for line in lines]
    return Answer(int(first.split()[1]), [(name.lower(), value) for name, value in fields], rest)


def test_each_answer_is_the_apps(served: Served) -> None:
    expected, answers, _ = served
    got = {path: (answer.status, answer.body) for path, answer in answers.items()}
    assert got == {path: (status, body) for path, (status, body, _) in expected.items()}


def test_each_request_is_one_row(served: Served) -> None:
    expected, _, metrics = served
    assert len(metrics) == len(expected)
    assert min(metrics) >= WAITED_MS


def test_the_header_is_there_and_says_what_is_reported(served: Served) -> None:
    expected, answers, metrics = served
    headers = {path: answer.values("server-timing") for path, answer in answers.items()}
    told = [path for path, (_, _, there) in expected.items() if there]
    assert [path for path, values in headers.items() if len(values) == 1] == told
    rows = Counter(f"queue;dur={metric}" for metric in metrics)
    assert Counter(headers[path][0] for path in told) - rows == Counter()


def test_several_values_of_the_apps_stay_several(served: Served) -> None:
    expected, answers, _ = served
    if "/cookies" not in expected:
        pytest.skip("Rack 2 has no such headers")
    assert answers["/cookies"].values("set-cookie") == ["a=1", "b=2"]
