"""All data from one store into another: nothing is lost, whenever it is broken off."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Dict, Iterator

import pytest

from conftest import Started
from dynoscaled import RULES, Command
from postgresql import Cluster, programs
from reports import add_app, counted, headers, post
from service import PROGRAM, Service

pytestmark = pytest.mark.skipif(
    programs() is None, reason="PostgreSQL is not installed (on Debian: apt-get install postgresql)"
)
KILLS = 25


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), durable=False) as cluster:
        yield cluster.start()


@pytest.fixture(autouse=True)
def on_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is moved from is a folder, in a run of the suite on PostgreSQL too."""
    monkeypatch.delenv("TEST_DATABASE", raising=False)


def fill(service: Service, data: Path, reports: int) -> None:
    command = Command(data)
    path = add_app(service)
    now = int(time.time())
    for number in range(reports):
        rows = [(now - number % 60, number % 900, "web", ""), (now, 3, f"rq:q{number % 40}", "")]
        assert post(service.port, path, rows, headers(f"k{number}")).status == 200
    command.done("rules", "put", "shop", "-", stdin=RULES)
    command.done("user", "add", "anna", stdin="a long enough one\n")
    command.done("app", "add", "gone")
    command.done("app", "remove", "gone", "--confirm", "gone")


def everything(service: Service, data: Path) -> Dict[str, object]:
    command = Command(data)
    return {
        "apps": [(app["name"], app["created"]) for app in command.json("app", "list")["apps"]],
        "rules": command.done("rules", "get", "shop"),
        "people": [person["name"] for person in command.json("user", "list")["people"]],
        "audit": command.done("audit", "--limit", "100"),
        "web": counted(service),
        "queue": counted(service, source="rq:q1"),
    }


def move(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
    return subprocess.run(
        [program, "move", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def test_all_data_is_there_after_a_move_there_and_back(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url, back = cluster.database(), tmp_path / "back"
    first = serve()
    fill(first, first.data, 120)
    before = everything(first, first.data)
    first.stop()
    done = move(str(first.data), url)
    assert done.returncode == 0, done.stderr

    refused = subprocess.run(first.command, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1 and "was moved" in refused.stderr

    env = {"DYNOSCALED_DATABASE": url}
    key = (first.data / "key").read_bytes()
    for name in ("second", "back"):
        (tmp_path / name).mkdir(mode=0o700)
        (tmp_path / name / "key").write_bytes(key)
        (tmp_path / name / "key").chmod(0o600)
    second = serve(data=tmp_path / "second", name="second", env=env)
    assert everything(second, second.data) == before
    refused_move = move(url, str(back))
    assert refused_move.returncode == 1 and "stop all of them" in refused_move.stderr
    second.stop()

    done = move(url, str(back))
    assert done.returncode == 0, done.stderr
    third = serve(data=back, name="third")
    assert everything(third, back) == before
    # The number of an app that was removed is not given to another one.
    Command(back).done("app", "add", "other")
    third.stop()
    assert cluster.sql("SELECT max(id) FROM app", url.rsplit("/", 1)[1]) == "1"


def has_begun(data: Path) -> bool:
    """Whether a move has marked the data that it reads from."""
    with closing(sqlite3.connect(data / "dynoscaled.db")) as file:
        return bool(file.execute("SELECT 1 FROM meta WHERE name = 'moved_to'").fetchone())


def test_a_move_that_is_killed_is_begun_again_and_loses_nothing(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.database()
    first = serve()
    fill(first, first.data, 400)
    before = everything(first, first.data)
    first.stop()
    moments = random.Random(1)
    program = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
    tries = 0
    while tries < KILLS or not has_begun(first.data):
        tries += 1
        with subprocess.Popen([program, "move", str(first.data), url], stderr=subprocess.PIPE) as run:
            # Any moment of it: nothing waits for it. Longer where the machine is slow.
            time.sleep(moments.random() * 0.2 * max(1, tries - KILLS))
            run.kill()
    refused = subprocess.run(first.command, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1 and "move" in refused.stderr
    done = move(str(first.data), url)
    if "already" not in done.stderr:  # one of them had ended
        assert done.returncode == 0, done.stderr
    folder = tmp_path / "second"
    folder.mkdir(mode=0o700)
    (folder / "key").write_bytes((first.data / "key").read_bytes())
    (folder / "key").chmod(0o600)
    second = serve(data=folder, name="second", env={"DYNOSCALED_DATABASE": url})
    assert everything(second, folder) == before


def test_a_move_into_data_is_refused_and_one_that_was_given_up_is_forgotten(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.database()
    first = serve()
    add_app(first)
    first.stop()
    other = serve(data=tmp_path / "other", name="other", env={"DYNOSCALED_DATABASE": url})
    add_app(other, "another")
    other.stop()
    refused = move(str(first.data), url)
    assert refused.returncode == 1 and "must be empty" in refused.stderr
    first.start()  # nothing was marked
    first.stop()
    assert move(str(first.data), str(tmp_path / "third")).returncode == 0
    assert move(str(first.data), "--cancel").returncode == 0
    first.start()
