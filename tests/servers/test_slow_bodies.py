"""The time that a client takes to send a body is not part of the queue time: either the server
calls the app before the body is there, or the request gives no sample."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any, Iterator, List

import pytest
from app_servers import (
    DJANGO_ASGI,
    AppServer,
    Cheroot,
    Daphne,
    Flask,
    Gunicorn,
    Hypercorn,
    Twisted,
    Uvicorn,
    Uwsgi,
    Waitress,
    Wsgiref,
)
from processes import free_port
from receiver import ReceiverProcess

PATIENCE_SECONDS = 60
BODY = b"x" * 4000
PAUSE_SECONDS = 1.0
SETTINGS = {"DYNO": "web.1", "DYNOSCALE_PUBLISH_FREQUENCY": "1"}


def gunicorn(worker: str, app: str = "") -> Gunicorn:
    return Gunicorn(f"gunicorn {worker}", worker, False, wrapper=True, hook="", app=app)


CALL_THE_APP_AT_ONCE: List[Any] = [
    Uwsgi("uwsgi"),
    gunicorn("sync"),
    gunicorn("gthread"),
    gunicorn("uvicorn.workers.UvicornWorker", "wrapped_asgi_app:app").needing("uvicorn"),
    Uvicorn("uvicorn", "wrapped_asgi_app:app"),
    Flask("flask"),
    Wsgiref("wsgiref"),
]
FRAMEWORKS: List[Any] = [
    gunicorn("gevent").needing("gevent"),
    gunicorn("eventlet").needing("eventlet"),
    Cheroot("cheroot"),
    Hypercorn("hypercorn", "wrapped_asgi_app:app"),
]
READ_BODIES_FIRST: List[Any] = [
    Waitress("waitress"),
    Uwsgi("uwsgi post-buffering", "--post-buffering", "4096"),
    Uvicorn("uvicorn django middleware", *DJANGO_ASGI).with_django(TEST_MIDDLEWARE="1"),
]
FRAMEWORKS_THAT_READ_BODIES_FIRST: List[Any] = [
    Daphne("daphne", "wrapped_asgi_app:app"),
    Uvicorn("uvicorn wsgi", "--interface", "wsgi", "wrapped_app:app"),
    gunicorn("tornado").needing("tornado"),
    Twisted("twisted"),
]


def parameters(servers: List[AppServer], *marks: Any) -> Iterator[Any]:
    for server in servers:
        yield pytest.param(server, id=server.name, marks=marks)


def head(method: str, length: int) -> bytes:
    lines = [f"{method} / HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"Content-Length: {length}"] if length else []
    lines += [f"X-Request-Start: t={time.time():.3f}", "", ""]
    return "\r\n".join(lines).encode()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def finish(connection: socket.socket) -> bytes:
    answer = b""
    while data := connection.recv(65536):
        answer += data
    connection.close()
    assert b" 200 " in answer.partition(b"\r\n")[0]
    return answer


def started(server: AppServer, receiver: ReceiverProcess, directory: Path, port: int) -> Any:
    reason = server.missing()
    if reason is not None:
        pytest.skip(reason)
    settings = {**SETTINGS, "DYNOSCALE_URL": f"{receiver.url}/token"}
    process = server.process(port, directory, settings).start()
    process.wait_for_port(port, PATIENCE_SECONDS)
    return process


@pytest.mark.parametrize(
    "server",
    [*parameters(CALL_THE_APP_AT_ONCE), *parameters(FRAMEWORKS, pytest.mark.frameworks)],
)
def test_a_sample_is_taken_before_the_body_is_there(server: AppServer, tmp_path: Path) -> None:
    port = free_port()
    with ReceiverProcess() as receiver, started(server, receiver, tmp_path, port):
        connection = connect(port)
        connection.sendall(head("POST", 2 * len(BODY)) + BODY)
        assert receiver.wait(seconds=PATIENCE_SECONDS, rows=1)["reached"]
        connection.sendall(BODY)
        finish(connection)


@pytest.mark.parametrize(
    "server",
    [
        *parameters(READ_BODIES_FIRST),
        *parameters(FRAMEWORKS_THAT_READ_BODIES_FIRST, pytest.mark.frameworks),
    ],
)
def test_where_the_server_reads_the_body_first_there_is_no_sample(
    server: AppServer, tmp_path: Path
) -> None:
    port = free_port()
    with ReceiverProcess() as receiver, started(server, receiver, tmp_path, port) as process:
        for _ in range(2):
            connection = connect(port)
            connection.sendall(head("POST", 2 * len(BODY)) + BODY)
            time.sleep(PAUSE_SECONDS)  # the client's, which is what must not be seen
            connection.sendall(BODY)
            finish(connection)
        connection = connect(port)
        connection.sendall(head("GET", 0))
        finish(connection)
        assert receiver.wait(seconds=PATIENCE_SECONDS, rows=1)["reached"]
        # With all that any process recorded.
        process.stop(server.stop_signal, PATIENCE_SECONDS, server.exit_statuses)
        assert receiver.summary()["rows"] == 1
