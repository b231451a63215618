"""The service killed under load: what it answered with 2xx is there once, and nothing twice.

KILLS=1000 for more of them.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from typing import List

from conftest import Started
from processes import free_port
from reports import PATIENCE, add_app, counted, headers, post

KILLS = int(os.environ.get("KILLS", "50"))
SENDERS = 6


class Sender(threading.Thread):
    """Reports of one row, each sent again under its key until it is answered, as agents do."""

    def __init__(self, number: int, port: int, path: str, end: threading.Event) -> None:
        super().__init__(daemon=True)
        self.number, self.port, self.path, self.end = number, port, path, end
        self.answered = 0
        self.sent = 0
        self.wrong: List[str] = []

    def try_once(self, key: str, second: int) -> bool:
        try:
            answer = post(
                self.port, self.path, [(second, self.number, "web", "")],
                headers(key, f"web.{self.number + 1}"),
            )  # fmt: skip
        except (OSError, http.client.HTTPException):
            return False  # killed meanwhile
        if answer.status == 503:
            return False
        if answer.status != 200:
            self.wrong.append(f"{answer.status} {answer.text}")
        return True

    def run(self) -> None:
        while not self.end.is_set() and not self.wrong:
            key, second = f"{self.number:016x}{self.sent:016x}", int(time.time())
            self.sent += 1
            while not self.try_once(key, second):
                time.sleep(0.01)
            self.answered += 1


def test_each_report_that_is_answered_is_there_once_however_often_the_service_is_killed(
    serve: Started,
) -> None:
    began = time.time()
    port = free_port()
    service = serve(listen=f"127.0.0.1:{port}")
    path = add_app(service)
    end = threading.Event()
    senders = [Sender(number, port, path, end) for number in range(SENDERS)]
    for sender in senders:
        sender.start()

    def answered() -> int:
        return sum(sender.answered for sender in senders)

    moments = random.Random(1)
    for _ in range(KILLS):
        wanted = answered() + 1 + moments.randrange(30)
        service.wait_until(lambda: answered() >= wanted, "answer some", PATIENCE)
        time.sleep(moments.random() * 0.03)  # any moment of a commit: nothing waits for it
        service.kill()
        service.start()
    end.set()
    for sender in senders:
        sender.join(PATIENCE)
        assert not sender.is_alive()
    assert [sender.wrong for sender in senders] == [[]] * SENDERS
    assert answered() == sum(sender.sent for sender in senders)
    assert answered() > KILLS
    assert counted(service, begin=began) == answered()
