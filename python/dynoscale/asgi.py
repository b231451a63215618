"""The wrapper for ASGI applications: Starlette, FastAPI, Django, and any other.

>>> from dynoscale.asgi import DynoscaleAsgiApp
>>> app.add_middleware(DynoscaleAsgiApp)        # Starlette, FastAPI
>>> application = DynoscaleAsgiApp(application)  # anywhere
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Callable

from dynoscale import _agent
from dynoscale._native import DynoscaleAsgiApp

__all__ = ["DynoscaleAsgiApp"]


def _coroutine_function(wrapper: Any) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """What a wrapper's attribute ``__call__`` is, by which servers recognise ASGI 3.

    The extension module calls this. Calls of the wrapper itself do not use it.
    """

    async def __call__(scope: Any, receive: Any, send: Any) -> None:
        await wrapper(scope, receive, send)

    return __call__


class _LifespanSend:
    """A server's send in a lifespan scope: reports what was recorded before the app's last message.

    The server has answered all requests by then. The wait counts as part of the exit's.
    """

    __slots__ = ("_send",)

    def __init__(self, send: Any) -> None:
        self._send = send

    def __call__(self, message: Any) -> Any:
        try:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                _agent.flush_before_exit()
        except Exception:  # not a message; or nobody is left to raise it to
            pass
        return self._send(message)


def _lifespan_send(send: Any) -> Any:
    """What the extension module passes to the app instead of the server's send."""
    return send if isinstance(send, _LifespanSend) else _LifespanSend(send)
