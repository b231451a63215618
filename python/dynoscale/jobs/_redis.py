"""A Redis client for the reader, made from one of the app's."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any, Optional

TIMEOUT = 5.0
"""Seconds that an operation on a socket may take, at most; less where the app says less."""

# What would draw a time-out out, or decode what is read.
_LEFT_OUT = ("retry", "retry_on_error", "retry_on_timeout", "decode_responses")


def own_client(client: Any) -> Any:
    """A client for the same server, with the app's own connection settings (TLS, Sentinel, user
    and password), but with a time-out and with connections of its own."""
    redis = import_module("redis")
    return redis.Redis(connection_pool=_own_pool(client.connection_pool))


def address(client: Any) -> tuple[Any, ...]:
    """What tells one server from another. Without secrets."""
    pool = client.connection_pool
    given = pool.connection_kwargs
    where = tuple(given.get(name) for name in ("host", "port", "path", "db", "username"))
    return (pool.connection_class, getattr(pool, "service_name", None), *where)


def limited(seconds: Optional[float]) -> float:
    """The app's own time-out, or ours where that is longer or there is none."""
    return min(seconds or TIMEOUT, TIMEOUT)


def _own_pool(pool: Any) -> Any:
    given = {name: value for name, value in pool.connection_kwargs.items() if name not in _LEFT_OUT}
    given["socket_timeout"] = limited(given.get("socket_timeout"))
    if "path" not in given:  # of a Unix socket, which knows only the one time-out
        given["socket_connect_timeout"] = limited(given.get("socket_connect_timeout"))
    if not hasattr(pool, "sentinel_manager"):
        pools = import_module("redis.connection")
        return pools.ConnectionPool(connection_class=pool.connection_class, **given)
    given.pop("connection_pool", None)  # of each connection: the old one
    manager = copy.copy(pool.sentinel_manager)
    manager.sentinels = [own_client(sentinel) for sentinel in manager.sentinels]
    return import_module("redis.sentinel").SentinelConnectionPool(
        pool.service_name,
        manager,
        connection_class=pool.connection_class,
        is_master=pool.is_master,
        check_connection=pool.check_connection,
        **given,
    )
