"""Puts what all suites share within reach, and decides what is run and in which order."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import List

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "servers")]

from namespaces import proc_has_our_numbers  # noqa: E402

LAST = "test_secrets.py"  # reads what all others have printed
# They look for processes in /proc.
LOOK_AT_PROCESSES = {"test_deaths.py", "test_signals.py"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run what takes minutes, too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; run with --slow")
    # As Ctrl-C: every `with` block is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST)
    if not proc_has_our_numbers():
        for item in items:
            if item.path.name in LOOK_AT_PROCESSES:
                item.add_marker(pytest.mark.skip(reason="/proc has other processes' numbers"))
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: make test-faults SLOW=1"))
