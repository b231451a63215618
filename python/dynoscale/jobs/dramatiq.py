"""Dramatiq, with Redis or RabbitMQ as its broker.

Redis: a queue is a list of ids, with a hash of messages; one more of both, ``QUEUE.DQ``, is for
those that are delayed, which workers take out to wait for their time. A message has the time when it
was made, which is too early for one that was delayed or is retried. Every process that imports
dynoscale adds the time when it becomes ready, as an option, and the worker that moves a delayed
message to its queue renews it.

RabbitMQ: the queues are
asked for their depth; the age of a head is only known to the management API, where there is one.
Neither tells which of the messages that a worker has fetched are being worked on.
"""

from __future__ import annotations

import json
import re
import sys
import time
from importlib import import_module
from typing import Any, Iterable, Optional

from dynoscale import _agent
from dynoscale.jobs import _pika, _redis
from dynoscale.jobs._adapter import Turn
from dynoscale.jobs._instances import Instances, wrap

READY_AT = "dynoscale_ready_at_ms"
"""When a message becomes ready, in epoch ms: an option of the message."""

FRONT = 16
"""Messages at the head of a queue that are looked at. Those that a worker puts back are behind
younger ones."""

_BROKERS = {
    "dramatiq.brokers.rabbitmq": "RabbitmqBroker",
    "dramatiq.brokers.redis": "RedisBroker",
}


