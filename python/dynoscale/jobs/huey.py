"""Huey 2 and later, with Redis, SQLite, PostgreSQL or files as its storage.

A Huey has one queue, which is called as it is. Redis with priorities and files keep the time of a
task; for the others every process that imports dynoscale adds it behind the task: pickle ignores
what follows. Where tasks are signed, compressed by gzip or made by a serializer of the app's own,
that can't be done, and nothing is reported of a queue that is not empty.

Tasks that are scheduled are in a table of their own until they are due, and a consumer looks.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import time
from importlib import import_module
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Optional

from dynoscale.jobs import _redis
from dynoscale.jobs._adapter import Turn
from dynoscale.jobs._instances import Instances, wrap

_MARK = b"dynoscale"
_STAMP = struct.Struct(f">{len(_MARK)}sQ")
"""What is added behind a task: the mark, and the time in epoch ms."""


class Waiting(NamedTuple):
    """What waits in a queue."""

    ready: int
    """Tasks in the queue."""
    due: int
    """Tasks that are scheduled, and due."""
    oldest: Optional[float]
    """Epoch seconds since when the oldest task is in the queue; None where that is not told."""
    oldest_due: Optional[float]
    """Epoch seconds of the first that is due."""


class Huey:
    name = "huey"

    def __init__(self) -> None:
        self._hueys = Instances()
        self._lists: dict[str, _redis.Lists] = {}  # by server: scripts may be refused by one

    def prepare(self) -> None:
        if "huey.api" in sys.modules:
            self._follow(made_earlier=True)

    def loaded(self, module: str) -> None:
        self._follow(made_earlier=False)

    def _follow(self, made_earlier: bool) -> None:
        kind = getattr(sys.modules.get("huey.api"), "Huey", None)
        if kind is None:
            return
        self._hueys.follow(kind, made_earlier)

        def serialize_task(original: Any, huey: Any, task: Any) -> Any:
            self._hueys.remember(huey)
            data = original(huey, task)
            return _stamped(data) if _ignores_what_follows(huey.serializer) else data

        wrap(kind, "serialize_task", serialize_task)

    def sources(self) -> list[str]:
        return sorted(self._storages())

    def _storages(self) -> dict[str, Any]:
        """A Huey for each storage and name: there may be many of the same."""
        return {
            source: huey
            for huey in self._hueys.living()
            if (source := _source(huey)) is not None
        }

    def read(self, turn: Turn, sources: Iterable[str]) -> dict[str, float]:
        storages = self._storages()
        ages: dict[str, float] = {}
        for huey in [storages[source] for source in sources if source in storages]:
            if not turn.choose([huey.name]):
                continue
            try:
                waiting = self._read(huey)
            except Exception as error:
                turn.failed(error)
                continue
            queue = str(huey.name)
            turn.count("depth", queue, waiting.ready + waiting.due)
            if waiting.ready and waiting.oldest is None:
                continue
            now = time.time()
            since = [at for at in (waiting.oldest, waiting.oldest_due) if at is not None]
            ages[queue] = max((now - min(since, default=now)) * 1000, ages.get(queue, 0.0))
        return ages

    def _read(self, huey: Any) -> Waiting:
        # As Huey has it: a moment without a zone, read as one of this machine's.
        moment = huey._get_timestamp()
        ahead = moment.timestamp() - time.time()
        kind = _kind(huey.storage)
        if kind == "RedisStorage":
            lists = self._lists.setdefault(str(_source(huey)), _redis.Lists())
            return _read_redis(huey.storage, moment.timestamp(), ahead, lists)
        if kind == "FileStorage":
            return _read_files(huey.storage, moment.timestamp(), ahead)
        return _read_database(huey.storage, kind, moment.timestamp(), ahead)


def _kind(storage: Any) -> Optional[str]:
    """Which of Huey's storages it is, or is made from."""
    for kind in type(storage).__mro__:
        if kind.__module__ == "huey.storage" and kind.__name__ in _SOURCES:
            return kind.__name__
    return None


_SOURCES: dict[str, Callable[[Any], str]] = {
    # of each: what tells one from another
    "FileStorage": lambda storage: str(os.path.abspath(storage.path)),
    "PostgresStorage": lambda storage: f"{storage.table_task} {_database_of(storage)}",
    "RedisStorage": lambda storage: str(_redis.address(storage.conn)),
    "SqliteStorage": lambda storage: str(os.path.abspath(storage.filename)),
}


def _source(huey: Any) -> Optional[str]:
    """Without secrets; None where there is nothing that another process could read."""
    storage: Any = getattr(huey, "storage", None)
    kind = None if huey.immediate or storage is None else _kind(storage)
    if kind is None or getattr(storage, "filename", "") == ":memory:":
        return None
    return f"{kind} {_SOURCES[kind](storage)} {storage.name}"


# ---- The time of a task ----


def _ignores_what_follows(serializer: Any) -> bool:
    kind = import_module("huey.serializer").Serializer
    return type(serializer) is kind and (not serializer.comp or serializer.use_zlib)


def _stamped(data: bytes) -> bytes:
    return data + _STAMP.pack(_MARK, int(time.time() * 1000))


def _stamp_of(data: bytes) -> Optional[float]:
    end = bytes(data[-_STAMP.size :])
    if len(end) < _STAMP.size or not end.startswith(_MARK):
        return None
    return float(_STAMP.unpack(end)[1] / 1000)


