"""peer.py NAME ROUNDS: ns of a call of a trivial app alone and behind the wrapper of NAME
(dynoscale, or a peer, each configured by the environment to report), measured with timeit: CPU time
of the thread that calls, without that of a peer's own threads.

Judoscale and HireFire attach to Flask instead of wrapping an app: for them both apps are Flask's.
"""

from __future__ import annotations

import logging
import os
import sys
import time
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
    from hirefire_resource.middleware.wsgi.flask import HireFireMiddleware

    logging.disable(logging.CRITICAL)  # it logs to standard output, where the figures go
    with HireFire.configure() as config:
        config.dyno("web")
    bare, measured = flask_apps()
    measured.wsgi_app = HireFireMiddleware(measured)
    return bare, measured


def judoscale() -> Tuple[App, App]:
    from judoscale.flask import Judoscale

    bare, measured = flask_apps()
    Judoscale(measured)
    return bare, measured


def flask_apps() -> Tuple[Any, Any]:
    from flask import Flask

    apps = Flask("bare"), Flask("measured")
    for app in apps:
        app.add_url_rule("/", "index", lambda: "hello")
    return apps


def main() -> None:
    makers = {
        "dynoscale": dynoscale,
        "hirefire-resource": hirefire,
        "judoscale": judoscale,
    }
    bare, measured = makers[sys.argv[1]]()
    for number in range(-1, int(sys.argv[2])):
        for name, app in (("bare", bare), ("middleware", measured)):
            values = {"call": app, "start_response": lambda *_: None}
            values.update(environ=wsgi_environ.environ(), stamps=wsgi_environ.stamps())
            timer = Timer(
                "environ[name] = next(stamps); call(environ.copy(), start_response)",
                timer=time.thread_time,
                globals={**values, "name": wsgi_environ.STAMP},
            )
            seconds = timer.timeit(CALLS)
            if number >= 0:  # the first one warms up
                print(f"{name}\t{seconds * 1e9 / CALLS}", flush=True)
    os._exit(0)  # a peer's thread need not end


if __name__ == "__main__":
    main()
