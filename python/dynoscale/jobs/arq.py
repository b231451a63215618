"""arq, whose queues are in Redis.

A queue is a sorted set of job ids by the time when they are due, in ms. A job stays there until it
is done; while a worker works on it there is a key with its name.
"""

from __future__ import annotations

import copy
import sys
import time
from importlib import import_module
from typing import Any, Iterable, NamedTuple, Optional

from dynoscale import _agent, jobs
from dynoscale.jobs import _redis
from dynoscale.jobs._adapter import Turn
from dynoscale.jobs._instances import Instances, wrap

FRONT = 1000
"""Jobs at the head of a queue that are looked at, for one that nobody works on yet."""

_MOST_SERVERS = 16
_MOST_NAMES = 1000

_CLASSES = {"arq.connections": "ArqRedis", "arq.worker": "Worker"}


class _Server(NamedTuple):
    """A Redis server, which is known from an app's client that may be gone."""

    client: Any
    queues: set[str]


class Arq:
    name = "arq"

    def __init__(self) -> None:
        self._instances = Instances()
        self._servers: dict[str, _Server] = {}

    def prepare(self) -> None:
        for module in _CLASSES:
            if module in sys.modules:
                self._follow(module, made_earlier=True)

    def loaded(self, module: str) -> None:
        self._follow(module, made_earlier=False)

    def _follow(self, module: str, made_earlier: bool) -> None:
        kind = getattr(sys.modules[module], _CLASSES[module], None)
        if kind is None:
            return
        self._instances.follow(kind, made_earlier)

        def enqueue_job(original: Any, client: Any, *args: Any, **kwargs: Any) -> Any:
            self._note(client, kwargs.get("_queue_name"))
            return original(client, *args, **kwargs)

        wrap(kind, "enqueue_job", enqueue_job)

    def sources(self) -> list[str]:
        for made in self._instances.living():
            if hasattr(made, "connection_pool"):
                self._note(made, None)
            elif hasattr(getattr(made, "_pool", None), "connection_pool"):  # a worker's
                self._note(made._pool, made.queue_name)
        return sorted(self._servers)

    def _note(self, client: Any, queue: Optional[str]) -> None:
        """Nothing that goes wrong here reaches the app."""
        try:
            source = str(_redis.address(client))
            server = self._servers.get(source)
            if server is None:
                if len(self._servers) >= _MOST_SERVERS:
                    return
                server = _Server(_redis.own_client(_blocking(client)), set())
                self._servers[source] = server
                jobs.wake()
            if len(server.queues) < _MOST_NAMES:
                server.queues.add(str(queue or client.default_queue_name))
        except Exception as error:
            _agent.warn_once(f"arq: queues of one server are not measured: {type(error).__name__}")

    def read(self, turn: Turn, sources: Iterable[str]) -> dict[str, float]:
        ages: dict[str, float] = {}
        for server in [self._servers[source] for source in sources]:
            queues = turn.choose(server.queues.copy())
            if not queues:
                continue
            try:
                found = _read(server.client, queues, turn)
            except Exception as error:
                turn.failed(error)
                continue
            finally:
                server.client.connection_pool.disconnect()
            for queue, age in found.items():
                ages[queue] = max(age, ages.get(queue, 0.0))
        return ages


def _read(client: Any, queues: list[str], turn: Turn) -> dict[str, float]:
    in_progress = import_module("arq.constants").in_progress_key_prefix.encode()
    now = time.time() * 1000
    pipe = client.pipeline(transaction=False)
    for queue in queues:
        pipe.zrangebyscore(queue, "-inf", now, start=0, num=FRONT, withscores=True)
        pipe.zcount(queue, "-inf", now)
    answers = _redis.checked(_redis.execute(pipe))
    # A key of another type hides its own queue alone.
    known = [
        (queue, head, ready)
        for queue, head, ready in zip(queues, answers[0::2], answers[1::2])
        if head is not _redis.WRONG_TYPE
    ]
    for _, head, _ in known:
        if head:
            pipe.mget([in_progress + job for job, _ in head])
    marks = iter(_redis.checked(_redis.execute(pipe)) if len(pipe) else [])

    ages = {}
    for queue, head, ready in known:
        begun = next(marks) if head else []
        working = sum(mark is not None for mark in begun)
        turn.count("depth", queue, ready - working)
        turn.count("working", queue, working)
        waiting = next((due for (_, due), mark in zip(head, begun) if mark is None), None)
        if waiting is not None:
            ages[queue] = now - waiting
        elif ready <= len(head):
            ages[queue] = 0.0
    return ages


# ---- A client that waits for its answers, made from one of asyncio's ----


class _Client:
    """What ``own_client`` wants of a client."""

    def __init__(self, pool: Any) -> None:
        self.connection_pool = pool


_CONNECTIONS = ("Connection", "SSLConnection", "UnixDomainSocketConnection")


def _blocking(client: Any) -> Any:
    """The same settings for connections without asyncio."""
    theirs = client.connection_pool
    if hasattr(theirs, "sentinel_manager"):
        return _through_sentinels(theirs)
    pool = copy.copy(theirs)
    pool.connection_class = _blocking_class(theirs.connection_class)
    pool.connection_kwargs = _settings(theirs.connection_kwargs)
    return _Client(pool)


def _blocking_class(kind: Any) -> Any:
    """Of redis-py's own classes, also where the app has made one from them."""
    for base in kind.__mro__:
        if base.__module__ == "redis.asyncio.connection" and base.__name__ in _CONNECTIONS:
            return getattr(import_module("redis.connection"), base.__name__)
    raise TypeError(f"{kind.__qualname__} is no connection of redis-py's")


_KEPT = (
    *("host", "port", "path", "db", "username", "password", "credential_provider"),
    *("socket_timeout", "socket_connect_timeout", "protocol"),
    *("ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_data"),
    *("ssl_check_hostname", "ssl_min_version", "ssl_ciphers"),
)


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in _KEPT if given.get(name) is not None}


def _through_sentinels(pool: Any) -> Any:
    sentinel = import_module("redis.sentinel")
    manager = pool.sentinel_manager
    first: Optional[Any] = next(iter(manager.sentinels), None)
    if first is None:
        raise TypeError("there is no Sentinel")
    addresses = [
        (given["host"], given["port"])
        for given in (each.connection_pool.connection_kwargs for each in manager.sentinels)
    ]
    settings = _settings(pool.connection_kwargs)
    uses_tls = "SSL" in pool.connection_class.__name__
    theirs = _settings(first.connection_pool.connection_kwargs)
    for name in ("host", "port"):
        theirs.pop(name, None)
        settings.pop(name, None)
    if uses_tls:
        settings["ssl"] = theirs["ssl"] = True
    blocking = sentinel.Sentinel(addresses, sentinel_kwargs=theirs, **settings)
    return blocking.master_for(pool.service_name)


adapter = Arq()
