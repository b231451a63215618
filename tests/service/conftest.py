"""A real service for each test that asks for one, with the settings that it asks for."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from service import Service  # noqa: E402

Started = Callable[..., Service]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Started]:
    """serve("--tick-s", "1", ...): a service that has started; it ends with the test."""
    started: List[Service] = []
    with ExitStack() as stack:

        def start(*arguments: str, **others: Any) -> Service:
            service = Service(tmp_path, *arguments, **others)
            stack.enter_context(service)
            started.append(service)
            return service.start()

        yield start
    # Of one that was built with a sanitizer and named by TEST_DYNOSCALED.
    for service in started:
        assert "Sanitizer" not in service.log and "runtime error" not in service.log, service.log


@pytest.fixture
def service(serve: Started) -> Service:
    """One with the usual settings."""
    return serve()
