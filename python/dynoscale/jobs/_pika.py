"""RabbitMQ by pika, which Dramatiq uses: connections of our own, and the management API.

Nothing of an app's settings tells where that API is: ``DYNOSCALE_RABBITMQ_MANAGER`` does, as
``https://USER:PASSWORD@HOST:PORT``. Without a user it is the broker's own.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import threading
import time
from importlib import import_module
from typing import Any, Iterator, Optional
from urllib.parse import SplitResult, unquote, urlsplit

from dynoscale import _agent
from dynoscale.jobs._adapter import Turn
from dynoscale.jobs._redis import TIMEOUT, limited

MANAGER = "DYNOSCALE_RABBITMQ_MANAGER"


def address(parameters: Any) -> str:
    """Of the first server. Without secrets."""
    first = _as_list(parameters)[0]
    return f"{first.host}:{first.port} {first.virtual_host}"


def _as_list(parameters: Any) -> list[Any]:
    return list(parameters) if isinstance(parameters, (list, tuple)) else [parameters]


@contextlib.contextmanager
def own_connection(parameters: Any) -> Iterator[Any]:
    """A connection with the app's own parameters (TLS, user and password), but with time-outs."""
    own = []
    for theirs in _as_list(parameters):
        given: Any = copy.copy(theirs)
        given.connection_attempts = 1
        given.socket_timeout = limited(given.socket_timeout)
        given.stack_timeout = limited(given.stack_timeout)
        given.blocked_connection_timeout = TIMEOUT
        given.heartbeat = int(TIMEOUT)  # a server that falls silent is given up after twice that
        own.append(given)
    with _without_logging():
        connection = import_module("pika").BlockingConnection(own)
        try:
            yield connection
        finally:
            with contextlib.suppress(Exception):
                connection.close()


@contextlib.contextmanager
def _without_logging() -> Iterator[None]:
    """Pika tells of each connection, and of what fails: our reader does that by itself."""
    reader = threading.get_ident()

    def is_apps_own(record: logging.LogRecord) -> bool:
        return record.thread != reader

    names = [name for name in list(logging.root.manager.loggerDict) if name.startswith("pika")]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(is_apps_own)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_apps_own)


# ---- The management API ----


def manager() -> Optional[SplitResult]:
    """Where it is; None where that is not told."""
    given = os.environ.get(MANAGER, "").strip()
    if not given:
        return None
    try:
        url = urlsplit(given)
        if url.scheme in ("http", "https") and url.hostname and (url.port or 1):
            return url
    except ValueError:
        pass
    _agent.warn_once(
        f"{MANAGER} is not as https://USER:PASSWORD@HOST:PORT: the ages of messages in RabbitMQ "
        "are not measured"
    )
    return None


def stamp_messages(broker_class: Any) -> None:
    """Give the messages that Dramatiq sends AMQP's own timestamp, which is what the management API
    shows of a head, where there is that API."""
    original = broker_class.__dict__.get("channel")
    if not isinstance(original, property) or hasattr(broker_class, "_dynoscale_stamps"):
        return

    def channel_of(broker: Any) -> Any:
        channel = original.__get__(broker)
        if "basic_publish" not in vars(channel):
            channel.basic_publish = _stamping(channel.basic_publish)
        return channel

    broker_class._dynoscale_stamps = True
    broker_class.channel = original.getter(channel_of)


def _stamping(publish: Any) -> Any:
    def basic_publish(*args: Any, **kwargs: Any) -> Any:
        properties: Any = kwargs.get("properties")
        if getattr(properties, "timestamp", 0) is None and manager() is not None:
            properties.timestamp = int(time.time())
        return publish(*args, **kwargs)

    return basic_publish


def read_manager(
    url: SplitResult, parameters: Any, queues: list[str], turn: Turn
) -> dict[str, float]:
    """Of these queues, with one request."""
    from dynoscale.jobs._rabbitmq import queues_at

    first = _as_list(parameters)[0]
    user = unquote(url.username) if url.username else first.credentials.username
    password = unquote(url.password or "") if url.username else first.credentials.password
    port = url.port or (443 if url.scheme == "https" else 15672)
    host = f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname
    where = f"{url.scheme}://{host}:{port}{url.path.rstrip('/')}"
    rows = {row["name"]: row for row in queues_at(where, user, password, first.virtual_host)}
    now = time.time()
    ages = {}
    for queue in queues:
        row = rows.get(queue, {})
        ready, head = row.get("messages_ready"), row.get("head_message_timestamp")
        if ready is None:
            continue
        turn.count("depth", queue, ready)
        late = rows.get(f"{queue}.DQ", {})
        if ready == 0:
            if not late.get("messages_ready") or late.get("consumers"):
                ages[queue] = 0.0
        elif isinstance(head, int):
            ages[queue] = (now - head) * 1000
    return ages
