"""The app that gunicorn serves, with the agent if DYNOSCALE_URL is set. With TRUTH=FILE it reads the
clock just before the agent does, and at the end writes to the file how many ms ago each request was
stamped then."""

from __future__ import annotations

import atexit
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List

Environ = Dict[str, Any]
seen: List[float] = []


def plain(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]


def measuring(app: Callable[..., Any]) -> Callable[..., Any]:
    def call(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        now = time.time_ns()
        answer = app(environ, start_response)
        stamp = environ.get("HTTP_X_REQUEST_START")
        if stamp:
            seen.append((now - int(Decimal(stamp.replace("t=", "")) * 1_000_000_000)) / 1e6)
        return answer

    return call


app: Callable[..., Any] = plain
if "DYNOSCALE_URL" in os.environ:
    from dynoscale.wsgi import DynoscaleWsgiApp

    app = DynoscaleWsgiApp(app)
if "TRUTH" in os.environ:
    app = measuring(app)
    atexit.register(lambda: Path(os.environ["TRUTH"]).write_text("\n".join(map(str, seen))))
