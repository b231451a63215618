"""A request costs no more instructions than recorded in bench/instructions/recorded.json, which
says how a change is accepted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "instructions"))

import count  # noqa: E402


@pytest.mark.parametrize("program", list(count.PROGRAMS))
def test_a_request_takes_no_more_instructions_than_recorded(program: str) -> None:
    try:
        worse = count.worse(program)
    except count.Unable as reason:
        pytest.skip(str(reason))
    assert worse == [], "\n".join([*worse, *count.HOW_TO_ACCEPT])


def test_the_comparison_notices_what_got_worse() -> None:
    recorded = {"13 digits": 100.0, "agent off": 10.0}
    assert count.compare("core", {"13 digits": 105.0, "agent off": 10.5}, recorded) == []
    assert len(count.compare("core", {"13 digits": 106.0, "agent off": 10.5}, recorded)) == 1
    assert len(count.compare("core", {"13 digits": 100.0}, recorded)) == 1
