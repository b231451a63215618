"""A service whose files break, and senders that report to it all the while."""

from __future__ import annotations

import http.client
import mmap
import os
import random
import struct
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

from processes import free_port
from reports import PATIENCE, headers, post
from service import Service

OBJECTS = Path(os.environ.get("TEST_OBJECTS") or Path(__file__).resolve().parents[2] / "build" / "cc")
LIBRARY = OBJECTS / "tests" / "service_faults" / "files.so"

# As files.c has them.
NONE, KILL_BEFORE, KILL_AFTER, FAIL_WRITES, FAIL_SYNCS, STOP = range(6)
WRITTEN, SYNCED, CUT, REMOVED = range(1, 5)
NAMES = ["dynoscaled.db", "dynoscaled.db-wal", "dynoscaled.db-journal"]
SECTOR = 512  # of which a disk writes all or nothing


class Change(NamedTuple):
    kind: int
    file: str
    offset: int
    data: bytes


class Faulty(Service):
    """`dynoscaled` on one port for all its lives, with files.c loaded."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.orders_path, self.journal_path = directory / "fault-orders", directory / "fault-journal"
        self.orders_path.write_bytes(bytes(mmap.PAGESIZE))
        with self.orders_path.open("r+b") as file:
            self.orders = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        env = {"LD_PRELOAD": str(LIBRARY), "FAULTS_ORDERS": str(self.orders_path),
               "FAULTS_JOURNAL": str(self.journal_path)}  # fmt: skip
        assert LIBRARY.exists(), f"there is no {LIBRARY}: `make test-faults-service` makes it"
        super().__init__(directory, *arguments, listen=f"127.0.0.1:{free_port()}", env=env)

    def start(self) -> Faulty:
        self.order(NONE)
        self.synced = {name: self.content(name) for name in NAMES}
        self.journal_path.write_bytes(b"")
        super().start()
        return self

    def order(self, fault: int, calls: int = 0, times: int = 0, error: int = 0) -> None:
        """The fault happens after so many more calls of its kind, so many times."""
        self.orders[:8] = struct.pack("=q", NONE)
        self.orders[8:40] = struct.pack("=4q", calls, times, error, 0)
        self.orders[:8] = struct.pack("=q", fault)

    @property
    def faults(self) -> int:
        """How many there were since the last order."""
        return int(struct.unpack("=q", self.orders[32:40])[0])

    # ---- A loss of power -----------------------------------------------------------------------

    def content(self, name: str) -> bytes:
        path = self.data / name
        return path.read_bytes() if path.exists() else b""

    def changes(self) -> Iterator[Change]:
        journal, at = self.journal_path.read_bytes(), 0
        while at + 32 <= len(journal):
            kind, file, offset, length = struct.unpack_from("=4q", journal, at)
            at += 32
            data = journal[at : at + length] if kind == WRITTEN else b""
            if len(data) < (length if kind == WRITTEN else 0):
                return  # killed while it was written
            at += len(data)
            yield Change(kind, NAMES[file - 1], offset, data)

    def lose_power(self, chance: random.Random) -> int:
        """The files as they may be after it: all that was synchronised, and any part of the rest, in
        any order of files, sector by sector. How many changes were lost, or were half."""
        files: Dict[str, bytearray] = {name: bytearray(data) for name, data in self.synced.items()}
        open_changes: Dict[str, List[Change]] = {name: [] for name in NAMES}
        for change in self.changes():
            if change.kind == SYNCED:
                for one in open_changes[change.file]:
                    apply(files[change.file], one)
                open_changes[change.file] = []
            else:
                open_changes[change.file].append(change)
        lost = 0
        for name, waiting in open_changes.items():
            for one in waiting:
                fate = chance.random()
                lost += fate < 0.6
                if fate >= 0.6:
                    apply(files[name], one)
                elif fate >= 0.3 and one.kind == WRITTEN:
                    for at in range(0, len(one.data), SECTOR):
                        if chance.random() < 0.5:
                            part = Change(WRITTEN, name, one.offset + at, one.data[at : at + SECTOR])
                            apply(files[name], part)
        (self.data / "dynoscaled.db-shm").unlink(missing_ok=True)
        for name, data in files.items():
            if data or name == NAMES[0]:
                (self.data / name).write_bytes(data)
            else:
                (self.data / name).unlink(missing_ok=True)
        return lost


def apply(file: bytearray, change: Change) -> None:
    if change.kind == REMOVED:
        del file[:]
    elif change.kind == CUT:
        if len(file) > change.offset:
            del file[change.offset :]
        file.extend(bytes(change.offset - len(file)))
    else:
        end = change.offset + len(change.data)
        file.extend(bytes(max(0, end - len(file))))
        file[change.offset : end] = change.data


class Senders:
    """Reports of one row each, sent again under its key until it is answered with 200, as agents do.

    `answered` are those; a 503 must say when to come back, and anything else is `wrong`."""

    def __init__(self, port: int, path: str, count: int = 4) -> None:
        self.port, self.path = port, path
        self.sent, self.answered = [0] * count, [0] * count
        self.wrong: List[str] = []
        self.refused = 0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def _try(self, number: int, key: str, second: int) -> bool:
        try:
            answer = post(
                self.port, self.path, [(second, number, "web", "")], headers(key, f"web.{number + 1}")
            )
        except (OSError, http.client.HTTPException):
            return False  # it was killed meanwhile
        if answer.status == 503 and "retry-after" in answer.headers:
            self.refused += 1
            return False
        if answer.status != 200:
            self.wrong.append(f"{answer.status} {answer.headers} {answer.text}")
        return True

    def _run(self, number: int) -> None:
        while not self._end.is_set() and not self.wrong:
            key, second = f"{number:016x}{self.sent[number]:016x}", int(time.time())
            self.sent[number] += 1
            while not self._try(number, key, second):
                time.sleep(0.01)
            self.answered[number] += 1

    def total(self) -> int:
        return sum(self.answered)

    def end(self) -> int:
        """Ends when all that was sent was answered; how many reports that were."""
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a report is not answered any more"
        assert not self.wrong, self.wrong
        assert self.sent == self.answered
        return self.total()
