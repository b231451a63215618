"""All data from one store into another: nothing is lost, whenever it is broken off."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Dict, Iterator, Set, Tuple

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


def test_a_move_back_that_is_killed_is_begun_again_and_loses_nothing(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url, back = cluster.database(), tmp_path / "back"
    first = serve()
    fill(first, first.data, 400)
    with closing(sqlite3.connect(first.data / "dynoscaled.db", timeout=60)) as file, file:
        lines = ((number, "me", 0, "it", "") for number in range(20000))
        file.executemany("INSERT INTO audit (at_s, who, app, what, difference) VALUES (?, ?, ?, ?, ?)", lines)
    before = everything(first, first.data)
    first.stop()
    assert move(str(first.data), url).returncode == 0
    program = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
    moments = random.Random(1)
    places: Set[Tuple[int, int]] = set()
    for attempt in range(KILLS):
        # At another place each time: while tables are made, among the rows of one, and after it.
        table, wanted = ("report", 1) if attempt % 5 == 4 else ("audit", moments.randrange(20000))
        with subprocess.Popen([program, "move", url, str(back)], stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and attempt > 0 and rows_in(back, table) < wanted:
                pass
            run.kill()
        if run.returncode == 0:
            break
        places.add((rows_in(back, "audit"), rows_in(back, "report")))
    assert len(places) > 1
    refused = subprocess.run(
        [program, "serve", "--data", str(tmp_path / "no"), "--listen", "127.0.0.1:0"],
        env={**os.environ, "DYNOSCALED_DATABASE": url}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 1 and "was moved" in refused.stderr
    done = move(url, str(back))
    if "already" not in done.stderr:
        assert done.returncode == 0, done.stderr
    (back / "key").write_bytes((first.data / "key").read_bytes())
    (back / "key").chmod(0o600)
    second = serve(data=back, name="second")
    assert everything(second, back) == before


def test_a_move_that_stands_still_outlasts_the_servers_idle_timeout(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    """It reads all as of one moment, in a transaction that the server must not end."""
    url, back = cluster.database(idle_in_transaction_session_timeout="1s"), tmp_path / "back"
    database = url.rsplit("/", 1)[1]
    first = serve()
    fill(first, first.data, 5)
    first.stop()
    assert move(str(first.data), url).returncode == 0
    cluster.sql(
        "INSERT INTO audit (at_s, who, app, what, difference) SELECT n, 'me', 0, 'it', '' FROM generate_series(1, 200000) n",
        database,
    )
    program = os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
    with subprocess.Popen([program, "move", url, str(back)], stderr=subprocess.PIPE) as run:
        assert run.stderr
        while rows_in(back, "audit") == 0:
            assert run.poll() is None
        run.send_signal(signal.SIGSTOP)
        time.sleep(3)  # longer than the server's patience
        run.send_signal(signal.SIGCONT)
        assert run.wait(120) == 0, run.stderr.read()
    assert rows_in(back, "audit") > 200000


def rows_in(folder: Path, table: str) -> int:
    """0, too, where there is no such table yet."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/dynoscaled.db?mode=ro", uri=True)) as file:
            return int(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_tables_of_others_in_the_same_schema_are_left_alone(
    serve: Started, tmp_path: Path, cluster: Cluster
) -> None:
    url, back = cluster.database(), tmp_path / "back"
    database = url.rsplit("/", 1)[1]
    cluster.sql(
        "CREATE TABLE diary (day DATE, words TEXT); INSERT INTO diary VALUES (now(), 'theirs');"
        "CREATE VIEW days AS SELECT day FROM diary",
        database,
    )
    first = serve()
    fill(first, first.data, 5)
    before = everything(first, first.data)
    first.stop()
    done = move(str(first.data), url)
    assert done.returncode == 0, done.stderr
    assert cluster.sql("SELECT words FROM diary", database) == "theirs"
    done = move(url, str(back))
    assert done.returncode == 0, done.stderr
    (back / "key").write_bytes((first.data / "key").read_bytes())
    (back / "key").chmod(0o600)
    second = serve(data=back, name="second")
    assert everything(second, back) == before


def test_tables_are_found_by_the_search_path(serve: Started, tmp_path: Path, cluster: Cluster) -> None:
    """They were made in a schema that stands second now."""
    url, back = cluster.database(), tmp_path / "back"
    database = url.rsplit("/", 1)[1]
    first = serve()
    fill(first, first.data, 5)
    first.stop()
    assert move(str(first.data), url).returncode == 0
    cluster.sql(f"CREATE SCHEMA before; ALTER DATABASE {database} SET search_path = before, public", database)
    done = move(url, str(back))
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(back / "dynoscaled.db")) as file:
        assert file.execute("SELECT name FROM app").fetchall() == [("shop",)]


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
