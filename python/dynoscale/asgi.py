"""The wrapper for ASGI applications: Starlette, FastAPI, Django, and any other.

>>> from dynoscale.asgi import DynoscaleAsgiApp
>>> app.add_middleware(DynoscaleAsgiApp)        # Starlette, FastAPI
>>> application = DynoscaleAsgiApp(application)  # anywhere
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, Callable

from dynoscale import _agent, _native
from dynoscale._native import DynoscaleAsgiApp

__all__ = ["DynoscaleAsgiApp"]


def _coroutine_function(wrapper: Any) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """What looking at a wrapper's ``__call__`` gives, by which servers tell that it is ASGI 3.

    The extension module calls this; calls of the wrapper itself do not pass through here.
    """

    async def __call__(scope: Any, receive: Any, send: Any) -> None:
        await wrapper(scope, receive, send)

    return __call__


async def _timed(answer: Awaitable[Any]) -> Any:
    """What the app returned, and the time that it takes from its first step until it is done."""
    entered = _native.enter()
    try:
        return await answer
    finally:
        _native.leave(entered)


class _LifespanSend:
    """A server's send in a lifespan scope: reports what was recorded before the app's last word.

    The server has answered all requests by then. What it waits is taken off what the exit may.
    """

    __slots__ = ("_send",)

    def __init__(self, send: Any) -> None:
        self._send = send

    def __call__(self, message: Any) -> Any:
        try:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                _agent.flush_before_exit()
        except Exception:  # no message; or nobody is there to be told any more
            pass
        return self._send(message)


def _lifespan_send(send: Any) -> Any:
    """What the extension module gives to the app in the place of the server's send."""
    return send if isinstance(send, _LifespanSend) else _LifespanSend(send)
