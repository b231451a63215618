"""first.py MODULE [forked]: ms of `import`; of our own also µs of making the wrapper, and of its
first and second request, or those of CHILDREN processes that were forked in between, one after
another, as from a server that preloads; else µs of a request to the app alone, the first in such a
process, and then of starting a thread, its first. All are CPU time of the thread that calls. What a
server makes for a request is made before."""

from __future__ import annotations

import importlib
import os
import sys
import time

import wsgi_environ

CHILDREN = 15


class Body:
    """What servers give an app to read: gunicorn's is of a class of Python's, too."""


def milliseconds() -> float:
    return time.thread_time_ns() / 1e6


def go_on_in_children() -> None:
    """Returns in each child, and not in this process."""
    sys.stdout.flush()
    for _ in range(CHILDREN):
        if os.fork() == 0:
            return
        if os.wait()[1] != 0:
            os._exit(1)
    os._exit(0)


environ = wsgi_environ.environ()
environ["wsgi.input"] = Body()
started = milliseconds()
importlib.import_module(sys.argv[1])
print(f"require\t{milliseconds() - started}")

if sys.argv[1] == "dynoscale.wsgi":
    import dynoscale
    from dynoscale.wsgi import DynoscaleWsgiApp

    started = milliseconds()
    wrapped = DynoscaleWsgiApp(wsgi_environ.app)
    print(f"new\t{(milliseconds() - started) * 1e3}")
    if "forked" in sys.argv:
        go_on_in_children()
    for number, request in (("first", environ.copy()), ("second", environ.copy())):
        started = milliseconds()
        wrapped(request, wsgi_environ.start_response)
        print(f"{number}\t{(milliseconds() - started) * 1e3}")
    dynoscale.stop(0)
else:
    import reference

    if "forked" in sys.argv:
        go_on_in_children()
    request = environ.copy()
    started = milliseconds()
    wsgi_environ.app(request, wsgi_environ.start_response)
    print(f"alone\t{(milliseconds() - started) * 1e3}")
    print(f"thread\t{reference.thread_us()}")
