"""Django-Q, with Redis or Django's ORM as its broker.

A cluster has one queue, which is called as the cluster is. Schedules count once the cluster has
made tasks of them, which it does twice a minute.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any, Optional

from dynoscale.jobs import _redis
from dynoscale.jobs._adapter import Turn

STATEMENT_TIMEOUT_MS = 5000


class DjangoQ:
    name = "django_q"

    def prepare(self) -> None:
        pass

    def available(self) -> bool:
        registry: Any = sys.modules.get("django.apps.registry")
        if registry is None or not registry.apps.ready:
            return False
        return _broker_module() in _READERS

    def read(self, turn: Turn) -> dict[str, float]:
        conf = import_module("django_q.conf").Conf
        queue = getattr(conf, "CLUSTER_NAME", conf.PREFIX)  # before 1.4 it is the prefix
        if not turn.choose([queue]):
            return {}
        ready = _READERS[_broker_module()](_broker())
        now = time.time()
        return {queue: 0.0 if ready is None else (now - ready) * 1000}


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


def _broker() -> Any:
    """As the app has it set; one of ours connects when it is first used."""
    return import_module("django_q.brokers").get_broker()


def _oldest_in_redis(broker: Any) -> Optional[float]:
    """Epoch seconds. A task is signed with its time, in whole seconds: it need not be unpacked,
    which would run code of the app's."""
    client = _redis.own_client(broker.connection)
    try:
        task = client.lindex(broker.list_key, 0)
    finally:
        client.connection_pool.disconnect()
    if task is None:
        return None
    stamp = task.decode().rsplit(":", 2)[1]
    return float(_base62(stamp) + 1)  # the end of that second: no task looks older than it is


def _base62(text: str) -> int:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in text:
        number = number * 62 + digits.index(digit)
    return number


def _oldest_in_database(broker: Any) -> Optional[float]:
    """Epoch seconds. A task is locked until it is tried again, and at first as if that were now:
    the lock tells when it became due. Django-Q itself writes down when that time began, and calls a
    moment that is past its time-out; Django-Q2, which took its name over, writes down the end."""
    db: Any = import_module("django.db")
    timezone: Any = import_module("django.utils.timezone")
    tasks = broker.get_connection()
    connection = db.connections[tasks.db]
    now = timezone.now()
    time_out = getattr(sys.modules[type(broker).__module__], "_timeout", timezone.now)
    due_before = min(now, time_out())
    try:
        with db.transaction.atomic(using=tasks.db):
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            ready = tasks.filter(key=broker.list_key, lock__lte=due_before)
            oldest = ready.aggregate(oldest=db.models.Min("lock"))["oldest"]
    finally:
        connection.close()  # this thread's own
    return None if oldest is None else float((oldest + (now - due_before)).timestamp())


_READERS = {
    "django_q.brokers.orm": _oldest_in_database,
    "django_q.brokers.redis_broker": _oldest_in_redis,
}

adapter = DjangoQ()
