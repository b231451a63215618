"""Passes requests through the Python package, for callgrind to count; see count.py."""

from __future__ import annotations

import copy
import sys
from typing import Any, Callable

import reference

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/python")

import wsgi_environ  # noqa: E402

from dynoscale import stop  # noqa: E402
from dynoscale.hooks.gunicorn import pre_request  # noqa: E402
from dynoscale.wsgi import DynoscaleWsgiApp  # noqa: E402

REQUESTS = range(1000)


def count(name: str, call: Callable[..., Any], first: Any, second: Any) -> None:
    """An environ is copied for each call: a server makes one for each request."""
    call(copy.copy(first), second)
    firsts = [copy.copy(first) for _ in REQUESTS]
    reference.begin()
    for each in firsts:
        call(each, second)
    reference.end(name)


environ, start_response = wsgi_environ.environ(), wsgi_environ.start_response
count("bare", wsgi_environ.app, environ, start_response)
count("C wrapper that passes on", reference.Passthrough(wsgi_environ.app), environ, start_response)
wrapped = DynoscaleWsgiApp(wsgi_environ.app)
count("DynoscaleWsgiApp", wrapped, environ, start_response)
del wrapped  # the hook is to be the only door
count("pre_request, and no app", pre_request, None, wsgi_environ.Request())
stop(0)
