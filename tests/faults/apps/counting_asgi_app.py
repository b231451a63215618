"""An ASGI app in the agent's wrapper that counts its calls, as bare_app does."""

from __future__ import annotations

import asyncio
from typing import Any

from bare_app import count_call
from dynoscale.asgi import DynoscaleAsgiApp


async def counting(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for _ in ("startup", "shutdown"):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    count_call()
    await asyncio.sleep(float(scope["query_string"] or 0))
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"6")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello\n"})


app = DynoscaleAsgiApp(counting)
