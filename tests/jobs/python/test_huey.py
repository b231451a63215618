"""Huey on each of its storages: readings of what a real Huey fills and empties."""

from __future__ import annotations

import json
import pickle
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

huey_module = pytest.importorskip("huey")

from conftest import EveryTurn, read_all  # noqa: E402
from dynoscale.jobs import huey as adapter_module  # noqa: E402
from huey import serializer as serializers  # noqa: E402
from huey import signals  # noqa: E402
from servers import PostgreSQL, find_postgresql  # noqa: E402

SLACK_MS = 50_000  # what a busy machine may add to an age
MINUTE_MS = 60_000


@pytest.fixture
def adapter() -> Iterator[Any]:
    """The adapter that follows Hueys, without those of earlier tests."""
    adapter = adapter_module.adapter
    adapter.prepare()
    adapter.sources()
    adapter._hueys._found.clear()
    yield adapter
    adapter._hueys._found.clear()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    if find_postgresql() is None:
        pytest.skip("there is no PostgreSQL")
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")).start() as server:
        yield server


KINDS = ["redis", "redis, with priorities", "sqlite", "files", "postgresql"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, adapter: Any
) -> Callable[..., Any]:
    def make(name: str = "app", **options: Any) -> Any:
        if kind == "redis":
            url = request.getfixturevalue("redis_url")
            huey = huey_module.RedisHuey(name, url=url, blocking=False, **options)
        elif kind == "redis, with priorities":
            url = request.getfixturevalue("redis_url")
            huey = huey_module.PriorityRedisHuey(name, url=url, blocking=False, **options)
        elif kind == "sqlite":
            huey = huey_module.SqliteHuey(name, filename=str(tmp_path / "huey.db"), **options)
        elif kind == "files":
            huey = huey_module.FileHuey(name, path=str(tmp_path / "files"), **options)
        else:
            pytest.importorskip("psycopg")
            port = request.getfixturevalue("postgresql").port
            dsn = f"host=127.0.0.1 port={port} user=dynoscale dbname=postgres"
            huey = huey_module.PostgresHuey(name, dsn=dsn, blocking=False, **options)
            huey.storage.flush_all()
        add_tasks(huey)
        return huey

    return make


def add_tasks(huey: Any) -> None:
    @huey.task(name="nothing")
    def nothing(*_: Any) -> None:
        pass

    @huey.task(name="fail", retries=1, retry_delay=600)
    def fail() -> None:
        raise ValueError

    huey.nothing, huey.fail = nothing, fail


@pytest.fixture
def huey(make: Callable[..., Any]) -> Any:
    return make()


def send(huey: Any, minutes_ago: float = 0, *arguments: Any, **options: Any) -> Any:
    """Sets the time at which it was enqueued."""
    then = time.time() - minutes_ago * 60
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: then)
        return huey.enqueue(huey.nothing.s(*arguments, **options))


def work(huey: Any) -> int:
    """Runs the tasks as the consumer does. Returns their number."""
    for task in huey.read_schedule():
        huey.enqueue(task)
    done = 0
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
        done += 1
    return done


def assert_age(measured: Optional[float], minutes: float) -> None:
    assert measured is not None
    assert minutes * MINUTE_MS - 1 <= measured < minutes * MINUTE_MS + SLACK_MS


def test_the_oldest_task_that_waits_counts(huey: Any, adapter: Any, turn: EveryTurn) -> None:
    for minutes in (9, 5, 1):
        send(huey, minutes)
    ages = read_all(adapter, turn)
    assert_age(ages.pop("app"), 9)
    assert ages == {}
    assert turn.counts == {"depth": {"app": 3}, "working": {}}
    assert work(huey) == 3


def test_a_queue_that_is_empty_is_0(huey: Any, adapter: Any, turn: EveryTurn) -> None:
    assert read_all(adapter, turn) == {"app": 0.0}
    send(huey)
    work(huey)
    assert read_all(adapter, turn) == {"app": 0.0}
    assert turn.counts["depth"] == {"app": 0}