# ---- Redis ----


def _read_redis(storage: Any, now: float, ahead: float, lists: _redis.Lists) -> Waiting:
    client = _redis.own_client(storage.conn)
    try:
        pipe = client.pipeline(transaction=False)
        pipe.zcount(storage.schedule_key, "-inf", now)
        pipe.zrange(storage.schedule_key, 0, 0, withscores=True)
        if storage.priority:
            pipe.zcard(storage.queue_key)
        else:
            pipe.llen(storage.queue_key)
        due, scheduled, ready = pipe.execute()
        if storage.priority:
            oldest = _oldest_of_priorities(client, storage.queue_key)
        else:
            [tasks] = lists.read(client, [(storage.queue_key, -1, -1)])
            oldest = _stamp_of(tasks[0]) if tasks else None
        oldest_due = float(scheduled[0][1]) - ahead if due else None
        return Waiting(ready, due, oldest, oldest_due)
    finally:
        client.connection_pool.disconnect()


PRIORITIES = 20
"""Of one queue, that are looked at."""

# The beginning of the first task of each priority: those of one are in the order of their times.
_FIRST_OF_EACH = """
local from, texts = '-inf', {}
for i = 1, tonumber(ARGV[1]) do
    local first = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if #first == 0 then break end
    texts[i], from = string.sub(first[1], 1, 8), '(' .. first[2]
end
return texts
"""


def _oldest_of_priorities(client: Any, key: str) -> Optional[float]:
    """Before a task is Huey's own time, in µs."""
    try:
        texts = client.eval(_FIRST_OF_EACH, 1, key, PRIORITIES)
    except Exception as error:
        if not _redis.is_not_permitted(error):
            raise
        texts, after = [], "-inf"
        while len(texts) < PRIORITIES:
            first = client.zrangebyscore(key, after, "+inf", start=0, num=1, withscores=True)
            if not first:
                break
            texts.append(first[0][0])
            after = f"({first[0][1]!r}"
    times = [struct.unpack(">Q", text[:8])[0] / 1e6 for text in texts if len(text) >= 8]
    return min(times, default=None)


# ---- Files ----


def _read_files(storage: Any, now: float, ahead: float) -> Waiting:
    """By their names alone: PRIORITY-TIME and TIME, in ms, in hexadecimal digits."""
    queue = _names(storage.queue_path)
    times = [int(name.partition("-")[2][:12], 16) / 1000 for name in queue]
    scheduled = [int(name[:12], 16) / 1000 for name in _names(storage.schedule_path)]
    due = [at for at in scheduled if at <= now]
    oldest_due = min(due) - ahead if due else None
    return Waiting(len(queue), len(due), min(times, default=None), oldest_due)


def _names(path: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if not name.endswith(".tmp")]
    except FileNotFoundError:  # before the first task
        return []


# ---- Databases ----


def _read_database(storage: Any, kind: Optional[str], now: float, ahead: float) -> Waiting:
    is_sqlite = kind == "SqliteStorage"
    task, schedule, mark = ("task", "schedule", "?")
    if not is_sqlite:
        task, schedule, mark = (storage.table_task, storage.table_schedule, "%s")
    end = f"substr(data, length(data) - {_STAMP.size - 1})"  # of both databases
    with _sqlite(storage) if is_sqlite else _postgresql(storage) as connection:
        cursor = connection.cursor()
        cursor.execute(f"select count(*) from {task} where queue = {mark}", (storage.name,))
        [ready] = cursor.fetchone()
        cursor.execute(
            f"select {end} from {task} where queue = {mark} order by id limit 1",
            (storage.name,),
        )
        first = cursor.fetchone()
        cursor.execute(
            f"select count(*), min(timestamp) from {schedule} "
            f"where queue = {mark} and timestamp <= {mark}",
            (storage.name, now),
        )
        due, oldest_due = cursor.fetchone()
    oldest = None if first is None else _stamp_of(first[0])
    return Waiting(ready, due, oldest, None if oldest_due is None else oldest_due - ahead)


@contextlib.contextmanager
def _sqlite(storage: Any) -> Iterator[Any]:
    """Its file, opened to be read only, and not made where it is not there yet."""
    path = os.path.abspath(storage.filename)
    sqlite = import_module("sqlite3")
    address = f"file:{import_module('urllib.parse').quote(path)}?mode=ro"
    with contextlib.closing(sqlite.connect(address, uri=True, timeout=_redis.TIMEOUT)) as connection:
        yield connection


def _database_of(storage: Any) -> str:
    """Host, port and name. Without secrets."""
    if storage.connection is not None:
        return str(id(storage.connection))
    given = dict(storage.connection_params)
    if storage.dsn:
        given.update(import_module("psycopg.conninfo").conninfo_to_dict(storage.dsn))
    return " ".join(str(given.get(name, "")) for name in ("host", "port", "dbname"))


@contextlib.contextmanager
def _postgresql(storage: Any) -> Iterator[Any]:
    """A connection that is made as Huey makes its own."""
    milliseconds = int(_redis.TIMEOUT * 1000)
    with contextlib.closing(storage._connect()) as connection:
        connection.execute(f"SET statement_timeout = {milliseconds}")
        connection.execute("SET default_transaction_read_only = on")
        yield connection


adapter = Huey()
