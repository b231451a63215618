"""Whatever a client sends and an app does, the answers are those of the app without the agent, to
the byte: real servers, asked over real sockets, one with the agent on and one with it off."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
from typing import Dict, Iterator, List, NamedTuple, Tuple

import pytest
from app_servers import AppServer, Gunicorn, Uwsgi
from processes import Process, free_port
from receiver import ReceiverProcess
from served import SERVERS, SETTINGS, TOKEN
from under_load import unicorn

HEADERS = [b"X-Request-Start", b"x-request-start", b"X-Queue-Start", b"X_REQUEST_START"]
EVERY_BYTE = bytes(byte for byte in range(1, 256) if byte not in b"\r\n")
VALUES = [
    b"",
    b" ",
    b",",
    b"t=",
    b"t=,t=,",
    b"-1",
    b"1e400",
    b"0x1F",
    b"NaN",
    b"nil",
    b"None",
    b"1" * 400,
    b"1." * 200,
    b",".join([b"1700000000"] * 300),
    b"\xff\xfe\xfd",
    b"\xf0\x9f\x90\xb3",
    b"\xd9\xa1\xd9\xa2\xd9\xa3",  # digits, but not ASCII's
    b"${jndi:ldap://x}",
    b"%s%n%p",
    b"'; DROP TABLE web; --",
    b"1\x002",
    b"1\r\n 2",  # a folded line
    EVERY_BYTE,
    b"9" * 1_000_000,
]
# Each is sent once; some combinations are enough.
REQUESTS: List[Tuple[bytes, bytes]] = [
    *itertools.product(HEADERS[:1], VALUES),
    *itertools.product(HEADERS[1:], VALUES[::5]),
]
MISUSES = "/twice /never /wrongly /late /broken /nothing /short".split()


class GunicornByHook(Gunicorn):
    def __init__(self) -> None:
        super().__init__("gunicorn", "sync", preload=False, wrapper=False, hook="gunicorn_hook.py")


SUBJECTS: Dict[str, AppServer] = {
    "puma": SERVERS["ruby"],
    "unicorn": unicorn(),
    "gunicorn": SERVERS["python"],
    "gunicorn by hook": GunicornByHook(),
    "uwsgi": Uwsgi("uwsgi"),
}


class Two(NamedTuple):
    on: int  # ports
    off: int
    log: Process


@pytest.fixture(scope="module", params=list(SUBJECTS))
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Two]:
    server = SUBJECTS[request.param]
    reason = server.missing()
    if reason is not None:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(ReceiverProcess())
        processes = []
        for url in (f"{receiver.url}/{TOKEN}", ""):
            port = free_port()
            directory = tmp_path_factory.mktemp("input")
            process = server.process(port, directory, {**SETTINGS, "DYNOSCALE_URL": url})
            stack.enter_context(process).start().wait_for_port(port)
            processes.append((port, process))
        yield Two(processes[0][0], processes[1][0], processes[0][1])


def answer(port: int, head: bytes) -> bytes:
    """All that comes back, but for what tells the time and the process."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with contextlib.suppress(OSError):  # a server may hang up before it has read all
            connection.sendall(head)
        text = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                text += data
    return re.sub(rb"(?m)^Date: .*\r\n", b"", text)


def get(path: str, *lines: bytes) -> bytes:
    head = [b"GET " + path.encode() + b" HTTP/1.1", b"Host: x", b"Connection: close", *lines]
    return b"\r\n".join([*head, b"", b""])


@pytest.mark.parametrize(
    "name, value", REQUESTS, ids=[f"{name!r}: {value[:20]!r}" for name, value in REQUESTS]
)
def test_a_header_changes_no_answer(name: bytes, value: bytes, two: Two) -> None:
    request = get("/1", name + b": " + value)
    assert answer(two.on, request) == answer(two.off, request)


def test_a_request_is_answered(two: Two) -> None:
    assert answer(two.on, get("/1")).endswith(b"answer to /1\n")


def test_headers_may_come_repeatedly(two: Two) -> None:
    request = get("/1", *[b"X-Request-Start: 1700000000123"] * 20)
    assert answer(two.on, request) == answer(two.off, request)


def test_what_the_app_raises_is_the_server_s_as_before(two: Two) -> None:
    request = get("/raise", b"X-Request-Start: 1700000000123")
    assert answer(two.on, request) == answer(two.off, request)
    two.log.wait_until(lambda: "of the app" in two.log.log, "log the app's exception")


@pytest.mark.parametrize("path", MISUSES)
def test_misuse_is_the_server_s_to_judge(path: str, two: Two) -> None:
    """Apps know some of the paths; the others are asked for nothing special."""
    request = get(path, b"X-Request-Start: 1700000000123")
    assert answer(two.on, request) == answer(two.off, request)
