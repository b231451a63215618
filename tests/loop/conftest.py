"""Real apps with real agents, scaled by a real service."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tests/support", "tests/servers", "tests/loop"):
    sys.path.insert(0, str(ROOT / folder))

from at_once import AtOnce  # noqa: E402
from processes import find_nginx  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def long_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Optional["AtOnce[str, Any]"]]:
    """What test_loop.py looks at. It lasts minutes, nearly all of them waits, so it goes on beside the
    tests that come before."""
    modules = {item.module for item in request.session.items if item.path.name == "test_loop.py"}
    if not modules or find_nginx() is None:
        yield None
        return
    [module] = modules
    with ExitStack() as stack:

        def run(_: str) -> Any:
            return module.Run(tmp_path_factory.mktemp("loop"), stack)

        with AtOnce(run, ["run"], 1) as runs:
            yield runs
