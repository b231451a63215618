"""Servers that end their process without exit functions: uvicorn since 0.29 and Twisted raise the
signal that stopped them again. tests/servers has the real ones."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import agent_tools
import pytest

FALSE_UVICORN = """
import signal

class Server:
    def __init__(self, app, requests):
        self.app, self.requests = app, requests

    async def serve(self):
        for scope in self.requests:
            await self.app(scope, None, None)
        result = await self.shutdown(sockets=[])
        assert result == "stopped"
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)

    async def shutdown(self, sockets):
        return "stopped"
"""
UVICORN_PROGRAM = """
import asyncio, sys
import agent_tools
from dynoscale.asgi import DynoscaleAsgiApp

async def answer(scope, receive, send):
    pass

if "later" in sys.argv:
    app = DynoscaleAsgiApp(answer)
import uvicorn.server
if "later" not in sys.argv:
    app = DynoscaleAsgiApp(answer)
requests = [agent_tools.stamped_scope() for _ in range(30)]
asyncio.run(uvicorn.server.Server(app, requests).serve())
"""


FALSE_REACTOR = """
import signal

triggers = []

def callFromThread(function, *arguments):
    triggers.append(function(*arguments))

def addSystemEventTrigger(phase, event, function):
    assert (phase, event) == ("after", "shutdown")
    return function

def run(app, requests):
    for environ in requests:
        app(environ, None)
    for function in triggers:
        function()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
"""
TWISTED_PROGRAM = """
import sys
import agent_tools
from dynoscale.wsgi import DynoscaleWsgiApp

def answer(environ, start_response):
    return []

if "later" in sys.argv:
    app = DynoscaleWsgiApp(answer)
import twisted.internet.reactor as reactor
if "later" not in sys.argv:
    app = DynoscaleWsgiApp(answer)
reactor.run(app, [agent_tools.stamped() for _ in range(30)])
"""


@pytest.mark.parametrize("loaded", ["earlier", "later"])
@pytest.mark.parametrize(
    ("module", "source", "program"),
    [
        ("uvicorn/server.py", FALSE_UVICORN, UVICORN_PROGRAM),
        ("twisted/internet/reactor.py", FALSE_REACTOR, TWISTED_PROGRAM),
    ],
    ids=["uvicorn", "twisted"],
)
def test_what_was_recorded_is_sent_when_the_server_stops(
    module: str, source: str, program: str, loaded: str, receiver: Any, tmp_path: Path
) -> None:
    package = (tmp_path / module).parent
    package.mkdir(parents=True)
    while package != tmp_path:
        (package / "__init__.py").touch()
        package = package.parent
    (tmp_path / module).write_text(source, encoding="utf-8")
    environment = agent_tools.reporting_to(receiver.url)
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-c", program, loaded],
        env=environment,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, b"")
    summary = receiver.summary()
    assert (summary["rows"], summary["repeated"]) == (30, 0)
