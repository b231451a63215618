"""RQ, 1.x and 2.x.

Its queues are known in Redis as a set, those that are empty too. A queue is a list of job ids, a
job a hash with the time when it was enqueued; jobs that are scheduled or retried later are in a
sorted set until they are due, those that are being worked on in another one.
"""

from __future__ import annotations

import functools
import sys
import time
from datetime import timezone
from typing import Any, Callable, Iterable, NamedTuple, Optional

from dynoscale import _agent, jobs
from dynoscale.jobs import _redis
from dynoscale.jobs._adapter import Turn
from dynoscale.jobs._instances import named

FRONT = 32
"""Jobs at the head of a queue that are looked at. The first is the oldest unless jobs were put at
the front; they are newer than those behind them."""

_MOST_SERVERS = 16

Parts = Callable[[Any], "tuple[Any, Any]"]
"""Of an object with a connection: the class of its queues, and the connection."""

# From 1.14 on there are pools. The process of a pool makes no queue, and those that work it only
# help.
FOLLOWED: dict[str, tuple[str, Parts]] = {
    "rq.queue": ("Queue", lambda queue: (type(queue), queue.connection)),
    "rq.worker_pool": ("WorkerPool", lambda pool: (pool.queue_class, pool.connection)),
}


WORKER = "rq.worker"


