"""The service killed under load: what it answered with 2xx is there once, and nothing twice.

KILLS=1000 for more of them.
"""

from __future__ import annotations

import os
import random
import threading
import time

from conftest import Started
from processes import free_port
from reports import PATIENCE, Sender, add_app, counted, finish

KILLS = int(os.environ.get("KILLS", "50"))
SENDERS = 6


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
    sent = finish(senders)
    assert sent > KILLS
    assert counted(service, begin=began) == sent
