"""Celery, with Redis or RabbitMQ as its broker.

A message of Celery's has no time of its own. Every process that imports dynoscale, in whatever
dyno, adds one to the tasks that it sends, as a header. Where the next message of a queue has none,
nothing is reported of the queue.

Redis: a queue is a list for each priority, and is known by a binding. RabbitMQ: the queues that
the app knows are asked for their depth; the age of a head is only known to the management API, and
of a quorum queue not even to that.

A broker does not know which of the messages that a worker has fetched are being worked on, and which
of them wait there: those are not reported.
"""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import timezone
from importlib import import_module
from typing import Any, Iterable, Iterator, Optional

from dynoscale import _agent
from dynoscale.jobs._adapter import Turn
from dynoscale.jobs._redis import LARGEST, WRONG_TYPE, Lists, checked, execute, limited

HEADER = "dynoscale_published_at_ms"
"""When a task was sent, in epoch ms."""

BEHIND = 16
"""Messages behind one with an ETA that are looked at, for older ones that are ready."""

SCANNED = 1000
"""Keys of Redis that one reading looks through for queues that the app does not name."""

_INTERNAL = re.compile(r".*\.pidbox|celeryev.*|(.*_)?celery_delayed_(\d+|delivery)", re.DOTALL)
"""Exchanges that workers talk to each other over, and queues where tasks wait until they are due."""


class Celery:
    name = "celery"

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._bindings: dict[str, _Bindings] = {}

    # ---- Sending ----

    def prepare(self) -> None:
        signals: Any = import_module("celery.signals")
        signals.before_task_publish.connect(self._stamp, weak=False, dispatch_uid="dynoscale")
        # A process of the pool ends by os._exit: what its tasks recorded is sent before.
        signals.worker_process_shutdown.connect(_send_the_rest, weak=False, dispatch_uid="dynoscale")

    def _stamp(self, headers: Any = None, properties: Any = None, **_: Any) -> None:
        now = time.time()
        if isinstance(headers, dict):
            headers[HEADER] = int(now * 1000)
        if isinstance(properties, dict) and any(map(_has_manager, _apps())):
            # AMQP's, in seconds. To a queue that RabbitMQ itself delays for, a task comes when due.
            properties.setdefault("timestamp", int(max(now, _eta_of(headers) or now)))

    # ---- Reading ----

    def loaded(self, module: str) -> None:
        pass

    def sources(self) -> list[str]:
        return sorted({_address(app) for app in filter(self._is_configured, _apps())})

    def _is_configured(self, app: Any) -> bool:
        """Reading its configuration would load it: not before the app has had time to do so."""
        if app.configured or id(app) in self._seen:
            return bool(app.conf.broker_read_url) and _driver(app) in _READERS
        self._seen.add(id(app))
        return False

    def read(self, turn: Turn, sources: Iterable[str]) -> dict[str, float]:
        ages: dict[str, float] = {}
        servers: dict[str, list[Any]] = {source: [] for source in sources}
        for app in filter(self._is_configured, _apps()):
            if _address(app) in servers:
                servers[_address(app)].append(app)
        for where, apps in servers.items():
            if not apps:  # gone meanwhile
                continue
            names = {name for app in apps for name in _names(app)}
            reader, limits = _READERS[_driver(apps[0])]
            bindings = self._bindings.setdefault(where, _Bindings())
            try:
                with _connection(apps[0], limits) as connection:
                    found = reader(connection, names, bindings, turn)
            except Exception as error:
                turn.failed(error)
                continue
            for queue, age in found.items():
                ages[queue] = max(age, ages.get(queue, 0.0))
        return ages


def _send_the_rest(**_: Any) -> None:
    _agent.send_before_exit()


def _apps() -> list[Any]:
    state: Any = sys.modules.get("celery._state")
    return [] if state is None else list(state._get_active_apps())


def _driver(app: Any) -> str:
    transport = app.connection_for_read().get_transport_cls()
    return str(transport.driver_type if transport.driver_type == "redis" else transport.driver_name)


def _address(app: Any) -> str:
    """The address of its broker and its part of it, without the password."""
    prefix = app.conf.broker_transport_options.get("global_keyprefix", "")
    return f"{app.connection_for_read().as_uri()} {prefix}"


