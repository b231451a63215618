"""A Redis client for the reader, made from one of the app's."""

from __future__ import annotations

import copy
import hashlib
from importlib import import_module
from typing import Any, Optional, Sequence

TIMEOUT = 5.0
"""The most seconds for an operation on a socket; less if the app says less."""

# Settings that would extend a time-out, or decode what is read.
_LEFT_OUT = ("retry", "retry_on_error", "retry_on_timeout", "decode_responses")


def own_client(client: Any) -> Any:
    """A client for the same server, with the app's own connection settings (TLS, Sentinel, user
    and password), but with a time-out and with connections of its own."""
    redis = import_module("redis")
    return redis.Redis(connection_pool=_own_pool(client.connection_pool))


def address(client: Any) -> tuple[Any, ...]:
    """Identifies a server, without secrets."""
    pool = client.connection_pool
    given = pool.connection_kwargs
    where = tuple(given.get(name) for name in ("host", "port", "path", "db", "username"))
    return (pool.connection_class, getattr(pool, "service_name", None), *where)


def limited(seconds: Optional[float]) -> float:
    """The app's own time-out, or ours if that is shorter or the app has none."""
    return min(seconds or TIMEOUT, TIMEOUT)


def _own_pool(pool: Any) -> Any:
    given = {name: value for name, value in pool.connection_kwargs.items() if name not in _LEFT_OUT}
    given["socket_timeout"] = limited(given.get("socket_timeout"))
    if "path" not in given:  # of a Unix socket, which has only one time-out
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


# ---- Reading -------------------------------------------------------------------------------------

LARGEST = 16_384
"""Bytes that are read of one message or task, at most: of a longer one its end."""

# What an app's jobs carry may be megabytes: each text is cut to its end.
_CUT = """
local cut, texts = tonumber(ARGV[1]), redis.call('%s', KEYS[1], unpack(ARGV, 2))
for i, text in ipairs(texts) do
    if text and #text > cut then texts[i] = string.sub(text, -cut) end
end
return texts
"""


class Texts:
    """Reads what a command gives of each key, cut to the ends where the server's user may run
    scripts."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._script = _CUT % command
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._may_cut = True

    def read(
        self,
        client: Any,
        wanted: Sequence[tuple[Any, ...]],
        lengths: Optional[dict[Any, int]] = None,
    ) -> list[Optional[list[Any]]]:
        """The texts for each key and what follows it in the command, in one round trip; None for a
        key of another type. With ``lengths``, which is for lists alone, the same round trip gives
        the length of each, by key."""
        if not wanted:
            return []
        pipe = client.pipeline(transaction=False)
        for number, (key, *rest) in enumerate(wanted):
            if not self._may_cut:
                pipe.execute_command(self._command, key, *rest)
            elif number == 0:
                pipe.eval(self._script, 1, key, LARGEST, *rest)
            else:  # the server has just loaded the script
                pipe.evalsha(self._sha, 1, key, LARGEST, *rest)
        for key, *_ in wanted if lengths is not None else ():
            pipe.llen(key)
        answers = execute(pipe)
        if self._may_cut and any(map(is_not_permitted, answers)):
            self._may_cut = False
            return self.read(client, wanted, lengths)
        answers = [None if answer is WRONG_TYPE else answer for answer in checked(answers)]
        if lengths is not None:
            pairs = zip(wanted, answers[len(wanted) :])
            lengths.update({key: length for (key, *_), length in pairs if length is not None})
        return answers[: len(wanted)]


class Lists(Texts):
    """Reads items of lists: of a key, from one place to another."""

    def __init__(self) -> None:
        super().__init__("LRANGE")


class Hashes(Texts):
    """Reads fields of hashes: of a key, those that follow; None for one that it lacks."""

    def __init__(self) -> None:
        super().__init__("HMGET")


class _WrongType:
    """Stands for the answer of a key of another type."""


WRONG_TYPE: Any = _WrongType()


def execute(pipe: Any) -> list[Any]:
    """The answers to the commands of a pipeline, errors among them."""
    answers: list[Any] = pipe.execute(raise_on_error=False)
    return answers


def checked(answers: list[Any]) -> list[Any]:
    """The answers, with WRONG_TYPE for keys of another type, which must not hide the others. Raises
    any other error.
    """
    result = []
    for answer in answers:
        if isinstance(answer, Exception):
            if "WRONGTYPE" not in str(answer):
                raise answer
            answer = WRONG_TYPE
        result.append(answer)
    return result


def is_not_permitted(answer: Any) -> bool:
    """By access control, or by a provider that offers no scripts."""
    return isinstance(answer, Exception) and any(
        word in str(answer) or word in type(answer).__name__
        for word in ("NOPERM", "NoPermission", "unknown command")
    )