def _follow_work_horses(worker_class: Any) -> None:
    """The process of a job ends by os._exit: what the job recorded is sent when it is done."""
    original: Any = getattr(worker_class, "perform_job", None)
    if original is None or hasattr(original, "_dynoscale"):
        return

    @functools.wraps(original)
    def perform_job(worker: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(worker, *args, **kwargs)
        finally:
            if getattr(worker, "_is_horse", False):
                _agent.send_before_exit()

    perform_job._dynoscale = True  # type: ignore[attr-defined]
    worker_class.perform_job = perform_job


class RQ:
    name = "rq"

    def __init__(self) -> None:
        self._followed: set[str] = set()
        self._servers: dict[str, _Server] = {}
        self._refused: set[str] = set()  # kinds of clients
        # Classes whose instances are still to be looked for.
        self._made_earlier: list[tuple[Any, Parts]] = []

    def prepare(self) -> None:
        """Imported before us: what was made until now is found where it is kept, or at its use."""
        for module in (*FOLLOWED, WORKER):
            if module in sys.modules:
                self.loaded(module)
        self._made_earlier = [
            (kind, parts)
            for module, (name, parts) in FOLLOWED.items()
            if (kind := getattr(sys.modules.get(module), name, None)) is not None
        ]

    def loaded(self, module: str) -> None:
        """A module of FOLLOWED was imported, and nobody has used it yet."""
        if module == WORKER:
            _follow_work_horses(getattr(sys.modules[module], "Worker", None))
            return
        class_name, parts = FOLLOWED[module]
        followed = getattr(sys.modules.get(module), class_name, None)
        if followed is None or class_name in self._followed:
            return
        self._followed.add(class_name)
        self._follow(followed, "__init__", parts)
        if hasattr(followed, "push_job_id"):  # at each job that is enqueued
            self._follow(followed, "push_job_id", parts)

    def sources(self) -> list[str]:
        for module in FOLLOWED:
            self.loaded(module)
        self._find_made_earlier()
        for kind in sorted(self._refused):
            _agent.warn_once(
                f"rq: queues over a {kind} are not measured; RQ's own workers need a client of one "
                "server, or of a Sentinel, too"
            )
        return sorted(self._servers)

    def _follow(self, followed: Any, method: str, parts: Parts) -> None:
        """RQ keeps no list of its connections: get them from what has one, when it is made or
        used."""
        original: Callable[..., Any] = getattr(followed, method)

        @functools.wraps(original)
        def follow(made: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(made, *args, **kwargs)
            self._remember(made, parts)
            return result

        setattr(followed, method, follow)

    def _find_made_earlier(self) -> None:
        """Once, and only among what modules have by a name."""
        wanted, self._made_earlier = self._made_earlier, []
        for made in named(kind for kind, _ in wanted):
            for kind, parts in wanted:
                if issubclass(type(made), kind):
                    self._remember(made, parts)

    def _remember(self, made: Any, parts: Parts) -> None:
        try:
            queue_class, connection = parts(made)
            if not hasattr(connection, "connection_pool"):  # that of a cluster has many
                self._refused.add(type(connection).__qualname__)
                return
            where = f"{queue_class.__qualname__} {_redis.address(connection)}"
            if where not in self._servers and len(self._servers) < _MOST_SERVERS:
                self._servers[where] = _Server(queue_class, _redis.own_client(connection))
                jobs.wake()
        except Exception:  # nothing that we do reaches the app
            pass

    def read(self, turn: Turn, sources: Iterable[str]) -> dict[str, float]:
        ages: dict[str, float] = {}
        counted: set[Any] = set()
        for server in [self._servers[source] for source in sources]:
            try:
                found = server.read(turn, counted)
            except Exception as error:
                turn.failed(error)
                continue
            finally:
                server.client.connection_pool.disconnect()
            for queue, age in found.items():
                ages[queue] = max(age, ages.get(queue, 0.0))
        return ages


class _Row(NamedTuple):
    """What Redis answers about a queue; WRONG_TYPE in place of what is kept under another type."""

    queue: str
    head: Any
    """Ids of the first jobs, one more than FRONT."""
    due: Any
    """The first of the scheduled jobs that are due, with its time."""
    waiting: Any
    due_jobs: Any
    working: Any


class _Server:
    """A Redis server with queues of one class."""

    def __init__(self, queue_class: Any, client: Any) -> None:
        self.client = client
        self._address = _redis.address(client)
        self._prefix: str = queue_class.redis_queue_namespace_prefix
        self._queues_key: str = queue_class.redis_queues_keys
        self._job_prefix: str = queue_class.job_class.redis_job_namespace_prefix

    def read(self, turn: Turn, counted: set[Any]) -> dict[str, float]:
        """``counted``: the keys whose jobs were counted, of queues of another class for example."""
        pipe = self.client.pipeline(transaction=False)
        queues, paused = self._find(pipe, turn)
        if not queues:
            return {}
        now = time.time()
        rows = self._read_queues(pipe, queues, now)
        for row in rows:
            self._count(row, turn, counted, paused)
        return {} if paused else self._read_ages(pipe, rows, now)

    def _find(self, pipe: Any, turn: Turn) -> tuple[list[str], bool]:
        """The queues to read, and whether RQ's workers are suspended."""
        suspension: Any = sys.modules.get("rq.suspension")
        paused_key = getattr(suspension, "WORKERS_SUSPENDED", "rq:suspended")
        keys, paused = pipe.smembers(self._queues_key).exists(paused_key).execute()
        texts = [key.decode("utf-8", "replace") for key in keys]
        names = (text[len(self._prefix) :] for text in texts if text.startswith(self._prefix))
        return turn.choose(names), bool(paused)

    def _read_queues(self, pipe: Any, queues: list[str], now: float) -> list[_Row]:
        for queue in queues:
            scheduled = f"rq:scheduled:{queue}"
            pipe.lrange(self._prefix + queue, 0, FRONT)
            pipe.zrangebyscore(scheduled, "-inf", now, start=0, num=1, withscores=True)
            pipe.llen(self._prefix + queue)
            pipe.zcount(scheduled, "-inf", now)
            # Those that have begun, until they end or their time is over.
            pipe.zcount(f"rq:wip:{queue}", now, "+inf")
        answers = _redis.checked(_redis.execute(pipe))
        return [_Row(queue, *answers[5 * i : 5 * i + 5]) for i, queue in enumerate(queues)]

    def _count(self, row: _Row, turn: Turn, counted: set[Any], paused: bool) -> None:
        place = (self._address, self._prefix, row.queue)
        if place in counted:
            return
        counted.add(place)
        if row.working is not _redis.WRONG_TYPE:
            turn.count("working", row.queue, row.working)
        if not paused and _redis.WRONG_TYPE not in (row.waiting, row.due_jobs):
            turn.count("depth", row.queue, row.waiting + row.due_jobs)

    def _read_ages(self, pipe: Any, rows: list[_Row], now: float) -> dict[str, float]:
        # A key of another type hides its own queue alone.
        known = [row for row in rows if _redis.WRONG_TYPE not in (row.head, row.due)]
        for job in (job for row in known for job in row.head[:FRONT]):
            pipe.hmget(self._job_prefix.encode() + job, "enqueued_at", "created_at")
        times = iter(_redis.checked(_redis.execute(pipe)) if len(pipe) else [])
        ages = {}
        for row in known:
            found = [_enqueued_at(next(times)) for _ in row.head[:FRONT]]
            ready = [at for at in found if at is not None]
            ready += [score for _, score in row.due]
            # Ids whose jobs are gone are no jobs; but what is behind so many is not known.
            if ready or len(row.head) <= FRONT:
                ages[row.queue] = (now - min(ready, default=now)) * 1000
        return ages


def _enqueued_at(times: Any) -> Optional[float]:
    """In epoch seconds, of when it was enqueued and made; None where there is no such job any more,
    or where its times can't be read."""
    text = None if times is _redis.WRONG_TYPE else times[0] or times[1]
    if not text:
        return None
    try:
        moment = sys.modules["rq.utils"].utcparse(text.decode())
    except ValueError:
        return None
    return float((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


adapter = RQ()
