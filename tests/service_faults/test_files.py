"""Its data's files: killed at each call, power lost, a disk that is full or broken at each write, a page
that is damaged. What was answered with 200 is there, once; and it is well again without hands.

ROUNDS=1000 kills, POWER=200 losses of power: for more, or fewer.
"""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from dynoscaled import Command
from faults import FAIL_SYNCS, FAIL_WRITES, KILL_AFTER, KILL_BEFORE, NONE, Faulty, Senders
from processes import ProcessError
from reports import PATIENCE, add_app, command, counted, headers, post
from test_machine import THREE, more_ticks, orders, reported, set_up

ROUNDS = int(os.environ.get("ROUNDS", "1000"))
POWER = int(os.environ.get("POWER", "200"))

Made = Callable[..., Faulty]


def end_by_itself(service: Faulty, senders: Senders) -> None:
    """Until the order to kill has been carried out."""
    deadline = time.monotonic() + PATIENCE
    while service.running:
        assert time.monotonic() < deadline, "it was not killed"
        assert not senders.wrong, senders.wrong
        time.sleep(0.002)
    service.kill()  # its keepers, where they have not ended yet


def calls(chance: random.Random, round_: int) -> int:
    """Each of the first calls in turn; now and then so many that the log is copied into the file."""
    return chance.randrange(500, 4000) if round_ % 25 == 24 else round_ % 30


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
def test_what_was_answered_is_there_once_however_it_ends_in_the_middle_of_a_commit(
    faulty: Made, power: bool
) -> None:
    began = time.time()
    chance = random.Random(7)
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, add_app(service))
    lost = 0
    for round_ in range(POWER if power else ROUNDS):
        service.order(KILL_BEFORE if round_ % 2 else KILL_AFTER, calls(chance, round_))
        end_by_itself(service, senders)
        if power:
            lost += service.lose_power(chance)
        service.start()
    total = senders.end()
    assert total > 0 and counted(service, begin=began) == total
    assert lost > 0 or not power


# Each write in turn, once and for a while; and each synchronisation.
TROUBLES = [
    (FAIL_WRITES, errno.ENOSPC),
    (FAIL_WRITES, errno.EDQUOT),
    (FAIL_WRITES, errno.EIO),
    (FAIL_SYNCS, errno.EIO),
]


@pytest.mark.parametrize("fault, error", TROUBLES, ids=["full", "quota", "broken", "not synchronised"])
def test_a_disk_that_fails_at_any_write_is_503_and_well_again_without_hands(
    faulty: Made, fault: int, error: int
) -> None:
    began = time.time()
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, add_app(service))
    for round_ in range(60):
        service.order(fault, calls=round_ % 20, times=1 if round_ < 40 else 30, error=error)
        wanted = 1 if round_ < 40 else 30
        service.wait_until(lambda: service.faults >= wanted, "meet the fault", PATIENCE)
        service.order(NONE)
        before = senders.total()
        service.wait_until(lambda: senders.total() >= before + 8, "answer again", PATIENCE)
    assert service.get("/healthz").status == 200
    service.wait_until(lambda: service.get("/readyz").status == 200, "be ready", PATIENCE)
    assert "another dynoscaled" not in service.log
    total = senders.end()
    assert counted(service, begin=began) == total
    # And what it wrote in between is whole: a start reads it, with nothing left to mend.
    service.stop(seconds=PATIENCE)
    service.start()
    assert counted(service, begin=began) == total


# ---- Files that are taken away under it -----------------------------------------------------------


@pytest.mark.parametrize("ends", [["-wal"], ["-wal", "-shm"]], ids=["log", "log and its index"])
def test_a_log_that_is_removed_is_told_and_what_was_in_it_is_there(faulty: Made, ends: List[str]) -> None:
    began = time.time()
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, add_app(service))
    for _ in range(3):
        before = senders.total()
        service.wait_until(lambda: senders.total() >= before + 50, "answer", PATIENCE)
        for end in ends:
            (service.data / f"dynoscaled.db{end}").unlink()
        end_by_itself(service, senders)
        assert "dynoscaled.db-wal) was removed" in service.printed
        service.start()
    total = senders.end()
    assert counted(service, begin=began) == total


@pytest.mark.parametrize("what", ["dynoscaled.db", "."], ids=["file", "folder"])
def test_data_that_is_moved_away_is_told_and_goes_on_where_it_is_put_back(faulty: Made, what: str) -> None:
    began = time.time()
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, add_app(service))
    service.wait_until(lambda: senders.total() >= 50, "answer", PATIENCE)
    place, away = service.data / what, service.data.parent / "away"
    place.rename(away)
    service.wait_until(lambda: senders.refused >= 20, "refuse", PATIENCE)
    before, refused = senders.total(), senders.refused
    service.wait_until(lambda: senders.refused >= refused + 20, "refuse", PATIENCE)
    assert senders.total() == before and service.get("/readyz").status == 503
    assert "removed or renamed" in service.printed and "another dynoscaled" not in service.printed
    away.rename(place)
    service.wait_until(lambda: senders.total() >= before + 50, "answer again", PATIENCE)
    service.kill()
    service.start()
    total = senders.end()
    assert counted(service, begin=began) == total


