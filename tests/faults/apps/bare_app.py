"""Says which request it answers; see tests/faults/served.py. Some paths misuse what they are given:
that is the server's to judge."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import re
import time
from typing import Any, Callable, Dict, Iterable, Iterator

import dynoscale

Start = Callable[..., Any]

CALLS = os.environ.get("CALLS")
HEADERS = [("Content-Type", "text/plain")]
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s")


def agent() -> str:
    """What is known of this process's agent."""
    with open("/proc/self/status", encoding="ascii") as status:
        peak = re.search(r"^VmHWM:\s+(\d+) kB", status.read(), re.MULTILINE)
    peak_kb = int(peak[1]) if peak else 0
    return json.dumps({"pid": os.getpid(), "stats": dynoscale.stats(), "peak_kb": peak_kb})


def count_call() -> None:
    """Ground truth: a byte for each call, which a process that is killed has written all the
    same."""
    file = os.open(f"{CALLS}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, b".")
    os.close(file)


def twice(start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    start_response("404 Not Found", HEADERS)
    return [b"twice\n"]


def never(start_response: Start) -> Iterable[bytes]:
    return [b"never\n"]


def wrongly(start_response: Start) -> Iterable[bytes]:
    start_response(200, None)
    return [b"wrongly\n"]


def late(start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", HEADERS)
    yield b"late\n"


def broken(start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", HEADERS)
    yield b"some, and then\n"
    raise RuntimeError("of the app")


def nothing(start_response: Start) -> None:
    start_response("200 OK", HEADERS)


MISUSES = {f"/{f.__name__}": f for f in (twice, never, wrongly, late, broken, nothing)}


def app(environ: Dict[str, Any], start_response: Start) -> Any:
    path = environ["PATH_INFO"]
    if path == "/agent":
        body = agent()
    else:
        if CALLS:
            count_call()
        if path == "/raise":
            raise RuntimeError("of the app")
        if path in MISUSES:
            return MISUSES[path](start_response)
        if path == "/deaf":  # keeps the interpreter's lock, so that no signal's handler can run
            ctypes.PyDLL(None).sleep(600)
        time.sleep(float(environ["QUERY_STRING"] or 0))
        body = f"answer to {path}\n"
    start_response("200 OK", [*HEADERS, ("Content-Length", str(len(body)))])
    return [body.encode()]
