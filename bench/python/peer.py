"""peer.py NAME ROUNDS: ns of a call of a trivial app alone and behind the wrapper of NAME
(dynoscale, or a peer, each configured by the environment to report), measured with timeit.

Judoscale hangs on to Flask instead of wrapping: there the app is Flask's, with and without.
"""

from __future__ import annotations

import sys
from timeit import Timer
from typing import Any, Callable, Tuple

import wsgi_environ

App = Callable[..., Any]

CALLS = 4000


def dynoscale() -> Tuple[App, App]:
    from dynoscale.wsgi import DynoscaleWsgiApp

    return wsgi_environ.app, DynoscaleWsgiApp(wsgi_environ.app)


def hirefire() -> Tuple[App, App]:
    from hirefire_resource import HireFire
    from hirefire_resource.middleware.wsgi.flask import Middleware

    with HireFire.configure() as config:
        config.dyno("web")
    return wsgi_environ.app, Middleware(wsgi_environ.app)


def judoscale() -> Tuple[App, App]:
    from flask import Flask
    from judoscale.flask import Judoscale

    bare, measured = Flask("bare"), Flask("measured")
    for app in (bare, measured):
        app.add_url_rule("/", "index", lambda: "hello")
    Judoscale(measured)
    return bare, measured


def main() -> None:
    makers = {
        "dynoscale": dynoscale,
        "dynoscale<2": dynoscale,
        "hirefire-resource": hirefire,
        "judoscale": judoscale,
    }
    bare, measured = makers[sys.argv[1]]()
    for number in range(-1, int(sys.argv[2])):
        for name, app in (("bare", bare), ("middleware", measured)):
            values = {"call": app, "start_response": lambda *_: None}
            setup = "environ = make()"
            timer = Timer(
                "call(environ.copy(), start_response)",
                setup,
                globals={**values, "make": wsgi_environ.environ},
            )
            seconds = timer.timeit(CALLS)
            if number >= 0:  # the first one warms up
                print(f"{name}\t{seconds * 1e9 / CALLS}", flush=True)


if __name__ == "__main__":
    main()
