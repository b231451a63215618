"""calls.py wsgi|hook ROUNDS: ns of a call of a trivial app alone and behind a wrapper, or of a
hook, measured with the standard library's timeit.

Rounds are interleaved, and each is the median of its blocks. A block has as many calls as the
agent's ring holds; between two blocks it is emptied, which the agent's thread does in life, and
which is not counted.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections import defaultdict
from timeit import Timer
from typing import Any, Dict, List

import reference
import wsgi_environ

import dynoscale

BLOCK = 8000
BLOCKS = 25


def timers(kind: str) -> Dict[str, Timer]:
    if kind == "wsgi":
        from dynoscale.wsgi import DynoscaleWsgiApp

        app = wsgi_environ.app
        calls: Dict[str, Any] = {
            "bare": app,
            "passthrough": reference.Passthrough(app),
            "middleware": DynoscaleWsgiApp(app),
        }
        statement = "call(environ, start_response)"
    else:
        from dynoscale.hooks.gunicorn import pre_request

        calls = {"nothing": None, "empty hook": reference.empty_hook, "hook": pre_request}
        statement = "call(worker, request)"
    values = {
        "environ": wsgi_environ.environ(),
        "start_response": wsgi_environ.start_response,
        "worker": object(),
        "request": wsgi_environ.Request(),
    }
    setup = "; ".join(f"{name} = values[{name!r}]" for name in values) + "; call = target"
    return {
        name: Timer(
            statement if call else "pass", setup, globals={"values": values, "target": call}
        )
        for name, call in calls.items()
    }


def main() -> None:
    kind, rounds = sys.argv[1], int(sys.argv[2])
    for number in range(-1, rounds):
        blocks: Dict[str, List[float]] = defaultdict(list)
        current = timers(kind)  # with a fresh stamp
        gc.collect()
        for _ in range(BLOCKS):
            for name, timer in current.items():
                blocks[name].append(timer.timeit(BLOCK))
            dynoscale.flush(0)
            blocks["floor"].append(reference.floor_ns(BLOCK) * BLOCK / 1e9)
        del current  # a process has one wrapper
        if number >= 0:  # the first one warms up
            for name, seconds in blocks.items():
                print(f"{name}\t{statistics.median(seconds) * 1e9 / BLOCK}")
    sys.stdout.flush()
    dynoscale.stop(0)


if __name__ == "__main__":
    main()
