"""The middleware for Django, in sync and async stacks alike.

In settings.py, first in the list, so that the time in other middlewares is none of the queue::

    MIDDLEWARE = ["dynoscale.django.DynoscaleMiddleware", ...]
    DYNOSCALE = {"publish_frequency": 60}  # optional; the environment's variables do as well

``DynoscaleWsgiApp`` in wsgi.py and ``DynoscaleAsgiApp`` in asgi.py measure a moment earlier; with
several of them a request is counted once.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any, Callable

from dynoscale import _agent
from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.wsgi import DynoscaleWsgiApp

__all__ = ["DynoscaleMiddleware"]


class DynoscaleMiddleware:
    """Measures each request when it reaches the middlewares."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._is_async = _is_coroutine_function(get_response)
        if self._is_async:
            _mark_coroutine_function(self)
        # Wrappers count once. Their apps only return the answer that they get.
        self._measure_environ = DynoscaleWsgiApp(_get_start_response)
        self._measure_scope = DynoscaleAsgiApp(_get_send)
        _agent.follow_framework()

    def __call__(self, request: Any) -> Any:
        """The answer; in an async stack its awaitable, unchanged unless server_timing is on."""
        scope = getattr(request, "scope", None)
        if scope is not None:
            answer: Any = self._measure_scope(scope, None, _untimed)
        else:
            answer = self._measure_environ(request.META, _untimed)
        if answer is _untimed:
            return self._get_response(request)
        if self._is_async:
            return self._get_timed_response(request, answer.entry)
        return _timed(self._get_response(request), answer.entry)

    async def _get_timed_response(self, request: Any, entry: str) -> Any:
        return _timed(await self._get_response(request), entry)


def _untimed(*nothing: Any) -> Any:
    """Stands in for start_response and send, which server_timing replaces."""


def _get_start_response(environ: Any, start_response: Any) -> Any:
    return start_response


def _get_send(scope: Any, receive: Any, send: Any) -> Any:
    return send


def _timed(response: Any, entry: str) -> Any:
    """The response with the header Server-Timing; an entry of the app's own stays."""
    try:
        own = response.get("Server-Timing", "")
        response["Server-Timing"] = f"{own}, {entry}" if own else entry
    except Exception:  # no response of Django's
        pass
    return response


# asgiref has them too, but only in newer versions than some Djangos use.


def _is_coroutine_function(function: Any) -> bool:
    if sys.version_info >= (3, 12):
        return inspect.iscoroutinefunction(function)
    return asyncio.iscoroutinefunction(function)


def _mark_coroutine_function(function: Any) -> None:
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(function)
    else:
        function._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine")
