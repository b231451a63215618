"""The wrapper for ASGI applications: Starlette, FastAPI, Django, and any other.

>>> from dynoscale.asgi import DynoscaleAsgiApp
>>> app.add_middleware(DynoscaleAsgiApp)        # Starlette, FastAPI
>>> application = DynoscaleAsgiApp(application)  # anywhere
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Callable

from dynoscale._native import DynoscaleAsgiApp

__all__ = ["DynoscaleAsgiApp"]


def _coroutine_function(wrapper: Any) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """What looking at a wrapper's ``__call__`` gives, by which servers tell that it is ASGI 3.

    The extension module calls this; calls of the wrapper itself do not pass through here.
    """

    async def __call__(scope: Any, receive: Any, send: Any) -> None:
        await wrapper(scope, receive, send)

    return __call__