def test_a_backup_put_in_place_of_data_in_use_is_not_mixed_with_it(faulty: Made) -> None:
    began = time.time()
    service = faulty("--tick-s", "1").start()
    path, file = add_app(service), service.data / "dynoscaled.db"
    senders = Senders(service.port, path)
    service.wait_until(lambda: senders.total() >= 100, "answer", PATIENCE)
    first = senders.end()
    copy, old = service.data.parent / "copy", service.data.parent / "old"
    command(service, "backup", str(copy))
    for _ in range(50):
        row = [(int(time.time()), 1, "web", "")]
        assert post(service.port, path, row, headers(os.urandom(16).hex())).status == 200
    file.rename(old)
    copy.rename(file)
    end_by_itself(service, senders)  # at the next tick
    assert "was replaced by another one" in service.printed
    service.start()
    assert counted(service, begin=began) == first
    service.stop(seconds=PATIENCE)
    for data in (file, old):
        with closing(sqlite3.connect(data)) as one:
            assert one.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    old.rename(file)
    service.start()
    assert counted(service, begin=began) == first + 50


def test_a_damaged_page_is_found_and_told_and_a_backup_restores_all(faulty: Made) -> None:
    service = faulty("--tick-s", "1").start()
    path = add_app(service)
    senders = Senders(service.port, path)
    service.wait_until(lambda: senders.total() >= 300, "answer some", PATIENCE)
    total = senders.end()
    began = time.time() - 60
    backup = service.data.parent / "backup"
    command(service, "backup", str(backup))
    service.stop(seconds=PATIENCE)
    whole = (service.data / "dynoscaled.db").read_bytes()
    chance = random.Random(3)
    outcomes = {"refused": 0, "served": 0}
    pages = len(whole) // 4096
    for page in [0, *chance.sample(range(1, pages), min(pages - 1, 25))]:
        damaged = bytearray(whole)
        damaged[page * 4096 : page * 4096 + 4096] = chance.randbytes(4096)
        (service.data / "dynoscaled.db").write_bytes(damaged)
        for rest in ("-wal", "-shm"):
            (service.data / ("dynoscaled.db" + rest)).unlink(missing_ok=True)
        looked = subprocess.run(
            [service.program, "doctor", "--data", str(service.data)], capture_output=True, text=True
        )
        assert looked.returncode == 1 and "damaged" in looked.stdout, (page, looked.stdout)
        outcomes[start_on_damaged(service, path)] += 1
    assert outcomes["refused"] > 0, outcomes
    command(service, "restore", str(backup), "--replace")
    service.start()
    assert counted(service, begin=began - 900) == total


def pages_of_all(path: Path) -> Dict[str, List[int]]:
    """Of each table and each index."""
    found: Dict[str, List[int]] = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        for name, page in file.execute("SELECT name, pageno FROM dbstat ORDER BY name, pageno"):
            found.setdefault(name, []).append(page)
    return found


def damage(path: Path, page: int, chance: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(chance.randbytes(4096))


def test_damage_of_any_table_or_index_is_not_kept_as_a_backup(faulty: Made, tmp_path: Path) -> None:
    """It copies pages: one that is damaged would be found when it is too late."""
    service = faulty("--tick-s", "1").start()
    senders = Senders(service.port, set_up(service, THREE))
    more_ticks(service, 3)
    total = senders.end()
    whole = tmp_path / "whole"
    command(service, "backup", str(whole))
    service.stop(seconds=PATIENCE)
    chance, cli, file = random.Random(4), Command(service.data), service.data / "dynoscaled.db"
    found = pages_of_all(file)
    assert len(found) > 40, found
    running = chance.sample(sorted(found), 5)
    for name, pages in found.items():
        cli.done("restore", str(whole), "--replace")
        if name in running and name != "sqlite_schema":
            service.start()
        page = chance.choice(pages)
        damage(file, page, chance)
        backup = cli("backup", str(tmp_path / f"of-{name}"))
        assert backup.returncode == 1 and "damaged" in backup.stderr, (name, page, backup)
        assert not list(tmp_path.glob(f"of-{name}*"))
        if service.running:
            more_ticks(service, 2)
            assert service.get("/healthz").status == 200
            service.stop(seconds=PATIENCE)
    assert not orders(service), orders(service)
    cli.done("restore", str(whole), "--replace")
    service.start()
    assert reported(service) == total


def start_on_damaged(service: Faulty, path: str) -> str:
    """It says that it is damaged and ends; or it serves what it can, and refuses with 503 what it
    can't keep."""
    try:
        service.start()
    except ProcessError:
        assert "damaged" in service.printed or "no database" in service.printed, service.printed
        return "refused"
    assert service.get("/healthz").status == 200
    answer = post(service.port, path, [(int(time.time()), 1, "web", "")], headers(os.urandom(16).hex()))
    assert answer.status in (200, 401, 503), answer
    if answer.status != 200:
        assert "damaged" in service.log
    service.stop(seconds=PATIENCE)
    return "served"
