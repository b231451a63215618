"""A WSGI app that knows nothing of the agent."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable


def app(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]
