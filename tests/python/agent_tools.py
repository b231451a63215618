"""Helpers of the tests and of the processes that they start."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Callable, Iterable, Optional

import dynoscale

HERE = Path(__file__).resolve().parent
PACKAGE = Path(dynoscale.__file__).resolve().parent
VARIABLES = [
    "DYNO",
    "DYNOSCALE_DEV",
    "DYNOSCALE_DEV_MODE",
    "DYNOSCALE_DYNOS",
    "DYNOSCALE_LOG_LEVEL",
    "DYNOSCALE_PUBLISH_FREQUENCY",
    "DYNOSCALE_QUEUE_TIME",
    "DYNOSCALE_SERVER_TIMING",
    "DYNOSCALE_URL",
    "HEROKU_APP_NAME",
    "SKIP_DYNOSCALE_AGENT",
]

Environ = dict[str, Any]
BODY = [b"hello"]


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The simplest application."""
    return BODY


def start_response(status: str, headers: list[tuple[str, str]]) -> None:
    """What a server hands to an application."""


def stamp(ms_ago: float = 20) -> str:
    """A header's value, a new object each time, as a server reads it from a socket."""
    return "".join(list(str(int(time.time() * 1000 - ms_ago))))


def stamped(ms_ago: float = 20, **more: Any) -> Environ:
    """The environ of a request with a stamp."""
    return {"REQUEST_METHOD": "GET", "HTTP_X_REQUEST_START": stamp(ms_ago), **more}


class Asgi:
    """A server's side of an ASGI request, and an app that answers it."""

    def __init__(self, headers: Any = ()) -> None:
        self.headers = headers
        self.scope: Any = None
        self.sent: list[Any] = []
        self.received = False

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The application: keeps its scope, and answers."""
        self.scope = dict(scope)
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"hello"})

    async def receive(self) -> Any:
        """The request, and nothing after it: the client stays connected."""
        import asyncio  # here, since it has a logger

        if self.received:
            await asyncio.Event().wait()
        self.received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def serve(self, app: Any, scope: Environ) -> None:
        """Call the app as a server does, to the end."""
        import asyncio  # here, since it has a logger

        self.received = False
        asyncio.run(until_done(app(scope, self.receive, self.send)))


async def until_done(awaitable: Any) -> Any:
    return await awaitable


def asgi_scope(*headers: tuple[bytes, bytes], **more: Any) -> Environ:
    """The scope of an HTTP request."""
    return {"type": "http", "method": "GET", "path": "/", "headers": [*headers], **more}


def stamped_scope(ms_ago: float = 20, **more: Any) -> Environ:
    """The scope of a request with a stamp."""
    header = (b"x-request-start", stamp(ms_ago).encode())
    return asgi_scope((b"host", b"a"), header, (b"accept", b"*/*"), **more)


def child_environment(**variables: str) -> dict[str, str]:
    """This process's environment with only the given settings, able to import dynoscale."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    path = os.pathsep.join([str(PACKAGE.parent), str(HERE)])
    return {**inherited, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def reporting_to(url: str, **variables: str) -> dict[str, str]:
    """The environment of a process that reports to `url`."""
    return child_environment(DYNOSCALE_URL=f"{url}/token", DYNO="web.1", **variables)


def run(
    code: str,
    environment: dict[str, str],
    *,
    script: Optional[Path] = None,
    python: str = sys.executable,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a program, from a file if it needs one, and expect success."""
    code = textwrap.dedent(code)
    if script is None:
        command = [python, "-c", code]
    else:
        script.write_text(code, encoding="utf-8")
        command = [python, str(script)]
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}:\n{done.stdout}{done.stderr}"
    return done
