"""Makes tests/support importable, and ends the servers with the tests."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "frameworks: of `make test-frameworks`, not `make test`")
    # As Ctrl-C: every `with` block is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
