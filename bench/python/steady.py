"""steady.py RATE: RATE requests a second, for ever, or none; prints "ready" once it has begun.
With POST_ONCE=URL it uses libcurl once before, as a process without the agent might."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable

import reference
import wsgi_environ

BURST_S = 0.02

rate = float(sys.argv[1])
app: Callable[..., Any] = wsgi_environ.app
if "WITHOUT_AGENT" not in os.environ:
    from dynoscale.wsgi import DynoscaleWsgiApp

    app = DynoscaleWsgiApp(app)
if "POST_ONCE" in os.environ and not reference.post_once(os.environ["POST_ONCE"]):
    sys.exit("the post failed")
app(wsgi_environ.environ(), wsgi_environ.start_response)
print("ready", flush=True)
while rate == 0:
    time.sleep(3600)

due = time.monotonic()
while True:
    environ, stamps = wsgi_environ.environ(), wsgi_environ.stamps()
    for _ in range(round(rate * BURST_S)):
        environ[wsgi_environ.STAMP] = next(stamps)
        app(environ.copy(), wsgi_environ.start_response)
    due += BURST_S
    time.sleep(max(0.0, due - time.monotonic()))
