"""Passes requests through the Python package, for callgrind to count; see count.py."""

from __future__ import annotations

import copy
import os
import sys
from typing import Any, Callable

import reference

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/python")

import wsgi_environ  # noqa: E402

from dynoscale import _native, configure, flush, stop  # noqa: E402
from dynoscale.asgi import DynoscaleAsgiApp  # noqa: E402
from dynoscale.hooks.gunicorn import post_request, pre_request  # noqa: E402
from dynoscale.wsgi import DynoscaleWsgiApp  # noqa: E402

REQUESTS = range(1000)


def count(name: str, call: Callable[..., Any], first: Any, second: Any) -> None:
    """An environ is copied for each call, with a stamp of its own: a server makes one for each
    request."""
    firsts = [copy.copy(first) for _ in REQUESTS]
    for each in firsts if first is environ else []:
        each[wsgi_environ.STAMP] = wsgi_environ.stamp()
    for each in firsts[:100]:  # the wrapper finds out about its server
        call(copy.copy(each), second)
    flush(0)  # empties the buffer: how long a push looks for a slot depends on what is there
    reference.begin()
    for each in firsts:
        call(each, second)
    reference.end(name)


class Caller:
    """Awaits what an ASGI app returns, as servers do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, scope: Any, send: Any) -> None:
        try:
            self.await_app(scope, send).send(None)
        except StopIteration:
            pass

    async def await_app(self, scope: Any, send: Any) -> None:
        await self.app(scope, None, send)


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    pass


def both_hooks(request: Any, nothing: Any) -> None:
    pre_request(None, request)
    post_request(None, request)


def count_asgi(asked: str) -> None:
    caller = Caller(DynoscaleAsgiApp(asgi_app))
    count(f"DynoscaleAsgiApp, and an app{asked}", caller, wsgi_environ.scope(), start_response)


def count_wsgi(asked: str) -> None:
    wrapped = DynoscaleWsgiApp(wsgi_environ.app)
    count(f"DynoscaleWsgiApp{asked}", wrapped, environ, start_response)
    del wrapped  # so that the hook is the only entry point
    count(f"pre_request, and no app{asked}", pre_request, None, wsgi_environ.Request())
    count(f"both hooks, and no app{asked}", both_hooks, wsgi_environ.Request(), None)


def be_asked() -> None:
    configure(url=os.environ["BENCH_ASKING_URL"])
    DynoscaleWsgiApp(wsgi_environ.app)(environ.copy(), start_response)
    if not flush(60) or not _native.asked()[0]:
        sys.exit("the service did not ask for signals")


environ, start_response = wsgi_environ.environ(), wsgi_environ.start_response
count("bare", wsgi_environ.app, environ, start_response)
count("C wrapper that passes on", reference.Passthrough(wsgi_environ.app), environ, start_response)
if sys.argv[1] == "asgi":
    count_asgi("")
    be_asked()
    count_asgi(", asked")
elif sys.argv[1] == "asked":
    be_asked()
    count_wsgi(", asked")
else:
    count_wsgi("")
stop(0)
