"""A light load of real requests over lasting connections. Standard library only; it drives tests
and the demo, and is no benchmark: for that there is wrk.
"""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import List
from urllib.parse import urlsplit

POST_EACH = 10  # one request of ten has a body
BODY = b"x" * 20_000


@dataclass
class Load:
    """What was asked and answered. Latencies are in seconds, in the order of their ends."""

    answered: int = 0
    latencies: List[float] = field(default_factory=list)
    errors: List[str] = field(default_factory=list)


def drive(
    url: str, requests: int, connections: int = 4, timeout: float = 30.0, bodies: bool = True
) -> Load:
    """Sends exactly `requests` requests and waits for their answers, each other than a 200 an
    error in the result. A request is never sent twice; an error does not end the load. Without
    `bodies` no request has one."""
    load = Load()
    lock = threading.Lock()
    numbers = iter(range(requests))

    def next_number() -> int:
        with lock:
            return next(numbers, -1)

    def work() -> None:
        address = urlsplit(url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=timeout
        )
        while (number := next_number()) >= 0:
            started = time.monotonic()
            try:
                error = _request(connection, address.path or "/", number, bodies)
            except (OSError, http.client.HTTPException) as failure:
                connection.close()
                error = f"{type(failure).__name__}: {failure}"
            with lock:
                load.latencies.append(time.monotonic() - started)
                if error:
                    load.errors.append(f"request {number}: {error}")
                else:
                    load.answered += 1
        connection.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def _request(
    connection: http.client.HTTPConnection, path: str, number: int, bodies: bool
) -> str:
    """One request; what was wrong with its answer, or nothing."""
    if bodies and number % POST_EACH == POST_EACH - 1:
        connection.request("POST", path, BODY)
    else:
        connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read()
    return "" if answer.status == 200 else f"status {answer.status}: {text[:200]!r}"
