"""asked.py ENTRY_POINT ROUNDS ASKING_URL QUIET_URL: ns of a request while the service asks for the signals of
requests, and while it does not, in turns, each the median of its blocks; and ns of
a reading of the clock. All are CPU time of the thread."""

from __future__ import annotations

import statistics
import sys
import time
from timeit import Timer
from typing import Any, Callable, Dict

import reference
import wsgi_environ

from dynoscale import _native, configure, flush, stop
from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.hooks.gunicorn import post_request, pre_request
from dynoscale.wsgi import DynoscaleWsgiApp

BLOCK = 600
BLOCKS = 25  # no more than the buffer holds


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    pass


def hooks() -> Callable[[], None]:
    request = wsgi_environ.Request()

    def both() -> None:
        pre_request(None, request)
        post_request(None, request)

    return both


def wsgi() -> Callable[[], Any]:
    wrapped, start_response = DynoscaleWsgiApp(wsgi_environ.app), wsgi_environ.start_response
    environ, stamps = wsgi_environ.environ(), wsgi_environ.stamps()

    def call() -> None:
        environ[wsgi_environ.STAMP] = next(stamps)
        wrapped(environ.copy(), start_response)

    return call


def asgi() -> Callable[[], None]:
    wrapped, scope = DynoscaleAsgiApp(asgi_app), wsgi_environ.scope()

    async def server() -> None:
        await wrapped(scope.copy(), None, None)

    def call() -> None:
        try:
            server().send(None)
        except StopIteration:
            pass

    return call


ENTRY_POINTS: Dict[str, Callable[[], Callable[[], Any]]] = {
    "WSGI": wsgi,
    "gunicorn's two hooks": hooks,
    "ASGI": asgi,
}


def main() -> None:
    entry_point, rounds, asking, quiet = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]
    for number in range(-1, rounds):  # the first one warms up
        for name, url in (("asked", asking), ("not asked", quiet)):
            configure(url=url)
            call = ENTRY_POINTS[entry_point]()  # with a fresh stamp
            for _ in range(2):  # the second one finds what is asked
                call()
                if not flush(60):
                    sys.exit("the service did not answer")
            if bool(_native.asked()[0]) != (name == "asked"):
                sys.exit(f"the service was to be one that is {name}")
            timer = Timer(call, timer=time.thread_time)
            taken = statistics.median(timer.repeat(BLOCKS, BLOCK))
            if number >= 0:
                print(f"{name}\t{taken * 1e9 / BLOCK}")
            del call  # a process has one wrapper
        if number >= 0:
            print(f"clock\t{reference.clock_ns(BLOCK)}")
    sys.stdout.flush()
    stop(0)


if __name__ == "__main__":
    main()
