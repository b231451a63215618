"""calls.py wsgi|asgi|hook ROUNDS: ns of a call of a trivial app alone and behind a wrapper, or of
a hook, and of the parts that any agent needs, measured with the standard library's timeit. It is CPU
time of the thread, so other load of the machine hardly changes it.

Rounds are interleaved, and each is the median of its blocks. A block has as many calls as the
agent's buffer holds; between two blocks it is emptied, which the agent's thread does in life, and
which is not counted.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections import defaultdict
from timeit import Timer
from typing import Any, Dict, List

import reference
import wsgi_environ

import dynoscale

BLOCK = 8000
BLOCKS = 25


def timers(kind: str, values: Dict[str, Any]) -> Dict[str, Timer]:
    if kind == "wsgi":
        from dynoscale.wsgi import DynoscaleWsgiApp

        app = wsgi_environ.app
        calls: Dict[str, Any] = {
            "bare": app,
            "passthrough": reference.Passthrough(app),
            "middleware": DynoscaleWsgiApp(app),
        }
        statement = "environ[name] = next(stamps); call(environ.copy(), start_response)"
    elif kind == "asgi":
        from dynoscale.asgi import DynoscaleAsgiApp

        app = wsgi_environ.asgi_app
        calls = {
            "bare": app,
            "passthrough": reference.Passthrough(app),
            "middleware": DynoscaleAsgiApp(app),
        }
        statement = "call(scope.copy(), receive, send)"
    else:
        from dynoscale.hooks.gunicorn import pre_request

        calls = {"nothing": None, "empty hook": reference.empty_hook, "hook": pre_request}
        statement = "call(worker, request)"
    setup = "; ".join(f"{name} = values[{name!r}]" for name in values) + "; call = target"
    return {
        name: Timer(
            statement if call else "pass",
            setup,
            timer=time.thread_time,
            globals={"values": values, "target": call},
        )
        for name, call in calls.items()
    }


def fresh() -> Dict[str, Any]:
    """The arguments of the calls, with a fresh stamp."""
    return {
        "environ": wsgi_environ.environ(),
        "name": wsgi_environ.STAMP,
        "stamps": wsgi_environ.stamps(),
        "start_response": wsgi_environ.start_response,
        "worker": object(),
        "request": wsgi_environ.Request(),
        "scope": wsgi_environ.scope(),
        "receive": None,
        "send": None,
    }


def main() -> None:
    kind, rounds = sys.argv[1], int(sys.argv[2])
    for number in range(-1, rounds):
        blocks: Dict[str, List[float]] = defaultdict(list)
        values = fresh()
        current = timers(kind, values)
        gc.collect()
        for _ in range(BLOCKS):
            for name, timer in current.items():
                blocks[name].append(timer.timeit(BLOCK))
            dynoscale.flush(0)
            blocks["floor"].append(reference.floor_ns(BLOCK) * BLOCK / 1e9)
            lookups = reference.lookups_ns(values["environ"], BLOCK)
            blocks["lookups"].append(lookups * BLOCK / 1e9)
            blocks["look"].append(reference.look_ns(values["request"], BLOCK) * BLOCK / 1e9)
        del current  # a process has one wrapper
        if number >= 0:  # the first one warms up
            for name, seconds in blocks.items():
                print(f"{name}\t{statistics.median(seconds) * 1e9 / BLOCK}")
    sys.stdout.flush()
    dynoscale.stop(0)


if __name__ == "__main__":
    main()
