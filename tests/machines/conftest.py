"""Several services on one PostgreSQL, with what stands between them and what breaks."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterator

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "service"), str(TESTS / "machines")]

from fleet import Fleet  # noqa: E402
from postgresql import Cluster, programs  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if programs() is None:
        why = pytest.mark.skip(reason="PostgreSQL is not installed (apt-get install postgresql)")
        for item in items:
            item.add_marker(why)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        yield cluster.start()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """fleet(url, count, *arguments): services that have started; they end with the test."""
    with ExitStack() as stack:
        yield lambda *arguments, **others: stack.enter_context(Fleet(tmp_path, *arguments, **others))


SECONDS = float(os.environ.get("SECONDS_OF_KILLS", "60"))
