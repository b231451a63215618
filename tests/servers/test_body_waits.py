"""The time that a client takes to send a body is not part of the queue time, also if the server
reads the body before it calls the app."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Tuple

import pytest
from app_servers import BASIC, FRAMEWORKS, AppServer
from processes import free_port
from receiver import ReceiverProcess

PARTS = 20
PART = b"x" * 10_000
PAUSE_SECONDS = 0.1
SETTINGS = {"DYNO": "web.1", "DYNOSCALE_PUBLISH_FREQUENCY": "600"}

# Their wait is unknown: a request with a large body gives no sample.
UNKNOWN = ("passenger smart", "passenger direct", "uwsgi for ruby")
RAINBOWS = (
    "rainbows thread pool",
    "rainbows event loop",
    "rainbows event loop without preload",
)
NAMES = ("puma single", "unicorn", "webrick", "thin", "falcon", *RAINBOWS, *UNKNOWN)
SERVERS = [
    pytest.param(server, id=server.name, marks=marks)
    for servers, marks in ((BASIC, ()), (FRAMEWORKS, pytest.mark.frameworks))
    for server in servers
    if server.name in NAMES
]


def upload(port: int) -> Tuple[float, float]:
    """Sends a body slowly. Returns the ms that it took, and the ms from the stamp to the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        stamped = time.time()
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n"
            b"X-Request-Start: t=%.3f\r\n\r\n" % (PARTS * len(PART), stamped)
        )
        for _ in range(PARTS):
            time.sleep(PAUSE_SECONDS)
            connection.sendall(PART)
        sent = time.time()
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")
    return (sent - stamped) * 1000, (time.time() - stamped) * 1000


@pytest.mark.parametrize("server", SERVERS)
def test_an_upload_is_in_no_queue_time(server: AppServer, tmp_path: Path) -> None:
    reason = server.missing()
    if reason:
        pytest.skip(reason)
    port = free_port()
    with ReceiverProcess() as receiver:
        settings = {**SETTINGS, "DYNOSCALE_URL": f"{receiver.url}/token"}
        with server.process(port, tmp_path, settings).start() as process:
            process.wait_for_port(port, 90)
            took_ms, whole_ms = upload(port)
            process.stop(server.stop_signal, 90, (*server.exit_statuses, -server.stop_signal))
            metrics = [row["metric"] for row in receiver.rows()]
    assert len(metrics) == (0 if server.name in UNKNOWN else 1)
    assert all(metric <= whole_ms - took_ms / 2 for metric in metrics)
