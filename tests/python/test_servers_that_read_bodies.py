"""Servers that read a request's body before they call the app, by what they hand to it.
tests/servers has real ones."""

from __future__ import annotations

from typing import Any

import agent_tools
import pytest

PRELUDE = """
import io, sys, tempfile, types
import agent_tools, dynoscale
from dynoscale.asgi import DynoscaleAsgiApp
from dynoscale.wsgi import DynoscaleWsgiApp

def wsgi(body, length):
    more = {"wsgi.input": body, "CONTENT_LENGTH": length}
    app(agent_tools.stamped(**more), agent_tools.start_response)

def asgi(*headers):
    scope = agent_tools.stamped_scope()
    scope["headers"] += headers
    agent_tools.Asgi().serve(app, scope)
"""
SOCKETIFY = "Body = type('WSGIBody', (), {'__module__': 'socketify.wsgi'})\n"
# As a2wsgi makes a scope of waitress's environ.
UNDER_WSGI = """
def adapted(length):
    scope = agent_tools.stamped_scope()
    scope["headers"] += [(b"content-length", length)]
    scope["wsgi_environ"] = {"wsgi.input": io.BytesIO(), "SERVER_SOFTWARE": "waitress"}
    agent_tools.Asgi().serve(app, scope)
"""
WSGI = "app = DynoscaleWsgiApp(agent_tools.app)\n"
ASGI = "app = DynoscaleAsgiApp(agent_tools.Asgi().app)\n"
DAPHNE = "sys.modules['daphne.cli'] = types.ModuleType('daphne.cli')\n"
LENGTH = 'asgi((b"content-length", b"5"))\n'
CHUNKED = 'asgi((b"Transfer-Encoding", b"chunked"))\n'
NO_BODY = 'asgi((b"content-length", b"0"))\n'


@pytest.mark.parametrize(
    ("code", "recorded", "unstamped"),
    [
        (WSGI + "for length in ('', '0', '5'): wsgi(io.BytesIO(), length)", 2, 1),
        (WSGI + "for length in ('5', ''): wsgi(tempfile.SpooledTemporaryFile(), length)", 1, 1),
        (WSGI + "for length in ('', '5'): wsgi(io.BufferedRandom(io.BytesIO()), length)", 1, 1),
        (SOCKETIFY + WSGI + "for length in ('', '5'): wsgi(Body(), length)", 1, 1),
        (UNDER_WSGI + ASGI + "for length in (b'0', b'5'): adapted(length)", 1, 1),
        (WSGI + "for length in ('', '0', '5'): wsgi(object(), length)", 3, 0),
        (DAPHNE + ASGI + "asgi()\n" + NO_BODY + LENGTH + CHUNKED, 2, 2),
        (ASGI + "asgi()\n" + NO_BODY + LENGTH + CHUNKED, 4, 0),
    ],
    ids=[
        "memory",
        "file",
        "seekable",
        "socketify",
        "ASGI under WSGI",
        "another server",
        "daphne",
        "another ASGI server",
    ],
)
def test_a_request_with_a_body_gives_no_sample(
    code: str, recorded: int, unstamped: int, receiver: Any
) -> None:
    printed = "stats = dynoscale.stats(); print(stats['recorded'], stats['stamp_missing'])"
    environment = agent_tools.reporting_to(receiver.url)
    done = agent_tools.run(f"{PRELUDE}{code}\n{printed}", environment)
    assert done.stdout == f"{recorded} {unstamped}\n"
