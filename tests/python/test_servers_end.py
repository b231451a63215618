"""A server that ends its process without exit functions: uvicorn since 0.29 raises the signal that
stopped it again. tests/servers has the real one."""

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
PROGRAM = """
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


@pytest.mark.parametrize("loaded", ["earlier", "later"])
def test_what_was_recorded_is_sent_when_uvicorn_stops(
    loaded: str, receiver: Any, tmp_path: Path
) -> None:
    (tmp_path / "uvicorn").mkdir()
    (tmp_path / "uvicorn" / "__init__.py").touch()
    (tmp_path / "uvicorn" / "server.py").write_text(FALSE_UVICORN, encoding="utf-8")
    environment = agent_tools.reporting_to(receiver.url)
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, loaded],
        env=environment,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, b"")
    summary = receiver.summary()
    assert (summary["rows"], summary["repeated"]) == (30, 0)
