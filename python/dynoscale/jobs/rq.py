"""RQ, 1.x and 2.x.

Its queues are known in Redis as a set, those that are empty too. A queue is a list of job ids, a
job a hash with the time when it was enqueued; jobs that are scheduled or retried later are in a
sorted set until they are due.
"""

from __future__ import annotations

import functools
import gc
import sys
import time
from datetime import timezone
from typing import Any, Callable, Optional

from dynoscale import _agent
from dynoscale.jobs import _redis
from dynoscale.jobs._adapter import Turn

FRONT = 32
"""Jobs at the head of a queue that are looked at. The first is the oldest unless jobs were put at
the front; they are newer than those behind them."""

_MOST_SERVERS = 16


class RQ:
    name = "rq"

    def __init__(self) -> None:
        self._followed: set[str] = set()
        self._servers: dict[tuple[Any, ...], _Server] = {}
        self._refused: set[str] = set()  # kinds of clients

    def prepare(self) -> None:
        pass

    def available(self) -> bool:
        queue_class = getattr(sys.modules.get("rq.queue"), "Queue", None)
        if queue_class is None:
            return False
        self._follow(queue_class, lambda queue: (type(queue), queue.connection))
        # From 1.14 on. The process of a pool makes no queue, and those that work it only help.
        pool_class = getattr(sys.modules.get("rq.worker_pool"), "WorkerPool", None)
        if pool_class is not None:
            self._follow(pool_class, lambda pool: (pool.queue_class, pool.connection))
        for kind in sorted(self._refused):
            _agent.warn_once(
                f"rq: queues over a {kind} are not measured; RQ's own workers need a client of one "
                "server, or of a Sentinel, too"
            )
        return bool(self._servers)

    def _follow(self, followed: Any, parts: Callable[[Any], tuple[Any, Any]]) -> None:
        """RQ keeps no list of its connections: get them from what has one, when it is made. `parts`
        are its class of queues and its connection."""
        if followed.__name__ in self._followed:
            return
        self._followed.add(followed.__name__)
        original: Callable[..., None] = followed.__init__

        @functools.wraps(original)
        def follow(made: Any, *args: Any, **kwargs: Any) -> None:
            original(made, *args, **kwargs)
            self._remember(made, parts)

        followed.__init__ = follow
        for kind in _with_subclasses(followed):  # those made earlier: looked for once
            for referrer in gc.get_referrers(kind):
                if type(referrer) is kind:
                    self._remember(referrer, parts)

    def _remember(self, made: Any, parts: Callable[[Any], tuple[Any, Any]]) -> None:
        try:
            queue_class, connection = parts(made)
            if not hasattr(connection, "connection_pool"):  # that of a cluster has many
                self._refused.add(type(connection).__qualname__)
                return
            where = (queue_class, *_redis.address(connection))
            if where not in self._servers and len(self._servers) < _MOST_SERVERS:
                self._servers[where] = _Server(queue_class, _redis.own_client(connection))
        except Exception:  # nothing that we do reaches the app
            pass

    def read(self, turn: Turn) -> dict[str, float]:
        ages: dict[str, float] = {}
        for server in list(self._servers.values()):
            try:
                found = server.read(turn)
            except Exception as error:
                turn.failed(error)
                continue
            finally:
                server.client.connection_pool.disconnect()
            for queue, age in found.items():
                ages[queue] = max(age, ages.get(queue, 0.0))
        return ages


class _Server:
    """A Redis server with queues of one class."""

    def __init__(self, queue_class: Any, client: Any) -> None:
        self.client = client
        self._prefix: str = queue_class.redis_queue_namespace_prefix
        self._queues_key: str = queue_class.redis_queues_keys
        self._job_prefix: str = queue_class.job_class.redis_job_namespace_prefix

    def read(self, turn: Turn) -> dict[str, float]:
        suspension: Any = sys.modules.get("rq.suspension")
        paused_key = getattr(suspension, "WORKERS_SUSPENDED", "rq:suspended")
        pipe = self.client.pipeline(transaction=False)
        keys, paused = pipe.smembers(self._queues_key).exists(paused_key).execute()
        texts = [key.decode("utf-8", "replace") for key in keys]
        queues = turn.choose(
            text[len(self._prefix) :] for text in texts if text.startswith(self._prefix)
        )
        if paused or not queues:
            return {}

        now = time.time()
        for queue in queues:
            pipe.lrange(self._prefix + queue, 0, FRONT)
            scheduled = f"rq:scheduled:{queue}"
            pipe.zrangebyscore(scheduled, "-inf", now, start=0, num=1, withscores=True)
        answers = pipe.execute()
        heads, due = answers[0::2], answers[1::2]

        for job in (job for head in heads for job in head[:FRONT]):
            pipe.hmget(self._job_prefix.encode() + job, "enqueued_at", "created_at")
        times = iter(pipe.execute() if any(heads) else [])
        ages = {}
        for queue, head, scheduled_jobs in zip(queues, heads, due):
            found = [_enqueued_at(*next(times)) for _ in head[:FRONT]]
            ready = [at for at in found if at is not None]
            ready += [score for _, score in scheduled_jobs]
            # Ids whose jobs are gone are no jobs; but what is behind so many is not known.
            if ready or len(head) <= FRONT:
                ages[queue] = (now - min(ready, default=now)) * 1000
        return ages


def _enqueued_at(enqueued: Optional[bytes], created: Optional[bytes]) -> Optional[float]:
    """In epoch seconds; None where there is no such job any more."""
    text = enqueued or created
    if not text:
        return None
    moment = sys.modules["rq.utils"].utcparse(text.decode())
    return float((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


def _with_subclasses(kind: Any) -> list[Any]:
    kinds = [kind]
    for subclass in kind.__subclasses__():
        kinds += _with_subclasses(subclass)
    return kinds


adapter = RQ()
