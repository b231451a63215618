"""More reports than are kept at once: what does not fit is put off, memory stays within its bounds,
pages are answered, and in the end everything is there. That other apps are not put off, and how all
take turns, is in test_overload.c and test_commit.c."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from pathlib import Path
from typing import List

from conftest import Started, with_files
from reports import PATIENCE, Row, Sender, add_app, counted, csv, finish

FLOOD = 300
ROWS = 20000
PUT_OFF = 300
# One app gets half of the 32 MiB for reports that wait, bodies that are read half of 128 MB.
MOST_MIB = 115


class Flooder(Sender):
    body = b""

    def report(self) -> bytes:
        return self.body


def peak_mib(pid: int) -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1)) / 1024


@with_files
def test_a_flood_is_put_off_within_bounds_and_all_of_it_arrives(serve: Started) -> None:
    """While somebody else writes to the file, nothing can be committed."""
    began = time.time()
    service = serve()
    flooded, other = add_app(service, "flooded"), add_app(service, "other")
    rows: List[Row] = [(int(began) - second % 10, 5, "web", "") for second in range(ROWS)]
    Flooder.body = csv(rows)
    never = threading.Event()
    flood: List[Sender] = [Flooder(number, service.port, flooded, never, 1) for number in range(FLOOD)]
    steady = Sender(0, service.port, other, never, 3)
    file = sqlite3.connect(service.data / "dynoscaled.db", isolation_level=None, timeout=PATIENCE)
    file.execute("BEGIN IMMEDIATE")
    for sender in [*flood, steady]:
        sender.start()
    while sum(sender.busy for sender in flood) < PUT_OFF:
        for path in ("/healthz", "/", "/signin"):
            assert service.get(path).status == 200
        time.sleep(0.01)
    file.execute("ROLLBACK")
    file.close()
    assert finish(flood) == FLOOD
    assert finish([steady]) == 3
    assert counted(service, begin=began - 60, app="flooded") == FLOOD * ROWS
    assert counted(service, begin=began - 60, app="other") == 3
    assert peak_mib(service.pid) < MOST_MIB, peak_mib(service.pid)