def _connection(app: Any, limits: tuple[str, ...]) -> Any:
    """A connection like the app's, for reading, with time-outs."""
    given = app.conf.broker_transport_options
    return app.connection_for_read(
        transport_options={name: limited(given.get(name)) for name in limits},
        connect_timeout=limited(app.conf.broker_connection_timeout),
    )


def _names(app: Any) -> Iterator[str]:
    """The queues that the app names. Its own table is only read where it has been made."""
    conf = app.conf
    declared = conf.task_queues
    if declared:
        yield from (getattr(queue, "name", queue) for queue in declared)
    else:
        yield conf.task_default_queue
    yield from _routed(conf.task_routes)
    yield from list(getattr(vars(app).get("amqp"), "__dict__", {}).get("queues") or ())


def _routed(routes: Any) -> Iterator[str]:
    for table in routes if isinstance(routes, (list, tuple)) else [routes]:
        pairs = table.items() if isinstance(table, dict) else table or ()
        for pair in pairs if isinstance(pairs, Iterable) and not isinstance(pairs, str) else ():
            route = pair[1] if isinstance(pair, (list, tuple)) and len(pair) == 2 else None
            queue = route.get("queue") if isinstance(route, dict) else route
            queue = getattr(queue, "name", queue)
            if isinstance(queue, str):
                yield queue


# ---- Redis ----


class _Bindings:
    """What a walk through the keys of a Redis server has found so far, a step a reading."""

    def __init__(self) -> None:
        self.cursor = 0
        self.keys: set[bytes] = set()
        self.lists = Lists()


def _read_redis(
    connection: Any, names: set[str], bindings: _Bindings, turn: Turn
) -> dict[str, float]:
    connection.connect()
    channel = connection.channel()
    client = import_module("redis").Redis(connection_pool=channel.pool)
    queues = turn.choose(names | _bound_queues(client, channel, bindings))
    lists = [
        (queue, channel.global_keyprefix + channel._q_for_pri(queue, priority))
        for queue in queues
        for priority in channel.priority_steps
    ]
    lengths: dict[str, int] = {}
    messages = _read_messages(client, bindings.lists, [key for _, key in lists], lengths)
    # A key of another type hides only its own queue.
    foreign = {queue for queue, key in lists if key not in lengths}
    for queue, key in lists:
        if queue not in foreign:
            turn.count("depth", queue, lengths[key])
    return _ages(lists, messages)


def _bound_queues(client: Any, channel: Any, bindings: _Bindings) -> set[str]:
    """The queues of the bindings that are known, after a further step of the walk through them."""
    known = sorted(bindings.keys)
    pattern = f"{channel.global_keyprefix}{channel.keyprefix_queue % '*'}"
    pipe = client.pipeline(transaction=False)
    pipe.scan(bindings.cursor, match=pattern, count=SCANNED)
    for key in known:
        pipe.smembers(key)
    (bindings.cursor, found), *answers = checked(execute(pipe))
    members = [() if answer is WRONG_TYPE else answer for answer in answers]
    bindings.keys = {key for key, bound in zip(known, members) if bound}
    bindings.keys |= {key for key in found if not _is_internal(key)}
    queues = (_bound_queue(member, channel.sep) for bound in members for member in bound)
    return {queue for queue in queues if queue}


def _read_messages(
    client: Any, reader: Lists, keys: list[str], lengths: dict[str, int]
) -> dict[str, Optional[list[_Message]]]:
    """The oldest messages of each list, the oldest first; None of a key of another type."""
    heads = reader.read(client, [(key, -1, -1) for key in keys], lengths)
    messages = {
        key: None if head is None else [_Message(text) for text in head]
        for key, head in zip(keys, heads)
    }
    # Behind a message with an ETA there may be one that was ready before it.
    delayed = [key for key, found in messages.items() if found and found[0].eta is not None]
    behind = reader.read(client, [(key, -1 - BEHIND, -2) for key in delayed])
    for key, texts in zip(delayed, behind):
        messages[key] = [*(messages[key] or ()), *map(_Message, reversed(texts or ()))]
    return messages


def _ages(
    lists: list[tuple[str, str]], messages: dict[str, Optional[list[_Message]]]
) -> dict[str, float]:
    """The age of each queue, of whose lists all have one."""
    now = time.time()
    ages: dict[str, float] = {}
    unknown = set()
    for queue, key in lists:
        found = messages[key]
        age = None if found is None else _age(found, now)
        if age is None:
            unknown.add(queue)
        else:
            ages[queue] = max(age, ages.get(queue, 0.0))
    return {queue: age for queue, age in ages.items() if queue not in unknown}