class Dramatiq:
    name = "dramatiq"

    def __init__(self) -> None:
        self._brokers = Instances()
        self._hashes: dict[str, _redis.Hashes] = {}  # by server: scripts may be refused by one

    def prepare(self) -> None:
        for module in _BROKERS:
            if module in sys.modules:
                self._follow(module, made_earlier=True)

    def loaded(self, module: str) -> None:
        self._follow(module, made_earlier=False)

    def _follow(self, module: str, made_earlier: bool) -> None:
        kind = getattr(sys.modules[module], _BROKERS[module], None)
        if kind is None:
            return
        self._brokers.follow(kind, made_earlier)

        is_redis = module == "dramatiq.brokers.redis"

        def enqueue(original: Any, broker: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
            self._brokers.remember(broker)
            message = _stamped(message, kwargs.get("delay")) if is_redis else message
            return original(broker, message, *args, **kwargs)

        wrap(kind, "enqueue", enqueue)
        if not is_redis:
            _pika.stamp_messages(kind)

    def sources(self) -> list[str]:
        return sorted(set(map(_source, self._readable())))

    def _readable(self) -> list[Any]:
        brokers = []
        for broker in self._brokers.living():
            client = getattr(broker, "client", None)
            if client is not None and not hasattr(client, "connection_pool"):  # of a cluster
                kind = type(client).__qualname__
                _agent.warn_once(f"dramatiq: queues over a {kind} are not measured")
            else:
                brokers.append(broker)
        return brokers

    def read(self, turn: Turn, sources: Iterable[str]) -> dict[str, float]:
        servers: dict[str, list[Any]] = {source: [] for source in sources}
        for broker in self._readable():
            if _source(broker) in servers:
                servers[_source(broker)].append(broker)
        ages: dict[str, float] = {}
        for source, brokers in servers.items():
            if not brokers:  # gone meanwhile
                continue
            queues = turn.choose({name for broker in brokers for name in broker.queues.copy()})
            try:
                if _is_redis(brokers[0]):
                    hashes = self._hashes.setdefault(source, _redis.Hashes())
                    found = _read_redis(brokers[0], queues, hashes, turn)
                else:
                    found = _read_rabbitmq(brokers[0], queues, turn)
            except Exception as error:
                turn.failed(error)
                continue
            for queue, age in found.items():
                ages[queue] = max(age, ages.get(queue, 0.0))
        return ages


def _stamped(message: Any, delay: Any) -> Any:
    """A copy, with when it becomes ready; the message itself where that goes wrong."""
    try:
        ready_at = int(time.time() * 1000 + (delay or 0))
        return message.copy(options={READY_AT: ready_at})
    except Exception:
        return message


def _is_redis(broker: Any) -> bool:
    return hasattr(broker, "client")


def _source(broker: Any) -> str:
    """Without secrets."""
    if _is_redis(broker):
        return f"{_redis.address(broker.client)} {broker.namespace}"
    return _pika.address(broker.parameters)


# ---- Redis ----


def _read_redis(
    broker: Any, queues: list[str], hashes: _redis.Hashes, turn: Turn
) -> dict[str, float]:
    if not queues:
        return {}
    client = _redis.own_client(broker.client)
    try:
        return _read_lists(client, broker.namespace, queues, hashes, turn)
    finally:
        client.connection_pool.disconnect()


def _read_lists(
    client: Any, namespace: str, queues: list[str], hashes: _redis.Hashes, turn: Turn
) -> dict[str, float]:
    lists = [f"{namespace}:{queue}{kind}" for queue in queues for kind in ("", ".DQ")]
    pipe = client.pipeline(transaction=False)
    for key in lists:
        pipe.lrange(key, 0, FRONT - 1)
        pipe.llen(key)
    answers = _redis.checked(_redis.execute(pipe))
    heads = dict(zip(lists, zip(answers[0::2], answers[1::2])))

    wanted = [
        (f"{key}.msgs", *ids)
        for key, (ids, _) in heads.items()
        if ids and ids is not _redis.WRONG_TYPE
    ]
    bodies = dict(zip((key for key, *_ in wanted), hashes.read(client, wanted)))
    ages = {}
    now = time.time() * 1000
    for queue in queues:
        key = f"{namespace}:{queue}"
        ids, length = heads[key]
        late_ids, _ = heads[f"{key}.DQ"]
        if _redis.WRONG_TYPE in (ids, length, late_ids):  # hides its own queue alone
            continue
        late = [at for at in _times(bodies.get(f"{key}.DQ.msgs")) if at is not None]
        due = [at for at in late if at <= now]
        turn.count("depth", queue, length + len(due))
        times = _times(bodies.get(f"{key}.msgs"))
        ready = [at for at in times if at is not None] + due
        # One without a time may be the oldest. Ids whose messages are gone are no messages; but
        # what is behind so many is not known.
        if None not in times and (times or length <= FRONT):
            ages[queue] = now - min(ready, default=now)
    return ages


def _times(bodies: Optional[list[Optional[bytes]]]) -> list[Optional[float]]:
    """When the messages that there are became ready, in epoch ms; None for one that does not tell,
    as one of another encoder than JSON's."""
    return [_ready_at(body) for body in bodies or () if body is not None]


def _ready_at(body: bytes) -> Optional[float]:
    try:
        options, made_at = _end(body)
        ready_at = options.get(READY_AT)
        # Of a retry that a worker without dynoscale put back, only the end of the last try is told.
        if ready_at is None and "requeue_timestamp" not in options:
            ready_at = options.get("eta", made_at)
        return None if ready_at is None else float(ready_at)
    except Exception:  # anything may be in a hash of Redis: the other queues are still read
        return None


def _end(body: bytes) -> tuple[dict[str, Any], Any]:
    """The options and the time of a message, which come last: of a long one only the end was read."""
    if len(body) < _redis.LARGEST:
        message = json.loads(body)
        return message.get("options") or {}, message.get("message_timestamp")
    text = body.decode("utf-8", "replace")
    for name in re.finditer(r'"options": ?', text):  # options may hold another message with its own
        try:
            options, end = json.JSONDecoder().raw_decode(text, name.end())
            return options, json.loads("{" + text[end:].lstrip(", "))["message_timestamp"]
        except ValueError:
            pass
    return {}, None


# ---- RabbitMQ ----


def _read_rabbitmq(broker: Any, queues: list[str], turn: Turn) -> dict[str, float]:
    manager = _pika.manager()
    if manager is not None:
        return _pika.read_manager(manager, broker.parameters, queues, turn)
    refused = import_module("pika.exceptions").ChannelClosedByBroker  # no such queue, or not for us
    ages: dict[str, float] = {}
    with _pika.own_connection(broker.parameters) as connection:
        channel = connection.channel()
        for queue in queues:
            try:
                ready = channel.queue_declare(queue, passive=True).method
                late = channel.queue_declare(f"{queue}.DQ", passive=True).method
            except refused:  # which also closes the channel
                channel = connection.channel()
                continue
            turn.count("depth", queue, ready.message_count)
            # Of delayed messages that no worker waits with, some may be due.
            if ready.message_count == 0 and (late.message_count == 0 or late.consumer_count > 0):
                ages[queue] = 0.0
    return ages


adapter = Dramatiq()