@pytest.mark.parametrize("utc", [True, False])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
def test_a_scheduled_task_ages_from_when_it_is_due(
    zone: str,
    utc: bool,
    make: Callable[..., Any],
    adapter: Any,
    turn: EveryTurn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        huey = make(utc=utc)
        huey.nothing.schedule(delay=600)
        work(huey)  # which puts it into the schedule
        assert read_all(adapter, turn) == {"app": 0.0}
        task = huey.nothing.s()
        task.eta = huey._get_timestamp() - timedelta(minutes=3)
        huey.add_schedule(task)
        turn = EveryTurn()
        assert_age(read_all(adapter, turn)["app"], 3)
        assert turn.counts["depth"] == {"app": 1}
        assert work(huey) == 1
        assert read_all(adapter, turn) == {"app": 0.0}
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_task_that_is_retried_later_is_not_waiting(
    huey: Any, adapter: Any, turn: EveryTurn
) -> None:
    huey.fail()
    work(huey)
    assert huey.scheduled_count() == 1
    assert read_all(adapter, turn) == {"app": 0.0}


def test_tasks_do_what_they_did(huey: Any) -> None:
    heard = []
    huey.signal(signals.SIGNAL_COMPLETE)(lambda signal, task: heard.append(task.args))
    send(huey, 0, 1, "two")
    assert [task.args for task in huey.pending()] == [(1, "two")]
    work(huey)
    assert heard == [(1, "two")]


def test_reading_changes_nothing_and_leaves_the_apps_own_connection_alone(
    huey: Any, adapter: Any, turn: EveryTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(huey, 2)
    before = huey.storage.enqueued_items()
    used: list[str] = []
    if hasattr(huey.storage, "pool"):
        monkeypatch.setattr(huey.storage.pool, "get_connection", lambda *_: used.append("app's"))
    elif hasattr(type(huey.storage), "db"):
        monkeypatch.setattr(huey.storage, "db", lambda *_, **__: used.append("app's"))
    assert_age(read_all(adapter, turn)["app"], 2)
    monkeypatch.undo()
    assert not used
    assert huey.storage.enqueued_items() == before


def test_hueys_of_one_storage_are_told_apart_by_their_names(
    make: Callable[..., Any], adapter: Any, turn: EveryTurn, kind: str
) -> None:
    if kind in ("files", "postgresql"):
        pytest.skip("these have a folder each, or are emptied by the second one")
    first, second = make("first"), make("second")
    send(first, 5)
    send(second, 2)
    ages = read_all(adapter, turn)
    assert_age(ages["first"], 5)
    assert_age(ages["second"], 2)


def test_a_huey_that_runs_its_tasks_at_once_has_no_queue(
    make: Callable[..., Any], adapter: Any
) -> None:
    huey = make(immediate=True)
    huey.nothing()
    assert adapter.sources() == []


class JsonSerializer(serializers.Serializer):
    """A class of the app's."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        from huey.registry import Message

        return Message(*json.loads(data))


SERIALIZERS = {
    "zlib": lambda: {"compression": True, "use_zlib": True},
    "gzip": lambda: {"compression": True},
    "signed": lambda: {"serializer": serializers.SignedSerializer("secret")},
    "the app's own": lambda: {"serializer": JsonSerializer()},
}


@pytest.mark.parametrize("way", SERIALIZERS)
def test_a_task_that_can_not_carry_a_time_still_works(
    way: str, make: Callable[..., Any], adapter: Any, turn: EveryTurn, kind: str
) -> None:
    huey = make(**SERIALIZERS[way]())
    send(huey, 4)
    ages = read_all(adapter, turn)
    if way == "zlib" or kind in ("files", "redis, with priorities"):
        assert_age(ages["app"], 4)
    else:
        assert ages == {}
    assert turn.counts["depth"] == {"app": 1}
    assert work(huey) == 1
    assert read_all(adapter, turn) == {"app": 0.0}


@pytest.mark.parametrize("kind", ["redis, with priorities", "sqlite", "files", "postgresql"])
def test_the_oldest_task_counts_whatever_its_priority(
    make: Callable[..., Any], adapter: Any, turn: EveryTurn
) -> None:
    huey = make()
    for minutes, priority in ((9, 1), (3, 2), (1, 7)):
        send(huey, minutes, priority=priority)
    assert_age(read_all(adapter, turn)["app"], 9)


@pytest.mark.parametrize("kind", ["redis", "redis, with priorities"])
def test_a_user_of_redis_who_may_only_read_will_do(
    make: Callable[..., Any], redis_url: str, adapter: Any, turn: EveryTurn, kind: str
) -> None:
    huey = make()
    for minutes in (6, 2):
        options = {"priority": minutes} if huey.storage.priority else {}
        send(huey, minutes, **options)
    may = ["on", ">secret", "~*", "+@read", "+@connection"]
    huey.storage.conn.execute_command("ACL", "SETUSER", "reader", *may)
    url = redis_url.replace("://", "://reader:secret@")
    adapter._hueys._found.clear()
    reader = type(huey)("app", url=url)
    [source] = adapter.sources()
    assert "secret" not in source and reader.name == "app"
    assert_age(read_all(adapter, turn)["app"], 6)


@pytest.mark.parametrize("kind", ["redis", "sqlite"])
def test_a_task_of_a_process_without_dynoscale_has_no_age(
    make: Callable[..., Any], adapter: Any, turn: EveryTurn
) -> None:
    huey = make()
    huey.storage.enqueue(pickle.dumps(huey._registry.create_message(huey.nothing.s())))
    assert read_all(adapter, turn) == {}
    assert turn.counts["depth"] == {"app": 1}
    assert work(huey) == 1


@pytest.mark.parametrize("kind", ["redis"])
def test_of_a_long_task_only_its_end_is_read(
    make: Callable[..., Any], redis_url: str, adapter: Any, turn: EveryTurn
) -> None:
    huey = make()
    for minutes in (8, 1):
        send(huey, minutes, "x" * 3_000_000)
    client = huey.storage.conn
    before = client.info("stats")["total_net_output_bytes"]
    assert_age(read_all(adapter, turn)["app"], 8)
    assert client.info("stats")["total_net_output_bytes"] - before < 500_000


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_file_that_is_not_there_is_not_made(
    make: Callable[..., Any], adapter: Any, tmp_path: Path
) -> None:
    huey = make(create_tables=False)
    failed: list[Exception] = []

    class Turn(EveryTurn):
        def failed(self, error: Exception) -> None:
            failed.append(error)

    assert read_all(adapter, Turn()) == {}
    assert [type(error).__name__ for error in failed] == ["OperationalError"]
    assert not (tmp_path / "huey.db").exists()
    assert huey.name == "app"
