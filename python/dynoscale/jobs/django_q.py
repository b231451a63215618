"""Django-Q, with Redis or Django's ORM as its broker.

A cluster has one queue, which is called as the cluster is. Schedules count once the cluster has
made tasks of them, which it does twice a minute. Neither broker tells a task that is being worked on
from one that failed and will be tried again.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from inspect import signature
from typing import Any, Iterable, Optional

from dynoscale.jobs import _redis
from dynoscale.jobs._adapter import Turn

STATEMENT_TIMEOUT_MS = 5000

_lists = _redis.Lists()


class DjangoQ:
    name = "django_q"

    def prepare(self) -> None:
        pass

    def loaded(self, module: str) -> None:
        pass

    def sources(self) -> list[str]:
        registry: Any = sys.modules.get("django.apps.registry")
        if registry is None or not registry.apps.ready or _broker_module() not in _READERS:
            return []
        return [_cluster()]

    def read(self, turn: Turn, sources: Iterable[str]) -> dict[str, float]:
        queue = _cluster()
        if not turn.choose([queue]):
            return {}
        ready, depth = _READERS[_broker_module()]()
        turn.count("depth", queue, depth)
        now = time.time()
        return {queue: 0.0 if ready is None else (now - ready) * 1000}


def _cluster() -> str:
    conf = import_module("django_q.conf").Conf
    return str(getattr(conf, "CLUSTER_NAME", conf.PREFIX))  # before 1.4 it is the prefix


def _broker_module() -> str:
    """Of the broker that the app has set, in the order in which Django-Q looks: "" where it is none
    of ours. To make one of those may connect to its service, and create a queue there."""
    conf = import_module("django_q.conf").Conf
    if conf.BROKER_CLASS:
        return str(conf.BROKER_CLASS).rpartition(".")[0]
    if any(getattr(conf, name, None) for name in ("DISQUE_NODES", "IRON_MQ")):
        return ""
    if isinstance(getattr(conf, "SQS", None), dict):
        return ""
    if conf.ORM:
        return "django_q.brokers.orm"
    return "" if getattr(conf, "MONGO", None) else "django_q.brokers.redis_broker"


def _oldest_in_redis() -> tuple[Optional[float], int]:
    """Epoch seconds, and how many tasks there are. A task is signed with its time, in whole seconds:
    it need not be unpacked, which would run code of the app's."""
    broker = import_module("django_q.brokers").get_broker()  # connects at its first use
    client = _redis.own_client(broker.connection)
    lengths: dict[str, int] = {}
    try:
        [tasks] = _lists.read(client, [(broker.list_key, 0, 0)], lengths)
    finally:
        client.connection_pool.disconnect()
    if tasks is None:
        raise TypeError(f"the key {broker.list_key} is no list")
    depth = lengths[broker.list_key]
    if not tasks:
        return None, depth
    stamp = tasks[0].decode("ascii", "replace").rsplit(":", 2)[1]
    return float(_base62(stamp) + 1), depth  # that second's end: at most the true age


def _base62(text: str) -> int:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in text:
        number = number * 62 + digits.index(digit)
    return number


def _oldest_in_database() -> tuple[Optional[float], int]:
    """Epoch seconds, and how many tasks are ready. A task is locked until it is tried again, and at
    first as if that were now: the lock tells when it became due. Django-Q itself writes down when
    that time began, and calls a moment that is past its time-out; Django-Q2, which took its name
    over, writes down the end."""
    db: Any = import_module("django.db")
    timezone: Any = import_module("django.utils.timezone")
    conf = import_module("django_q.conf").Conf
    list_key = signature(import_module("django_q.brokers").get_broker).parameters["list_key"].default
    now = timezone.now()
    time_out = getattr(import_module("django_q.brokers.orm"), "_timeout", timezone.now)
    due_before = min(now, time_out())
    db.connections[_ALIAS] = connection = _own_connection(db, conf.ORM)  # this thread's alone
    try:
        with db.transaction.atomic(using=_ALIAS):
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            tasks = import_module("django_q.models").OrmQ.objects.using(_ALIAS)
            ready = tasks.filter(key=list_key or _cluster(), lock__lte=due_before)
            found = ready.aggregate(oldest=db.models.Min("lock"), depth=db.models.Count("id"))
    finally:
        connection.close()
        del db.connections[_ALIAS]
    oldest, depth = found["oldest"], int(found["depth"])
    return None if oldest is None else float((oldest + (now - due_before)).timestamp()), depth


_ALIAS = "dynoscale"


def _own_connection(db: Any, alias: str) -> Any:
    """To the database of that alias, and none of the pool that requests may be waiting for."""
    settings = dict(db.connections[alias].settings_dict)
    options = dict(settings.get("OPTIONS") or {})
    options.pop("pool", None)
    if db.connections[alias].vendor == "postgresql":
        options.setdefault("connect_timeout", STATEMENT_TIMEOUT_MS // 1000)
    settings.update(OPTIONS=options, CONN_MAX_AGE=0, ATOMIC_REQUESTS=False)
    return db.utils.load_backend(settings["ENGINE"]).DatabaseWrapper(settings, _ALIAS)


_READERS = {
    "django_q.brokers.orm": _oldest_in_database,
    "django_q.brokers.redis_broker": _oldest_in_redis,
}

adapter = DjangoQ()
