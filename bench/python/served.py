"""What gunicorn serves, with the agent where DYNOSCALE_URL is set. TRUTH=FILE: at the end the file
has how many ms each request was stamped ago when the app got it, by the app's own reckoning."""

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


def reckoning(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    now = time.time_ns()
    stamp = environ.get("HTTP_X_REQUEST_START")
    if stamp:
        seen.append((now - int(Decimal(stamp.replace("t=", "")) * 1_000_000_000)) / 1e6)
    return plain(environ, start_response)


app: Callable[..., Any] = plain
if "TRUTH" in os.environ:
    app = reckoning
    atexit.register(lambda: Path(os.environ["TRUTH"]).write_text("\n".join(map(str, seen))))
if "DYNOSCALE_URL" in os.environ:
    from dynoscale.wsgi import DynoscaleWsgiApp

    app = DynoscaleWsgiApp(app)
