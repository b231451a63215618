"""One service on one machine, and what breaks: see faults.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "service"), str(TESTS / "service_faults")]

from faults import Faulty  # noqa: E402


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Callable[..., Faulty]]:
    """faulty("--tick-s", "1"): a service whose files break when they are told to; not started yet."""
    made = []

    def make(*arguments: str) -> Faulty:
        made.append(Faulty(tmp_path, *arguments))
        return made[-1]

    yield make
    for one in made:
        one.kill()
