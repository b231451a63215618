"""Visitors: requests that come when they come, whether or not the earlier ones are answered."""

from __future__ import annotations

import http.client
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

LONGEST_ANSWER_S = 30
MOST_IN_FLIGHT = 500


class Phase(NamedTuple):
    name: str
    seconds: float
    rate: float  # requests a second
    together: int  # of them at once


def phase_at(phases: Sequence[Phase], second: float) -> Phase:
    for phase in phases:
        if second < phase.seconds:
            return phase
        second -= phase.seconds
    return phases[-1]


def moments(phases: Sequence[Phase], seed: int) -> Iterator[float]:
    """When to send each request, in seconds from the start."""
    dice, begin = random.Random(seed), 0.0
    for phase in phases:
        end, moment = begin + phase.seconds, begin
        while moment < end:
            yield from [moment] * phase.together
            moment += phase.together / phase.rate * dice.uniform(0.7, 1.3)
        begin = end


class Traffic:
    """The visitors of one address. What it has counted may be read at any time."""

    def __init__(self, url: str, phases: Sequence[Phase], seed: int) -> None:
        self.sent = 0
        self.failed = 0
        self.first_failure: Optional[str] = None
        self.url = url
        self._address = urlsplit(url)
        self._moments = moments(phases, seed)
        self._counting = threading.Lock()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(MOST_IN_FLIGHT)
        self._sender = threading.Thread(target=self._send_all, daemon=True)

    def start(self) -> None:
        self._sender.start()

    def over(self) -> bool:
        """Whether all is sent, and answered or failed."""
        return not self._sender.is_alive()

    def stop(self) -> None:
        """Sends nothing more. What is in flight ends with its server."""
        self._stopped.set()

    def _send_all(self) -> None:
        start = time.monotonic()
        with self._pool:
            for moment in self._moments:
                if self._stopped.wait(max(0.0, start + moment - time.monotonic())):
                    break
                self.sent += 1
                self._pool.submit(self._send)

    def _send(self) -> None:
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=LONGEST_ANSWER_S
        )
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            failure = None if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            failure = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        if failure is not None:
            with self._counting:
                self.failed += 1
                self.first_failure = self.first_failure or failure
