"""For the programs of test_processes.py: an app behind the wrapper, and requests to it."""

from __future__ import annotations

import ctypes
import os
import sys
import time
import warnings
from typing import Any, Dict, List, Tuple

import dynoscale
from dynoscale.wsgi import DynoscaleWsgiApp

warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
ANSWER = [b"ok"]


def start_response(status: str, headers: List[Tuple[str, str]]) -> None:
    """What a server hands to an app."""


app = DynoscaleWsgiApp(lambda environ, start_response: ANSWER)


def record(count: int = 1) -> None:
    """So many requests, each of which has waited for some ms."""
    for _ in range(count):
        environ: Dict[str, Any] = {"HTTP_X_REQUEST_START": str(int(time.time() * 1000) - 20)}
        assert app(environ, start_response) is ANSWER


def flush() -> bool:
    return dynoscale.flush(60)


stats = dynoscale.stats


def say(text: str = "ready") -> None:
    """Tells the test, and waits until it says to go on."""
    print(text, flush=True)
    sys.stdin.readline()


def leave() -> None:
    """In a child: its own samples are sent, no handler is run."""
    os._exit(0 if flush() else 1)


def end_well(pid: int) -> None:
    assert os.waitpid(pid, 0)[1] == 0


def exit_of_c() -> None:
    ctypes.CDLL(None).exit(0)