def _is_internal(key: bytes) -> bool:
    exchange = key.rpartition(b"_kombu.binding.")[2].decode("utf-8", "replace")
    return _INTERNAL.fullmatch(exchange) is not None


def _bound_queue(member: bytes, separator: str) -> str:
    return member.decode("utf-8", "replace").rpartition(separator)[2]


class _Message:
    """When a message was sent and when it is due, in epoch seconds."""

    def __init__(self, text: bytes) -> None:
        self.sent: Optional[float] = None
        self.eta: Optional[float] = None
        try:
            self._read(text)
        except Exception:  # a list in Redis may hold anything: the other queues are still read
            self.sent = None

    def _read(self, text: bytes) -> None:
        headers = _headers(text)
        sent = headers.get(HEADER)
        if "task" not in headers or not isinstance(sent, (int, float)):
            return  # not sent by us, or in Celery's first protocol, which has its ETA elsewhere
        self.sent = sent / 1000
        self.eta = _eta_of(headers)

    @property
    def ready(self) -> Optional[float]:
        return self.sent if self.sent is None or self.eta is None else max(self.sent, self.eta)


def _eta_of(headers: Any) -> Optional[float]:
    """In epoch seconds."""
    eta = headers.get("eta") if isinstance(headers, dict) else None
    if not eta:
        return None
    moment = import_module("celery.utils.time").maybe_iso8601(eta)
    # Without a zone it is UTC, as in Celery's workers.
    return float((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


def _headers(text: bytes) -> dict[str, Any]:
    """Kombu writes the body first: of a long message, of which only the end was read, the headers
    are there whole unless they are long, too."""
    if len(text) < LARGEST:
        return json.loads(text).get("headers") or {}
    name = b'"headers": '
    end = text[text.index(name) + len(name) :].decode("utf-8", "replace")
    headers: dict[str, Any] = json.JSONDecoder().raw_decode(end)[0]
    return headers


def _age(messages: list[_Message], now: float) -> Optional[float]:
    """In ms, of the oldest that is ready; None where that can't be told. Up to the first message
    without an ETA: those behind it are younger."""
    ready = []
    for message in messages:
        if message.ready is None:
            return None
        if message.ready <= now:
            ready.append(message.ready)
        if message.eta is None:
            break
    else:
        if not ready and len(messages) > BEHIND:
            return None
    return (now - min(ready, default=now)) * 1000


# ---- RabbitMQ ----


def _read_rabbitmq(
    connection: Any, names: set[str], _: _Bindings, turn: Turn
) -> dict[str, float]:
    if _manager_options(connection.transport_options):
        return _read_manager(connection, turn)
    connection.connect()
    refused = import_module("amqp.exceptions").ChannelError  # no such queue, or no access
    channel = connection.channel()
    ages = {}
    for queue in turn.choose(names):
        try:
            depth = channel.queue_declare(queue=queue, passive=True).message_count
        except refused:  # which also closes the channel
            channel = connection.channel()
            continue
        turn.count("depth", queue, depth)
        if depth == 0:
            ages[queue] = 0.0
    return ages


def _manager_options(options: dict[str, Any]) -> bool:
    return bool(options.get("manager_hostname") or options.get("manager_port"))


def _has_manager(app: Any) -> bool:
    if not app.configured:
        return False
    return _manager_options(app.conf.broker_transport_options) and _driver(app) == "py-amqp"


def _read_manager(connection: Any, turn: Turn) -> dict[str, float]:
    """The management API that the app's ``broker_transport_options`` name, with one request."""
    from dynoscale.jobs._rabbitmq import queues_of

    rows = {row["name"]: row for row in queues_of(connection)}
    now = time.time()
    ages = {}
    for queue in turn.choose(name for name in rows if not _is_internal(name.encode())):
        head = rows[queue].get("head_message_timestamp")
        depth = rows[queue].get("messages_ready")
        if isinstance(depth, int):
            turn.count("depth", queue, depth)
        if depth == 0:
            ages[queue] = 0.0
        elif isinstance(head, int):
            ages[queue] = (now - head) * 1000
    return ages


_READERS = {
    "redis": (_read_redis, ("socket_timeout", "socket_connect_timeout")),
    "py-amqp": (_read_rabbitmq, ("read_timeout", "write_timeout")),
}

adapter = Celery()
