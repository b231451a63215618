"""Sleep for as many ms as the query says, and answer with the ms that passed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.wsgi import DynoscaleWsgiApp


def bare(environ: Any, start_response: Any) -> list[bytes]:
    start = time.monotonic()
    time.sleep(float(environ["QUERY_STRING"]) / 1000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str((time.monotonic() - start) * 1000).encode()]


async def bare_asgi(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    start = time.monotonic()
    await asyncio.sleep(float(scope["query_string"]) / 1000)
    body = str((time.monotonic() - start) * 1000).encode()
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


wsgi = DynoscaleWsgiApp(bare)

try:  # hypercorn's own way for WSGI apps
    from hypercorn.middleware import AsyncioWSGIMiddleware

    wsgi_in_asgi = AsyncioWSGIMiddleware(wsgi)
except ImportError:
    pass
asgi = DynoscaleAsgiApp(bare_asgi)
